"""What is said of an estimate's rows, against figures worked out by hand."""

import math

import pytest
from scipy import stats

from modnet_keras.studies.comparison import compare, summarise
from modnet_keras.studies.resplits import plan_resplits


def rows_of(accuracies, fraction=0.2, forgetting=None):
    """Rows of strategies with an accuracy a fold, 100 images held out and 400 trained on."""
    return [
        {
            "strategy": strategy,
            "val_fraction": fraction,
            "repeat": 1,
            "fold": fold,
            "accuracy": accuracy,
            "sensitivity": accuracy,
            "specificity": accuracy,
            "auc": accuracy,
            "forgetting": None if forgetting is None else forgetting[strategy][fold - 1],
            "n": 100,
            "n_train": 400,
            "parent_n": 50,
            "parent_n_train": 100,
        }
        for strategy, values in accuracies.items()
        for fold, accuracy in enumerate(values, start=1)
    ]


def strategies_of(rows):
    return list(dict.fromkeys(row["strategy"] for row in rows))


def summary_of(rows):
    return summarise(rows, strategies_of(rows))


def pairs_of(rows):
    return compare(rows, strategies_of(rows))


def test_two_are_told_apart_only_after_holms_correction():
    """What one test alone would call different, three tests together do not."""
    one = [0.70, 0.74, 0.78, 0.72, 0.76]
    other = [value - step for value, step in zip(one, (0.02, 0.05, 0.03, 0.06, 0.03), strict=True)]
    alone = pairs_of(rows_of({"a": one, "b": other}))
    (pair,) = (pair for pair in alone if pair["measure"] == "accuracy")
    assert pair["p_value"] < 0.05 and pair["told_apart"]
    far = [value + step for value, step in zip(one, (0.3, -0.2, 0.1, -0.3, 0.2), strict=True)]
    pairs = [
        p for p in pairs_of(rows_of({"a": one, "b": other, "c": far})) if p["measure"] == "accuracy"
    ]
    assert [p["p_value"] < 0.05 for p in pairs] == [True, False, False]
    assert pairs[0]["p_holm"] == pytest.approx(3 * pairs[0]["p_value"])
    assert not pairs[0]["told_apart"]


def test_the_interval_is_nadeau_and_bengios():
    values = [0.70, 0.74, 0.78, 0.72, 0.76]
    found = summary_of(rows_of({"scratch": values}))
    accuracy = next(row for row in found if row["measure"] == "accuracy")
    deviation = math.sqrt(sum((value - 0.74) ** 2 for value in values) / 4)
    half = stats.t.ppf(0.975, 4) * deviation * math.sqrt(1 / 5 + 100 / 400)
    assert accuracy["mean"] == pytest.approx(0.74)
    assert accuracy["deviation"] == pytest.approx(deviation)
    assert (accuracy["low"], accuracy["high"]) == pytest.approx((0.74 - half, 0.74 + half))
    assert accuracy["splits"] == 5
    assert not [row for row in found if row["measure"] == "forgetting"]


def test_forgetting_takes_the_images_of_the_parent():
    forgetting = {"finetune": [0.1, 0.2, 0.3]}
    found = summary_of(rows_of({"finetune": [0.7, 0.7, 0.7]}, forgetting=forgetting))
    row = next(row for row in found if row["measure"] == "forgetting")
    half = stats.t.ppf(0.975, 2) * 0.1 * math.sqrt(1 / 3 + 50 / 100)
    assert (row["low"], row["high"]) == pytest.approx((0.2 - half, 0.2 + half))


def test_a_pair_is_compared_split_by_split():
    rows = rows_of({"scratch": [0.5, 0.6, 0.7, 0.8], "frozen": [0.52, 0.63, 0.72, 0.83]})
    (pair,) = pairs_of(rows)
    error = math.sqrt(1 / 4 + 100 / 400) * math.sqrt(4 * 0.005**2 / 3)
    assert pair["difference"] == pytest.approx(-0.025)
    assert pair["p_value"] == pytest.approx(2 * stats.t.sf(0.025 / error, 3))
    assert pair["p_holm"] == pair["p_value"]
    assert pair["told_apart"] and pair["statement"].startswith("frozen is more accurate than scra")
    assert "+0.025 (95 %: +0.012 to +0.038; p = " in pair["statement"]


def test_what_is_not_told_apart_is_said_so():
    rows = rows_of({"scratch": [0.5, 0.7, 0.6], "frozen": [0.7, 0.5, 0.6]})
    (pair,) = pairs_of(rows)
    assert not pair["told_apart"]
    assert pair["statement"].startswith(
        "The data do not tell the accuracy of scratch and frozen apart: "
    )


def test_holms_correction_is_over_the_pairs_of_a_measure():
    rows = rows_of(
        {"a": [0.5, 0.6, 0.7], "b": [0.51, 0.62, 0.7], "c": [0.9, 0.99, 0.95]},
        forgetting={"a": [0, 0, 0], "b": [0.1, 0.2, 0.1], "c": [0, 0.1, 0]},
    )
    pairs = pairs_of(rows)
    for measure in ("accuracy", "forgetting"):
        of_measure = [pair for pair in pairs if pair["measure"] == measure]
        assert len(of_measure) == 3
        smallest = min(of_measure, key=lambda pair: pair["p_value"])
        assert smallest["p_holm"] == pytest.approx(min(1, 3 * smallest["p_value"]))
        assert "after Holm's correction for 3 comparisons" in smallest["statement"]


def test_fractions_are_never_put_together():
    low = rows_of({"a": [0.5, 0.6, 0.7], "b": [0.5, 0.6, 0.8]}, fraction=0.1)
    high = rows_of({"a": [0.1, 0.2, 0.3], "b": [0.3, 0.4, 0.9]}, fraction=0.3)
    assert summary_of(low + high) == summary_of(low) + summary_of(high)
    assert pairs_of(low + high) == pairs_of(low) + pairs_of(high)


def test_only_splits_that_both_have_are_compared():
    rows = rows_of({"a": [0.5, 0.6, 0.7], "b": [0.6, 0.7]})
    (pair,) = pairs_of(rows)
    assert pair["splits"] == 2 and pair["difference"] == pytest.approx(-0.1)
    assert pairs_of(rows_of({"a": [0.5, 0.6], "b": [0.6]})) == []


def test_a_fold_that_failed_changes_no_order():
    rows = rows_of({"b": [0.6, 0.7], "a": [0.5, 0.6]})
    rows += rows_of({"a": [0.4, 0.5, 0.6], "b": [0.6, 0.8, 0.7]}, fraction=0.3)
    found = summarise(rows, ["a", "b"])
    assert strategies_of(found) == ["a", "b"]
    assert list(dict.fromkeys(row["val_fraction"] for row in found)) == [0.2, 0.3]
    assert {(pair["strategy"], pair["other"]) for pair in compare(rows, ["a", "b"])} == {("a", "b")}


def test_without_spread_nothing_is_told_apart():
    (pair,) = pairs_of(rows_of({"a": [0.55, 0.6, 0.7], "b": [0.65, 0.7, 0.8]}))
    assert pair["p_value"] == 1 and not pair["told_apart"]
    assert "is -0.100 in every split: without any spread" in pair["statement"]


def test_one_split_has_a_mean_and_no_interval():
    found = summary_of(rows_of({"a": [0.5]}))
    assert {(row["mean"], row["deviation"], row["low"], row["high"]) for row in found} == {
        (0.5, None, None, None)
    }


def test_every_split_has_a_seed_of_its_own_and_folds_of_a_repeat_one_deal():
    splits = plan_resplits(folds=3, repeats=2, seed=10)
    assert [split.name for split in splits] == [
        "fold-1", "fold-2", "fold-3", "fold-1-repeat-2", "fold-2-repeat-2", "fold-3-repeat-2"
    ]  # fmt: skip
    assert [split.settings["seed"] for split in splits] == [10, 11, 12, 13, 14, 15]
    assert [split.settings["fold"].seed for split in splits] == [10, 10, 10, 11, 11, 11]
    assert {split.val_fraction for split in splits} == {1 / 3}
    # More repeats later leave those that are there as they are.
    assert plan_resplits(folds=3, repeats=1, seed=10) == splits[:3]


def test_re_splits_are_those_of_train():
    splits = plan_resplits(repeats=2, val_fraction=[0.1, 0.25], seed=4)
    assert [split.name for split in splits] == [
        "val-0.1-repeat-1", "val-0.1-repeat-2", "val-0.25-repeat-1", "val-0.25-repeat-2"
    ]  # fmt: skip
    assert splits[3].settings == {"seed": 5, "val_fraction": 0.25}
    assert splits[3].fold is None and splits[3].repeat == 2
