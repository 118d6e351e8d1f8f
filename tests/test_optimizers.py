import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from modnet_keras.models import build_model, grow, tap
from modnet_keras.training.optimizers import (
    RateTable,
    Schedule,
    assign_rates,
    base_learning_rate,
    compile_model,
    rates_of_steps,
)
from modnet_keras.training.recipes import RECIPES
from modnet_keras.training.strategies import FROZEN, STRATEGIES, get_strategy

pytestmark = pytest.mark.usefixtures("thin_networks")
PICTURE_SIZE = 32
BATCH = 8
STATISTICS = ("moving_mean", "moving_variance")


@pytest.fixture(scope="module")
def batches():
    rng = np.random.default_rng(0)
    pictures = rng.normal(size=(2 * BATCH, PICTURE_SIZE, PICTURE_SIZE, 3)).astype("float32")
    return pictures, np.tile([[0.0], [1.0]], (BATCH, 1)).astype("float32")


@pytest.fixture
def parent():
    """A parent whose weights and statistics are no longer what they started from."""
    model = build_model(1, PICTURE_SIZE)
    rng = np.random.default_rng(1)
    for weight in model.weights:
        weight.assign(weight + rng.uniform(0.01, 0.1, weight.shape))
    return model


def values_of(model):
    return {weight.path: weight.numpy().copy() for weight in model.weights}


def changed(before, after):
    return {path for path in before if before[path].tobytes() != after[path].tobytes()}


def rates_of(model, strategy):
    level = sum(part.name.startswith("stage_") for part in model.layers) - 1
    return assign_rates(model, get_strategy(strategy).table(level))


def in_place(model, name):
    return {weight.path for weight in model.weights if weight.name in name}


def expected_rate(recipe, step, steps_per_epoch, epochs, highest):
    """The recipe's rate at a step, written out from its description."""
    if recipe == "original":
        return highest * 0.1 ** (step // (30 * steps_per_epoch))
    total = steps_per_epoch * epochs
    warmup = min(2 * steps_per_epoch, total // 2)
    if step < warmup:
        return highest * (step + 1) / (warmup + 1)
    return highest * (1 + math.cos(math.pi * (step - warmup) / (total - warmup))) / 2


def gradients_of(model, pictures, labels, smoothing):
    """Gradients of the mean cross-entropy, as the next training step will find them."""
    targets = labels * (1 - smoothing) + smoothing / 2
    with tf.GradientTape() as tape:
        logits = model(pictures, training=True)
        losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=targets, logits=logits)
        loss = tf.reduce_mean(losses)
    weights = model.trainable_variables
    gradients = tape.gradient(loss, [weight.value for weight in weights])
    return {w.path: np.asarray(g) for w, g in zip(weights, gradients, strict=True)}


@pytest.mark.parametrize(
    ("strategy", "recipe"),
    [
        *((strategy, "modern") for strategy in STRATEGIES if strategy != "scratch-long"),
        ("layerwise", "original"),
    ],
)
def test_updates_by_hand(parent, batches, strategy, recipe):
    model = grow(parent, 2)
    compile_model(model, strategy, steps_per_epoch=2, epochs=2, recipe=recipe, learning_rate=0.05)
    model.run_eagerly = True
    rates, settings_ = rates_of(model, strategy), RECIPES[recipe]
    momenta = {}
    for step in range(2):
        part = slice(step * BATCH, (step + 1) * BATCH)
        pictures, labels = batches[0][part], batches[1][part]
        gradients = gradients_of(model, pictures, labels, settings_.label_smoothing)
        before = values_of(model)
        model.train_on_batch(pictures, labels)
        after = values_of(model)
        for path, rate in rates.items():
            is_statistic = path.endswith(STATISTICS)
            if rate == FROZEN:
                assert after[path].tobytes() == before[path].tobytes(), path
            elif is_statistic:
                assert not np.array_equal(after[path], before[path]), path
            else:
                lr = rate * expected_rate(recipe, step, 2, 2, 0.05)
                gradient = gradients[path]
                momentum = settings_.momentum * momenta.get(path, 0.0) - lr * gradient
                momenta[path] = momentum
                decayed = before[path] * (1 - lr * settings_.weight_decay)
                if settings_.nesterov:
                    expected = decayed + settings_.momentum * momentum - lr * gradient
                else:
                    expected = decayed + momentum
                np.testing.assert_allclose(
                    after[path], expected, rtol=1e-6, atol=1e-7, err_msg=path
                )
    assert {path.split("/")[0] for path in momenta} >= {"head_logit", "stage_3_block_1_conv_1"}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_head_is_always_trained(parent, batches, strategy):
    model = compile_model(grow(parent, 2), strategy, steps_per_epoch=2, epochs=2)
    model.run_eagerly = True
    before = values_of(model)
    model.train_on_batch(batches[0][:BATCH], batches[1][:BATCH])
    assert changed(before, values_of(model)) >= {"head_logit/kernel", "head_logit/bias"}


class RecordRates(keras.callbacks.Callback):
    """Keeps the rate of every part of the optimizer at the start of each step."""

    def __init__(self):
        super().__init__()
        self.rates = []

    def on_train_batch_begin(self, batch, logs=None):
        parts = self.model.optimizer.optimizers
        self.rates.append({part.name: float(part.learning_rate) for part in parts})


def test_multipliers_hold_in_every_epoch_of_a_fit(parent, batches):
    model = compile_model(grow(parent, 2), "layerwise", steps_per_epoch=2, epochs=6)
    record = RecordRates()
    model.fit(*batches, batch_size=BATCH, epochs=6, verbose=0, callbacks=[record])
    assert len(record.rates) == 12
    for step, rates in enumerate(record.rates):
        base = expected_rate("modern", step, 2, 6, 0.1)
        assert rates == {
            "rate_0.4": pytest.approx(0.4 * base, rel=1e-5),
            "rate_0.65": pytest.approx(0.65 * base, rel=1e-5),
            "rate_1": pytest.approx(base, rel=1e-5),
        }, step


@pytest.mark.parametrize("recipe", ["modern", "original"])
def test_multipliers_act_over_a_whole_schedule(parent, recipe):
    """Under a gradient of one everywhere each weight goes the way that its multiplier says."""
    epochs, steps_per_epoch = 72, 2
    model = compile_model(
        grow(parent, 2), "layerwise", steps_per_epoch=steps_per_epoch, epochs=epochs, recipe=recipe
    )
    optimizer, weights = model.optimizer, model.trainable_variables
    optimizer.build(weights)
    for weight in weights:
        weight.assign(tf.ones(weight.shape))
    take_step = tf.function(lambda: optimizer.apply([tf.ones(w.shape) for w in weights], weights))
    rates, settings_ = rates_of(model, "layerwise"), RECIPES[recipe]
    expected = {rate: np.ones(2) * (1.0, 0.0) for rate in (0.4, 0.65, 1.0)}
    for step in range(epochs * steps_per_epoch):
        take_step()
        for rate, (value, momentum) in expected.items():
            lr = rate * expected_rate(recipe, step, steps_per_epoch, epochs, 0.1)
            value -= value * lr * settings_.weight_decay
            momentum = settings_.momentum * momentum - lr
            value += settings_.momentum * momentum - lr if settings_.nesterov else momentum
            expected[rate] = value, momentum
        if (step + 1) % steps_per_epoch == 0:
            for weight in weights:
                values = weight.numpy()
                # Each epoch goes some thousandth of the way or more: a lost multiplier shows.
                np.testing.assert_allclose(
                    values, expected[rates[weight.path]][0], rtol=2e-5, err_msg=weight.path
                )


def test_frozen_keeps_the_parents_bits_and_answers(parent, batches):
    model = compile_model(grow(parent, 2), "frozen", steps_per_epoch=2, epochs=2)
    before = values_of(model)
    model.fit(*batches, batch_size=BATCH, epochs=2, verbose=0)
    moved = changed(before, values_of(model))
    assert moved == {path for path in before if path.startswith(("stage_3_", "head_"))}
    np.testing.assert_array_equal(tap(model, parent)(batches[0]), parent(batches[0]))


def test_frozen_weights_lets_the_statistics_drift(parent, batches):
    model = compile_model(grow(parent, 2), "frozen-weights", steps_per_epoch=2, epochs=2)
    model.run_eagerly = True
    before = values_of(model)
    model.fit(*batches, batch_size=BATCH, epochs=2, verbose=0)
    moved = changed(before, values_of(model))
    new = {path for path in before if path.startswith(("stage_3_", "head_"))}
    assert moved == new | in_place(model, STATISTICS)
    assert not np.array_equal(tap(model, parent)(batches[0]), parent(batches[0]))


def test_compiling_again_undoes_the_former_freezing(parent, batches):
    model = grow(parent, 2)
    for strategy in ("frozen", "frozen-weights", "finetune", "frozen", "layerwise"):
        compile_model(model, strategy, steps_per_epoch=2, epochs=2, learning_rate=0.5)
        model.run_eagerly = True
        rates, before = rates_of(model, strategy), values_of(model)
        model.train_on_batch(batches[0][:BATCH], batches[1][:BATCH])
        expected = {path for path, rate in rates.items() if rate != FROZEN}
        assert changed(before, values_of(model)) == expected, strategy


@pytest.mark.parametrize("frozen_before", ["whole", "part", "layer", "weight"])
def test_compiling_undoes_what_was_frozen_by_hand(parent, frozen_before):
    model = grow(parent, 2)
    stem = model.get_layer("stem")
    norm = stem.get_layer("stem_norm")
    target = {"whole": model, "part": stem, "layer": norm, "weight": norm.gamma}[frozen_before]
    target.trainable = False
    compile_model(model, "finetune", steps_per_epoch=2, epochs=2)
    assert {weight.path for weight in model.trainable_weights} == {
        weight.path for weight in model.weights if weight.name not in STATISTICS
    }


@pytest.mark.parametrize("level", [2, 3, 4])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_one_optimizer_for_each_rate_covers_what_is_trainable(level, strategy):
    model = compile_model(build_model(level, PICTURE_SIZE), strategy, steps_per_epoch=2, epochs=2)
    optimizer = model.optimizer
    optimizer.build(model.trainable_variables)
    rates = rates_of(model, strategy)
    learned = {w.path: rates[w.path] for w in model.weights if w.name not in STATISTICS}
    expected = {}
    for path, rate in learned.items():
        if rate != FROZEN:
            expected.setdefault(f"rate_{rate:g}", set()).add(path)
    found = {
        part.name: {weight.path for weight in part._trainable_variables}
        for part in optimizer.optimizers
    }
    assert found == expected
    assert base_learning_rate(optimizer) == pytest.approx(expected_rate("modern", 0, 2, 2, 0.1))


def test_a_root_is_compiled(batches):
    model = compile_model(build_model(1, PICTURE_SIZE), "scratch", steps_per_epoch=2, epochs=2)
    model.run_eagerly = True
    before = values_of(model)
    model.train_on_batch(batches[0][:BATCH], batches[1][:BATCH])
    assert changed(before, values_of(model)) == before.keys()


def test_logs_the_metrics_without_smoothing(parent, batches):
    model = compile_model(grow(parent, 2), "finetune", steps_per_epoch=2, epochs=2)
    model.run_eagerly = True
    shown = model.evaluate(*batches, batch_size=6, verbose=0, return_dict=True)
    logits = np.asarray(model(batches[0]))[:, 0]
    labels = batches[1][:, 0]
    losses = {
        smoothing: np.logaddexp(0, logits) - (labels * (1 - smoothing) + smoothing / 2) * logits
        for smoothing in (0.0, 0.1)
    }
    assert shown == {
        "loss": pytest.approx(losses[0.1].mean(), rel=1e-5),
        "cross_entropy": pytest.approx(losses[0.0].mean(), rel=1e-5),
        "accuracy": pytest.approx(((logits > 0) == labels).mean()),
        "sensitivity": pytest.approx((logits[labels == 1] > 0).mean()),
        "specificity": pytest.approx((logits[labels == 0] <= 0).mean()),
    }


def test_bfloat16_trains_in_float32_weights(parent, batches):
    model = grow(parent, 2, precision="bfloat16")
    compile_model(model, "finetune", steps_per_epoch=2, epochs=2)
    model.run_eagerly = True
    before = values_of(model)
    loss = model.train_on_batch(batches[0][:BATCH], batches[1][:BATCH])[0]
    after = values_of(model)
    assert np.isfinite(loss)
    assert changed(before, after) == before.keys()
    assert all(np.isfinite(values).all() for values in after.values())
    assert {values.dtype for values in after.values()} == {np.dtype("float32")}


@pytest.mark.parametrize("recipe", RECIPES)
@given(steps_per_epoch=st.integers(1, 50), epochs=st.integers(1, 100))
@settings(max_examples=30, deadline=None)
def test_schedules_of_any_length(recipe, steps_per_epoch, epochs):
    rates = rates_of_steps(RECIPES[recipe], 0.3, Schedule(steps_per_epoch, epochs))
    steps = range(steps_per_epoch * epochs)
    expected = [expected_rate(recipe, step, steps_per_epoch, epochs, 0.3) for step in steps]
    np.testing.assert_allclose(rates, expected, rtol=1e-6)
    assert rates.dtype == np.float32
    assert rates.min() > 0
    assert rates.max() == np.float32(0.3)


def test_the_original_decays_every_30_epochs():
    rates = rates_of_steps(RECIPES["original"], 0.1, Schedule(steps_per_epoch=5, epochs=72))
    by_hand = [0.1] * 150 + [0.01] * 150 + [0.001] * 60
    np.testing.assert_allclose(rates, by_hand, rtol=1e-6)


def test_the_modern_schedule_by_hand():
    # Two epochs of three steps up to the highest rate, then half a cosine over the other twelve.
    rates = rates_of_steps(RECIPES["modern"], 0.7, Schedule(steps_per_epoch=3, epochs=6))
    np.testing.assert_allclose(rates[:7], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7], rtol=1e-6)
    np.testing.assert_allclose(rates[[8, 12, 16]], [0.6531089, 0.35, 0.0468911], rtol=1e-6)
    assert np.all(np.diff(rates[6:]) < 0)


def test_a_rate_table_holds_its_last_rate_and_is_saved():
    table = RateTable([0.1, 0.2, 0.4])
    restored = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(table))
    for schedule in (table, tf.function(table), restored):
        rates = [float(schedule(tf.constant(step, "int64"))) for step in (0, 1, 2, 3, 100)]
        assert rates == [np.float32(rate) for rate in (0.1, 0.2, 0.4, 0.4, 0.4)]


def test_the_base_rate_follows_the_steps(parent, batches):
    model = compile_model(grow(parent, 2), "layerwise", steps_per_epoch=2, epochs=3)
    model.run_eagerly = True
    for step in range(2):
        expected = expected_rate("modern", step, 2, 3, 0.1)
        assert base_learning_rate(model.optimizer) == pytest.approx(expected, rel=1e-5)
        model.train_on_batch(batches[0][:2], batches[1][:2])


@pytest.mark.parametrize("bad", [{"strategy": "frozn"}, {"recipe": "modren"}])
def test_unknown_names_are_refused(parent, bad):
    call = {"strategy": "finetune", "recipe": "modern"} | bad
    with pytest.raises(ValueError, match="is not known.*did you mean"):
        compile_model(grow(parent, 2), steps_per_epoch=2, epochs=2, **call)
