import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from modnet_keras.studies.statistics import bootstrap_forgetting, holm, mcnemar_exact
from modnet_keras.training.metrics import compute_metrics

MEASURES = ("accuracy", "sensitivity", "specificity")
images = st.lists(st.tuples(st.integers(0, 1), st.booleans(), st.booleans()), max_size=60)
p_values = st.lists(st.floats(0, 1), max_size=12)


def columns(rows):
    return (
        np.array([row[place] for row in rows], kind) for place, kind in enumerate((int, bool, bool))
    )


def simulate(generator, n, right_before, lost, gained):
    """Images of which `lost` of the rightly and `gained` of the wrongly answered ones change."""
    labels = generator.integers(0, 2, n)
    right = generator.random(n) < right_before
    flipped = generator.random(n) < np.where(right, lost, gained)
    return labels, labels.astype(bool) == right, labels.astype(bool) == (right ^ flipped)


@given(images)
@settings(deadline=None)
def test_values_are_those_of_the_metrics(rows):
    labels, before, after = columns(rows)
    found = bootstrap_forgetting(labels, before, after, resamples=50)
    for key, taken in (("baseline", before), ("after", after)):
        expected = compute_metrics(labels, np.where(taken, 1.0, -1.0))
        assert tuple(found[key]) == MEASURES
        for name in MEASURES:
            assert (found[key][name] and found[key][name].value) == expected[name]


def test_by_hand():
    labels = [1] * 6 + [0] * 4
    before = [True] * 5 + [False] + [False] * 3 + [True]
    after = [True] * 2 + [False] * 3 + [True] + [False] * 4
    found = bootstrap_forgetting(labels, before, after)
    assert found["baseline"]["accuracy"].value == 8 / 10
    assert found["after"]["accuracy"].value == 7 / 10
    assert found["baseline"]["sensitivity"].value == 5 / 6
    assert found["after"]["sensitivity"].value == 3 / 6
    assert found["after"]["specificity"] == (1, 1, 1)
    # Three lost, two gained, of ten.
    assert found["forgetting"].value == 1 / 10
    assert mcnemar_exact(labels, before, after) == (3, 2, 1.0)


def test_two_images_have_the_percentiles_of_three_outcomes():
    # Resamples are right twice, once or never with chances 1/4, 1/2 and 1/4.
    labels, before, after = [1, 1], [True, False], [True, True]
    middle = bootstrap_forgetting(labels, before, after, level=0.4)
    assert middle["baseline"]["accuracy"] == (0.5, 0.5, 0.5)
    wide = bootstrap_forgetting(labels, before, after, level=0.6)
    assert wide["baseline"]["accuracy"] == (0.5, 0.0, 1.0)
    assert wide["forgetting"] == (-0.5, -1.0, 0.0)


def test_agrees_with_scipy_which_draws_every_image():
    labels, before, after = simulate(np.random.default_rng(3), 60, 0.8, 0.3, 0.3)
    found = bootstrap_forgetting(labels, before, after)

    def percentiles(statistic, *samples):
        result = stats.bootstrap(
            samples, statistic, paired=True, method="percentile", n_resamples=10_000, rng=1
        )
        return tuple(result.confidence_interval)

    def forgetting(labels, before, after, axis):
        return (before == labels).mean(axis) - (after == labels).mean(axis)

    def sensitivity(labels, after, axis):
        return (after & (labels == 1)).sum(axis) / labels.sum(axis)

    # The two ends lie on a grid of steps of about 1/60.
    assert found["forgetting"][1:] == pytest.approx(
        percentiles(forgetting, labels, before, after), abs=0.018
    )
    assert found["after"]["sensitivity"][1:] == pytest.approx(
        percentiles(sensitivity, labels, after), abs=0.018
    )
    assert found["forgetting"].high - found["forgetting"].low > 0.1


def test_intervals_hold_the_truth_as_often_as_they_say():
    generator = np.random.default_rng(5)
    truth = 0.8 * 0.15 - 0.2 * 0.3
    trials = 400
    held = 0
    for seed in range(trials):
        drawn = simulate(generator, 400, 0.8, 0.15, 0.3)
        forgetting = bootstrap_forgetting(*drawn, seed=seed, resamples=500)["forgetting"]
        held += forgetting.low <= truth <= forgetting.high
    # 0.95 and three to four deviations of a share of 400; unpaired intervals hold it nearly always.
    assert 0.91 <= held / trials <= 0.985


def test_pairing_makes_the_interval_of_forgetting_narrow():
    labels, before, after = simulate(np.random.default_rng(7), 2000, 0.7, 0.01, 0.01)
    found = bootstrap_forgetting(labels, before, after)
    width = {key: x.high - x.low for key, x in found["after"].items()}
    assert found["forgetting"].high - found["forgetting"].low < width["accuracy"] / 2
    # Half as many images: wider by the root of two.
    assert width["sensitivity"] == pytest.approx(width["accuracy"] * 2**0.5, rel=0.15)


@pytest.mark.parametrize(("label", "absent"), [(1, "specificity"), (0, "sensitivity")])
def test_one_class_absent(label, absent):
    found = bootstrap_forgetting([label] * 3, [True] * 3, [True, False, True])
    assert {name for name in MEASURES if found["after"][name] is None} == {absent}
    assert found["forgetting"].value == pytest.approx((2 * label - 1) / 3)


def test_a_resample_without_the_class_is_left_out_of_that_measure():
    # One positive of three: missing from 8 of 27 resamples, and right in all the others.
    found = bootstrap_forgetting([1, 0, 0], [True] * 3, [True, False, True])
    assert found["after"]["sensitivity"] == (1, 1, 1)
    assert found["after"]["accuracy"] == (2 / 3, 0, 1)


@given(images.filter(bool), st.integers(0, 5))
@settings(deadline=None)
def test_nothing_changed_is_no_forgetting_at_all(rows, seed):
    labels, before, _ = columns(rows)
    found = bootstrap_forgetting(labels, before, before, seed=seed, resamples=100)
    assert found["forgetting"] == (0, 0, 0)
    assert found["baseline"] == found["after"]
    assert mcnemar_exact(labels, before, before) == (0, 0, 1.0)


@given(images)
@settings(deadline=None)
def test_swapping_before_and_after_turns_the_sign(rows):
    labels, before, after = columns(rows)
    one = bootstrap_forgetting(labels, before, after, resamples=50)
    other = bootstrap_forgetting(labels, after, before, resamples=50)
    if rows:
        assert one["forgetting"].value == -other["forgetting"].value
    lost, gained, p_value = mcnemar_exact(labels, before, after)
    assert mcnemar_exact(labels, after, before) == (gained, lost, p_value)


@given(images.filter(bool))
@settings(deadline=None)
def test_intervals_are_in_order_and_in_range(rows):
    found = bootstrap_forgetting(*columns(rows), resamples=100)
    assert -1 <= found["forgetting"].low <= found["forgetting"].high <= 1
    for name in MEASURES:
        if found["after"][name]:
            assert 0 <= found["after"][name].low <= found["after"][name].high <= 1


def test_the_seed_fixes_the_intervals():
    drawn = simulate(np.random.default_rng(9), 500, 0.8, 0.2, 0.2)
    assert bootstrap_forgetting(*drawn, seed=4) == bootstrap_forgetting(*drawn, seed=4)
    assert bootstrap_forgetting(*drawn, seed=4) != bootstrap_forgetting(*drawn, seed=5)


def test_plain_numbers_that_json_takes():
    drawn = simulate(np.random.default_rng(9), 50, 0.8, 0.2, 0.2)
    json.dumps([bootstrap_forgetting(*drawn), mcnemar_exact(*drawn), holm([0.5, 0.1])])


def test_mcnemar_by_hand():
    # Six lost, one gained: 2 x (1 + 7) / 2^7.
    labels = [1, 1, 1, 0, 0, 0, 1, 1, 0]
    before = [True, True, True, False, False, False, False, True, True]
    after = [False, False, False, True, True, True, True, True, True]
    assert mcnemar_exact(labels, before, after) == (6, 1, pytest.approx(16 / 128))


def test_mcnemar_calls_one_in_twenty_equals_different_at_most():
    generator = np.random.default_rng(11)
    found = [mcnemar_exact(*simulate(generator, 500, 0.5, 0.2, 0.2)).p_value for _ in range(400)]
    assert 0.005 < np.mean(np.array(found) < 0.05) <= 0.08
    drawn = simulate(generator, 500, 0.9, 0.2, 0.1)
    assert mcnemar_exact(*drawn).p_value < 1e-6


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.5]) == [1.0, 1.0]
    assert holm([0.04]) == [0.04]
    assert holm([]) == []


@given(p_values)
def test_holm_lies_between_the_raw_and_bonferroni_and_keeps_the_order(given_values):
    adjusted = holm(given_values)
    bounds = zip(given_values, adjusted, strict=True)
    assert all(raw <= found <= min(1.0, raw * len(given_values)) for raw, found in bounds)
    order = np.argsort(given_values)
    assert all(np.diff(np.array(adjusted)[order]) >= 0)


@given(p_values, st.randoms(use_true_random=False))
def test_holm_does_not_depend_on_the_order_given(given_values, random):
    places = list(range(len(given_values)))
    random.shuffle(places)
    shuffled = holm([given_values[place] for place in places])
    assert shuffled == [holm(given_values)[place] for place in places]


def test_tensorflow_is_not_loaded():
    check = "import modnet_keras.studies.statistics, sys"
    check += "; assert not {'tensorflow', 'keras'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)
