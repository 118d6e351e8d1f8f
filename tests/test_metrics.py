import math
import warnings

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from modnet_keras.training.measures import METRICS
from modnet_keras.training.metrics import Sensitivity, Specificity, compute_metrics

images = st.tuples(st.integers(0, 1), st.floats(-12, 12, width=32))


@given(st.lists(images, min_size=1, max_size=60))
@settings(deadline=None)
def test_equals_scikit_learn(rows):
    labels, logits = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = compute_metrics(labels, logits)
    assert tuple(found) == METRICS
    taken = (logits > 0).astype(int)
    probabilities = 1 / (1 + np.exp(-logits))
    expected = {
        "loss": sklearn_metrics.log_loss(labels, probabilities, labels=[0, 1]),
        "accuracy": sklearn_metrics.accuracy_score(labels, taken),
        "n": len(rows),
    }
    if labels.any():
        expected["sensitivity"] = sklearn_metrics.recall_score(labels, taken, pos_label=1)
    if not labels.all():
        expected["specificity"] = sklearn_metrics.recall_score(labels, taken, pos_label=0)
    if labels.any() and not labels.all():
        expected["auc"] = sklearn_metrics.roc_auc_score(labels, logits)
    for name, value in found.items():
        if name in expected:
            assert value == pytest.approx(expected[name], rel=1e-6, abs=1e-9), name
        else:
            assert value is None, name


def test_by_hand():
    found = compute_metrics([1, 1, 1, 0, 0], [2.0, 0.5, -1.0, -3.0, 0.1])
    assert found["accuracy"] == 3 / 5
    assert found["sensitivity"] == 2 / 3
    assert found["specificity"] == 1 / 2
    # Of the six pairs of a positive and a negative, five are in order.
    assert found["auc"] == pytest.approx(5 / 6)
    losses = [math.log1p(math.exp(-x)) for x in (2.0, 0.5, -1.0, 3.0, -0.1)]
    assert found["loss"] == pytest.approx(sum(losses) / 5, rel=1e-12)
    assert found["n"] == 5


def test_a_logit_of_zero_is_not_taken_for_the_class():
    found = compute_metrics([1, 0], [0.0, 0.0])
    assert (found["sensitivity"], found["specificity"], found["auc"]) == (0.0, 1.0, 0.5)


def test_equal_logits_count_half_in_the_auc():
    assert compute_metrics([1, 0, 1, 0], [1.0, 1.0, 1.0, 1.0])["auc"] == 0.5


@pytest.mark.parametrize(("label", "absent"), [(1, "specificity"), (0, "sensitivity")])
def test_one_class_absent(label, absent):
    found = compute_metrics([label] * 3, [1.0, 2.0, -1.0])
    assert {name for name, value in found.items() if value is None} == {absent, "auc"}


def test_no_image_at_all():
    found = compute_metrics([], [])
    assert found == dict.fromkeys(METRICS) | {"n": 0}


def test_takes_columns_as_the_network_gives_them():
    labels, logits = [1, 0, 1, 0], [2.0, -1.0, -0.5, 0.25]
    columns = np.reshape(labels, (4, 1)), np.reshape(np.float32(logits), (4, 1))
    assert compute_metrics(*columns) == compute_metrics(labels, logits)


def test_a_sure_mistake_costs_what_its_logit_says():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = compute_metrics([0, 1], [1e4, 1e4])
    assert found["loss"] == pytest.approx(5e3)


def test_plain_numbers_that_json_takes():
    found = compute_metrics(np.array([1, 0]), np.array([1.0, -1.0], "float32"))
    assert {type(value) for value in found.values()} == {float, int}


@pytest.mark.parametrize("labels_dtype", ["int32", "float32"])
@given(batches=st.lists(st.lists(images, min_size=1, max_size=5), min_size=1, max_size=4))
@settings(max_examples=20, deadline=None)
def test_keras_metrics_count_over_uneven_batches(labels_dtype, batches):
    shares = Sensitivity(), Specificity()
    for batch in batches:
        labels = np.array([[row[0]] for row in batch], labels_dtype)
        logits = np.array([[row[1]] for row in batch], "float32")
        for share in shares:
            share.update_state(labels, logits)
    rows = sum(batches, [])
    whole = compute_metrics([row[0] for row in rows], [row[1] for row in rows])
    for share, name in zip(shares, ("sensitivity", "specificity"), strict=True):
        assert share.name == name
        # An absent class is 0 here, not NaN: Keras logs numbers alone.
        assert float(share.result()) == pytest.approx(whole[name] or 0.0, rel=1e-6)


def test_keras_metrics_start_anew_after_a_reset():
    share = Sensitivity()
    share.update_state(np.array([[1], [1]]), np.array([[1.0], [-1.0]]))
    assert float(share.result()) == 0.5
    share.reset_state()
    assert float(share.result()) == 0.0
    share.update_state(np.array([[1]]), np.array([[1.0]]))
    assert float(share.result()) == 1.0


def test_keras_metrics_in_an_evaluation_with_a_smaller_last_batch():
    inputs = keras.Input((1,))
    model = keras.Model(inputs, keras.layers.Dense(1, kernel_initializer="ones")(inputs))
    model.compile(loss="mse", metrics=[Sensitivity(), Specificity()])
    logits = np.float32([[1], [-1], [2], [3], [-2], [-3], [1]])
    labels = np.array([[1], [1], [0], [1], [0], [0], [0]])
    shown = model.evaluate(logits, labels, batch_size=3, verbose=0, return_dict=True)
    assert shown["sensitivity"] == pytest.approx(2 / 3)
    assert shown["specificity"] == pytest.approx(2 / 4)


@pytest.mark.parametrize("metric_class", [Sensitivity, Specificity])
def test_keras_metrics_are_saved_by_name(metric_class):
    config = keras.saving.serialize_keras_object(metric_class(name="share"))
    restored = keras.saving.deserialize_keras_object(config)
    assert (type(restored), restored.name) == (metric_class, "share")
