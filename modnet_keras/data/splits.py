"""Which images of a folder are for validation: one split for all tasks, by a rule or by folds."""

import hashlib
import os
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from modnet_keras.tasks import image_class


@dataclass(frozen=True)
class Fold:
    """One fold of a k-fold split: its images are for validation, those of all others for training.

    Attributes
    ----------
    number : int
        From 1 to `folds`.
    folds : int
        How many parts the images of every class are dealt out to, 2 or more.
    seed : int
        Another seed deals them out anew; folds of one seed are the parts of one whole.
    """

    number: int
    folds: int
    seed: int = 0


def is_fold_setting(value: Any) -> bool:
    """Whether a value, as JSON gives it, is that of a `Fold` or None."""
    if value is None:
        return True
    keys = ("number", "folds", "seed")
    if not isinstance(value, dict) or set(value) != set(keys):
        return False
    is_whole = all(type(value[key]) is int for key in keys)
    return is_whole and value["folds"] >= 2 and 1 <= value["number"] <= value["folds"]


def draw_split(paths: Iterable[str], seed: int, val_fraction: float) -> dict[str, str]:
    """Split every image of the folder, of whatever task: only so is the split one for all.

    The images of a class are ordered by SHA-256 of (seed, class, file name); the first
    round(val_fraction x n) are for validation.

    Parameters
    ----------
    paths : sequence of str [n]
        Below the data folder.

    Returns
    -------
    dict of str to str
        From each path to "train" or "val".
    """
    splits = {}
    for cls, of_class in _by_class(paths).items():
        held_out = round(val_fraction * len(of_class))
        for place, path in enumerate(_in_order(seed, cls, of_class)):
            splits[path] = "val" if place < held_out else "train"
    return splits


def draw_fold(paths: Iterable[str], fold: Fold) -> dict[str, str]:
    """Split every image of the folder by one fold, stratified by class.

    Scikit-learn's `StratifiedKFold` deals the images out, in the order of `draw_split`: a class's
    numbers in any two folds differ by at most one. Where an image falls depends on (seed, class,
    file name) and the sizes of the classes, and not on the task.

    Parameters
    ----------
    paths : sequence of str [n]
        Below the data folder. At least one class has `fold.folds` images or more.
    fold : Fold

    Returns
    -------
    dict of str to str
        From each path to "train" or "val".
    """
    from sklearn.model_selection import StratifiedKFold

    ordered, classes = [], []
    for cls, of_class in sorted(_by_class(paths).items()):
        ordered += _in_order(fold.seed, cls, of_class)
        classes += [cls] * len(of_class)
    with warnings.catch_warnings():
        # Classes smaller than the number of folds that no task asks about do no harm.
        warnings.filterwarnings("ignore", "The least populated class")
        parts = list(StratifiedKFold(fold.folds).split(ordered, classes))
    splits = dict.fromkeys(ordered, "train")
    splits |= {ordered[place]: "val" for place in parts[fold.number - 1][1]}
    return splits


def smallest_class(classes: Iterable[str]) -> tuple[str, int]:
    """The class with the fewest images, and how many, of the class of each image [n], n > 0."""
    return min(Counter(classes).items(), key=lambda item: (item[1], item[0]))


def rank(seed: int, cls: str, path: str) -> tuple[bytes, str]:
    """Place of an image within its class: by SHA-256 of (seed, class, file name), then by path."""
    name = path.rsplit("/", 1)[-1]
    return hashlib.sha256(os.fsencode(f"{seed}\0{cls}\0{name}")).digest(), path


def _by_class(paths):
    by_class = defaultdict(list)
    for path in paths:
        by_class[image_class(tuple(path.split("/")[:-1]))].append(path)
    return by_class


def _in_order(seed, cls, paths):
    return sorted(paths, key=lambda path: rank(seed, cls, path))
