"""The studies' files and the words for what they hold, for who writes and who shows them.

Loads no TensorFlow.
"""

from collections.abc import Mapping
from typing import Any

from modnet_keras.training.measures import SHARES

FORGETTING = "forgetting.csv"
DETAILS = "forgetting.json"
ATTRIBUTION = "forgetting_attribution.csv"
REPAIR = "forgetting_repair.csv"

# Of the parent's task: what a resample of images has without sorting their logits anew.
MEASURES = ("accuracy", "sensitivity", "specificity")
# In the order in which they are shown: validation is what counts.
SPLIT_NAMES = {"val": "validation", "train": "training"}
KIND_NAMES = {
    "statistics": "batch-norm statistics",
    "scale_shift": "batch-norm scale and shift",
    "convolutions": "convolution weights",
}
ALL_STAGES = "all"

ESTIMATE = "estimate.csv"
ESTIMATE_DETAILS = "estimate.json"
ESTIMATE_FIGURE = "estimate.png"
ESTIMATE_SETTINGS = "settings.json"
ENGINES = ("local", "ray")
# Of a row of an estimate, in the order of its columns.
_TEXTS = ("task", "strategy", "run")
_NUMBERS = ("val_fraction", "repeat", "seed", "n", *SHARES, "seconds", "n_train")
_NUMBERS_OR_NONE = ("fold", "forgetting", "parent_n", "parent_n_train")
ESTIMATE_COLUMNS: tuple[str, ...] = ("task", "strategy", "val_fraction", "repeat", "fold", "seed")
ESTIMATE_COLUMNS += ("n", *SHARES, "forgetting", "seconds", "run")
FOLD_RESULT = "result.json"
FOLD_LOG = "log.txt"


def is_whole_row(row: Mapping[str, Any]) -> bool:
    """Whether a row of a fold's result holds everything that an estimate takes of it."""
    return (
        all(isinstance(row.get(key), str) for key in _TEXTS)
        and all(isinstance(row.get(key), int | float) for key in _NUMBERS)
        and all(isinstance(row.get(key, ""), int | float | None) for key in _NUMBERS_OR_NONE)
    )
