"""How a child takes over its parent's stages, each way as one table.

A table is a list of rows (pattern, rate). The pattern must match a weight's whole path, for
instance `stage_2_block_1_conv_1/kernel`; the rate multiplies the learning rate, or is FROZEN. The
rows cover every weight of a model, batch-norm statistics included, exactly once. A statistic has no
learning rate: FROZEN, it stays and normalises in training as it does in inference; otherwise its
layer normalises by the batch and the statistic follows.

A new strategy is one entry in `STRATEGIES`. Nothing here loads TensorFlow.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from modnet_keras.errors import unknown_name

FROZEN = "frozen"
STATISTICS = "(moving_mean|moving_variance)"
LEARNED = "(kernel|bias|gamma|beta)"


class Row(NamedTuple):
    """One row of a strategy's table: the paths it covers, and their multiplier or FROZEN."""

    pattern: str
    rate: float | str


@dataclass(frozen=True)
class Strategy:
    """A way to carry the parent's stages over.

    Attributes
    ----------
    summary : str
        One line for help texts and tables.
    takes_over : bool
        Whether the child starts from its parent's weights.
    table : callable
        From a task's level, 1 or more, to its rows.
    at_equal_compute : bool
        Whether training goes on until it has cost as much as a `finetune` child and all the
        training that such a child's parent has had.
    """

    summary: str
    takes_over: bool
    table: Callable[[int], list[Row]]
    at_equal_compute: bool = False


def _all_alike(level):
    return [Row(".*", 1.0)]


def _newest(level, rate=1.0):
    return Row(rf"(stage_{level + 1}|head)_.*", rate)


def _inherited(level):
    return f"(stem|{'|'.join(f'stage_{number}' for number in range(1, level + 1))})_[^/]*"


def _layerwise(level):
    # ModNet gave 0.4 and 0.65 to its two old stages; a deeper task's further ones lie evenly
    # between 0.65 and the newest stage's 1.
    further = [0.65 + 0.35 * step / (level - 1) for step in range(1, level - 1)]
    rates = [0.4, 0.65, *further][:level]
    old = [Row(rf"stage_{number}_.*", rate) for number, rate in enumerate(rates, start=1)]
    return [Row("stem_.*", rates[0]), *old, _newest(level)]


def _frozen(level):
    return [Row(f"{_inherited(level)}/.*", FROZEN), _newest(level)]


def _frozen_weights(level):
    return [
        Row(f"{_inherited(level)}/{LEARNED}", FROZEN),
        Row(f"{_inherited(level)}/{STATISTICS}", 1.0),
        _newest(level),
    ]


STRATEGIES = {
    "scratch": Strategy("nothing is taken over: the control", False, _all_alike),
    "scratch-long": Strategy(
        "nothing is taken over, at the compute of parent and child together",
        False,
        _all_alike,
        at_equal_compute=True,
    ),
    "finetune": Strategy("taken over, all learn at one rate", True, _all_alike),
    "layerwise": Strategy(
        "taken over, the older a stage the slower it learns (0.4, 0.65, ... 1)", True, _layerwise
    ),
    "frozen": Strategy(
        "taken over, weights and batch-norm statistics fixed: nothing is forgotten", True, _frozen
    ),
    "frozen-weights": Strategy(
        "taken over, weights fixed, batch-norm statistics drift (ModNet's Frozen as it was run)",
        True,
        _frozen_weights,
    ),
}


def get_strategy(name: str) -> Strategy:
    """The strategy of that name.

    Raises
    ------
    CallError
        If there is none, with the nearest right name.
    """
    if name not in STRATEGIES:
        raise unknown_name("strategy", name, STRATEGIES)
    return STRATEGIES[name]
