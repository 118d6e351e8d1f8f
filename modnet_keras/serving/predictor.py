"""Predictions for files and folders of pictures, a batch of them in memory at a time."""

import itertools
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from modnet_keras.data.decode_rows import read_rows
from modnet_keras.data.image_check import check_image
from modnet_keras.data.sources import picture_files
from modnet_keras.errors import CallError
from modnet_keras.serving.answers import answer, rows_of
from modnet_keras.serving.explain import Explainer, Explanation
from modnet_keras.serving.network import build_network
from modnet_keras.serving.tree import Tree, as_tree
from modnet_keras.training.devices import configure_devices
from modnet_keras.training.run import Run

EXPLAINED = ".explained.png"
"""What the name of a picture's explanation ends in, behind the whole name of the picture."""

_BATCH = 64


@dataclass(frozen=True)
class Prediction:
    """What is said of one file.

    Attributes
    ----------
    row : dict
        `path`, `label`, `probability` and `valid`; of a tree also each task's probability, by its
        name. `probability` is that of the task, in a tree the product along the path; 0 where the
        file is no picture.
    reason : str or None
        Why it is no picture, a short phrase.
    explanation : Explanation or None
    """

    row: dict[str, Any]
    reason: str | None = None
    explanation: Explanation | None = None


class Predictor:
    """Predictions of a run, or of a tree of runs, in the precision that they were trained in.

    Parameters
    ----------
    model : Run, path or Tree
    explain : bool
        Make a heat map of every picture too.
    """

    def __init__(self, model: Run | Tree | str | Path, explain: bool = False) -> None:
        configure_devices()
        self.tree = as_tree(model)
        self.explainer = Explainer(self.tree, read_rows) if explain else None
        if explain:
            return
        network = build_network(self.tree)

        def answer_files(paths):
            pictures, valid = read_rows(paths, self.tree.image_size)
            return answer(self.tree, network(pictures, training=False), valid)

        signature = [tf.TensorSpec([None], tf.string)]
        self._answer_files = tf.function(answer_files, signature, autograph=False)

    def predict(self, paths: Iterable[str | Path]) -> Iterator[Prediction]:
        """Yield a prediction for every file, in order, as they are worked out."""
        remaining = iter(paths)
        while batch := list(itertools.islice(remaining, _BATCH)):
            reasons = [check_image(path) for path in batch]
            good = [path for path, reason in zip(batch, reasons, strict=True) if reason is None]
            explainer = self.explainer
            answers = self._explained(explainer, good) if explainer else self._answered(good)
            found = iter(answers)
            for path, reason in zip(batch, reasons, strict=True):
                answered, explanation = ({}, None) if reason else next(found)
                if not answered.get("valid"):
                    reason = reason or "cannot be decoded"
                yield Prediction(self._row(path, answered), reason, explanation)

    def _answered(self, paths):
        if not paths:
            return []
        rows = rows_of(self._answer_files([os.fsencode(path) for path in paths]))
        return [(row, None) for row in rows]

    def _explained(self, explainer, paths):
        if not paths:
            return []
        explanations = explainer.explain([os.fsencode(path) for path in paths])
        return [(found.row, found) if found else ({}, None) for found in explanations]

    def _row(self, path, answered):
        row = {"path": os.fspath(path), "label": "", "probability": 0.0, "valid": False}
        of_tasks = dict.fromkeys(self.tree.tasks, 0.0)
        if answered.get("valid"):
            row |= {key: answered[key] for key in ("label", "probability", "valid")}
        if self.tree.is_single:
            return row
        if row["valid"]:
            row["probability"] = answered["path_probability"]
            of_tasks = dict(zip(self.tree.tasks, answered["probability"], strict=True))
        return row | of_tasks


def predict(
    run: Run | Tree | str | Path, images: str | Path | Iterable[str | Path]
) -> list[dict[str, Any]]:
    """Predict the class of pictures.

    Parameters
    ----------
    run : Run, path of a run's folder, or Tree
        What is asked; `load_tree` gives a tree.
    images : path, or sequence of paths
        Files, and folders whose pictures are all taken.

    Returns
    -------
    list of dict
        A row a picture, in order: `path`, `label` (the task's name, or not-NAME; a tree's is the
        deepest task that said yes), `probability` (of the task; in a tree the product along the
        path), `valid` (False where a file is no picture: probability 0, no label), and of a tree
        each task's own probability by its name.

    Raises
    ------
    CallError
        If a path is not there, or a folder holds no pictures.

    Examples
    --------
    >>> from modnet_keras import load_run, predict
    >>> validation = load_run("runs/animals/scratch").manifest().paths("val")
    >>> row = predict("runs/animals/scratch", validation[:1])[0]
    >>> row["label"] in ("animals", "not-animals"), 0 <= row["probability"] <= 1
    (True, True)
    """
    images = [images] if isinstance(images, str | os.PathLike) else images
    files = find_images(images)
    return [prediction.row for prediction in Predictor(run).predict(files)]


def find_images(paths: Iterable[str | Path]) -> list[str]:
    """The picture files that some paths name: files as they are, of a folder all below it, sorted.

    Raises
    ------
    CallError
        If a path is not there, or a folder holds no pictures.
    """
    files = []
    for path in paths:
        if os.path.isdir(path):  # noqa: PTH112 (as it was given)
            below = sorted(name for name, _ in picture_files(path) if not name.endswith(EXPLAINED))
            if not below:
                raise CallError(f"folder '{path}' holds no pictures.")
            files += [os.path.join(path, name) for name in below]  # noqa: PTH118
        elif os.path.lexists(path):
            files.append(os.fspath(path))
        else:
            raise CallError(f"'{path}' is not there.")
    return files
