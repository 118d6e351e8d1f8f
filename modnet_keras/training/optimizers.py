"""A strategy's table put into force: what is frozen, and one optimizer for each learning rate."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from modnet_keras.training.recipes import Recipe, get_recipe
from modnet_keras.training.strategies import FROZEN, Row, get_strategy

DECAY_EVERY_EPOCHS = 30
DECAY_RATE = 0.1


class Schedule(NamedTuple):
    """Lengths that a learning-rate schedule is made for."""

    steps_per_epoch: int
    epochs: int


def compile_model(
    model: keras.Model,
    strategy: str,
    *,
    steps_per_epoch: int = 1,
    epochs: int | None = None,
    recipe: str = "modern",
    learning_rate: float | None = None,
) -> keras.Model:
    """Freeze what the strategy freezes and compile the model for `fit`.

    Parameters
    ----------
    model : keras.Model
        From `grow` for a child, from `build_model` for a root or a child from scratch. Changed in
        place.
    strategy : str
        A key of `STRATEGIES`.
    steps_per_epoch, epochs : int, optional
        Lengths of the schedule: batches an epoch, epochs. Without `epochs` the rate is constant.
    recipe : {"modern", "original"}
    learning_rate : float, optional
        The schedule's highest rate; the recipe's where absent.

    Returns
    -------
    keras.Model
        The same model, with a `MultiOptimizer` whose parts are named by their multiplier.

    Raises
    ------
    ValueError
        If the strategy's table leaves a weight of the model uncovered or covers it twice.

    Examples
    --------
    >>> from modnet_keras import build_model, grow
    >>> child = grow(build_model(1, image_size=32), 2)
    >>> child = compile_model(child, "layerwise", steps_per_epoch=10, epochs=20)
    >>> [part.name for part in child.optimizer.optimizers]
    ['rate_0.4', 'rate_0.65', 'rate_1']
    """
    from modnet_keras.models import level_of
    from modnet_keras.training.metrics import Sensitivity, Specificity

    settings = get_recipe(recipe)
    rates = assign_rates(model, get_strategy(strategy).table(level_of(model)))
    freeze(model, rates)
    learning_rate = learning_rate or settings.learning_rate
    rates_by_step = np.full(1, learning_rate, "float32")
    if epochs is not None:
        rates_by_step = rates_of_steps(settings, learning_rate, Schedule(steps_per_epoch, epochs))
    model.compile(
        optimizer=make_optimizer(model, rates, settings, rates_by_step),
        loss=keras.losses.BinaryCrossentropy(
            from_logits=True, label_smoothing=settings.label_smoothing
        ),
        metrics=[
            keras.metrics.BinaryCrossentropy(name="cross_entropy", from_logits=True),
            keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0),
            Sensitivity(),
            Specificity(),
        ],
        jit_compile=False,
    )
    # Or the first step would be traced twice: to make the optimizer's variables, and to use them.
    model.optimizer.build(model.trainable_variables)
    return model


def assign_rates(model: keras.Model, table: Sequence[Row]) -> dict[str, float | str]:
    """Find the one row of a table that covers each weight of a model.

    Returns
    -------
    dict
        From each weight's path to its multiplier or FROZEN.
    """
    rates, wrong = {}, []
    for weight in model.weights:
        rows = [row for row in table if re.fullmatch(row.pattern, weight.path)]
        if len(rows) == 1:
            rates[weight.path] = rows[0].rate
        else:
            wrong.append(f"{weight.path} by {[row.pattern for row in rows] or 'none'}")
    if wrong:
        raise ValueError(f"every weight must be covered by exactly one row. Covered: {wrong}")
    return rates


def freeze(model: keras.Model, rates: Mapping[str, float | str]) -> None:
    """Set what is trainable in a model by the rates of its weights, whatever was set before."""
    model.trainable = True
    for part in model.layers:
        for layer in getattr(part, "layers", ()):
            _freeze_layer(layer, rates)


def _freeze_layer(layer, rates):
    if not layer.weights:
        return
    frozen = [rates[weight.path] == FROZEN for weight in layer.weights]
    layer.trainable = not all(frozen)
    if isinstance(layer, keras.layers.BatchNormalization):
        statistics = [rates[v.path] == FROZEN for v in (layer.moving_mean, layer.moving_variance)]
        if any(statistics) and not all(frozen):
            # Keras fixes a batch norm's statistics only together with its scale and shift.
            raise ValueError(
                f"frozen statistics need a frozen scale and shift. Received: layer {layer.name}"
            )
        for weight in (layer.gamma, layer.beta):
            weight.trainable = rates[weight.path] != FROZEN
    elif any(frozen) and not all(frozen):
        raise ValueError(f"a layer is frozen as a whole. Received: layer {layer.name}")


def make_optimizer(
    model: keras.Model, rates: Mapping[str, float | str], recipe: Recipe, rates_by_step: np.ndarray
) -> keras.optimizers.Optimizer:
    """One SGD for each multiplier in use, as a `MultiOptimizer` that covers what is trainable."""
    paths_of: dict[float, list[str]] = {}
    for weight in model.trainable_variables:
        paths_of.setdefault(float(rates[weight.path]), []).append(weight.path)
    parts = {
        "|".join(map(re.escape, paths)): keras.optimizers.SGD(
            RateTable(rates_by_step * np.float32(rate)),
            momentum=recipe.momentum,
            nesterov=recipe.nesterov,
            weight_decay=recipe.weight_decay,
            name=f"rate_{rate:g}",
        )
        for rate, paths in sorted(paths_of.items())
    }
    fastest = list(parts.values())[-1]
    # The map needs a default; every path is matched, so that it never applies.
    # Named: Keras numbers the nameless in the order made, and a snapshot is matched by names.
    return keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(fastest, parts), name="by_rate"
    )


def rates_of_steps(recipe: Recipe, learning_rate: float, schedule: Schedule) -> np.ndarray:
    """Learning rate of every step by a recipe's schedule, float32 [epochs * steps_per_epoch]."""
    steps = np.arange(schedule.epochs * schedule.steps_per_epoch)
    if recipe.schedule == "step":
        times = steps // schedule.steps_per_epoch // DECAY_EVERY_EPOCHS
        return (learning_rate * DECAY_RATE**times).astype("float32")
    warmup = min(recipe.warmup_epochs * schedule.steps_per_epoch, len(steps) // 2)
    # From 1, as a first step at rate 0 would be a step for nothing.
    rising = (steps + 1) / (warmup + 1)
    falling = (1 + np.cos(np.pi * (steps - warmup) / (len(steps) - warmup))) / 2
    return (learning_rate * np.where(steps < warmup, rising, falling)).astype("float32")


@keras.saving.register_keras_serializable(package="modnet_keras")
class RateTable(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule that looks the rate of a step up in a table; the last one holds from there on.

    Keras asks a schedule anew for each weight that decays: with the many operations of its own
    `CosineDecay`, and still of `keras.ops.take`, this took a good part of the time before a
    training's first step.
    """

    def __init__(self, rates: ArrayLike) -> None:
        """Take the rates, one a step."""
        self.rates = tf.constant(np.asarray(rates, "float32"))

    def __call__(self, step):
        """Rate of a step, counted from 0."""
        last = len(self.rates) - 1
        return tf.gather(self.rates, tf.minimum(tf.cast(step, tf.int32), last))

    def get_config(self) -> dict[str, Any]:
        """The table, for saving."""
        return {"rates": self.rates.numpy().tolist()}


def base_learning_rate(optimizer: keras.optimizers.Optimizer) -> float:
    """The rate for multiplier 1 at the optimizer's present step (a `MultiOptimizer` has none)."""
    fastest = max(optimizer.optimizers, key=lambda part: float(part.name.removeprefix("rate_")))
    multiplier = float(fastest.name.removeprefix("rate_"))
    return float(keras.ops.convert_to_numpy(fastest.learning_rate)) / multiplier


def steps_done(model: keras.Model) -> int:
    """Steps that a compiled model has been trained for, over all epochs."""
    # Not `int`, which a variable that is mirrored on several devices does not take.
    return int(keras.ops.convert_to_numpy(model.optimizer.iterations))
