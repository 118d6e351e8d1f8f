"""A parent's run and the runs of a task that were grown beside it, found and checked."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from modnet_keras.data.manifest import Manifest
from modnet_keras.errors import CallError, WorkError
from modnet_keras.models import build_model, tap
from modnet_keras.tasks import Task
from modnet_keras.training.evaluation import own_manifest
from modnet_keras.training.run import CONFIG, Run, find_runs
from modnet_keras.training.strategies import get_strategy


@dataclass(frozen=True)
class Family:
    """Runs of one task that have the same parent run.

    Attributes
    ----------
    parent : Run
    children : list of Run
    manifest : Manifest
        The parent's own images.
    """

    parent: Run
    children: list[Run]
    manifest: Manifest

    @property
    def name(self) -> str:
        """The parent's run as its path from the runs folder, in most cases `task/run`."""
        return self.children[0].config["parent_run"]


def find_families(
    task: Task,
    runs: str | Path,
    strategies: Sequence[str] | None = None,
    data: str | Path | None = None,
) -> tuple[list[Family], list[Run]]:
    """The finished runs of a task, by the parent's run that they belong to, and the others.

    Returns
    -------
    families : list of Family
    unfinished : list of Run

    Raises
    ------
    CallError
        If the task has no parent, no finished run, or none of a strategy that is asked for.
    WorkError
        If a parent's run or its images are gone, or a parent was trained anew since.
    """
    if task.parent is None:
        raise CallError(
            f"task {task.name} is a root: it has no parent that could be forgotten; give one of "
            "its children."
        )
    found = _of_strategies(find_runs(runs, task.name), task, runs, strategies)
    children: dict[Path | None, list[Run]] = {}
    for run in found:
        if run.is_finished:
            _refuse_other_parent(run, task)
            children.setdefault(run.parent_folder, []).append(run)
    families = []
    for folder, of_parent in children.items():
        parent = _open_parent(folder, of_parent)
        families.append(Family(parent, of_parent, _images_of(parent, data)))
    return families, [run for run in found if not run.is_finished]


def tapped_model(child: Run, parent: Run) -> keras.Model:
    """The parent's head on the child's tap, computed as the parent computes.

    A child that was trained at another precision is built anew at its parent's.
    """
    model = child.model
    if child.config["precision"] != parent.config["precision"]:
        config = child.config
        model = build_model(
            config["level"], config["image_size"], precision=parent.config["precision"]
        )
        model.set_weights(child.model.get_weights())
    return tap(model, parent.model)


def identical_parts(
    child: Run, parent: Run, hashed: Sequence[str] = ("weights", "statistics")
) -> list[str]:
    """Parts of the parent, head aside, of which the child has to the bit what is hashed."""
    before, after = parent.hashes["after"], child.hashes["after"]
    return [
        part
        for part in before
        if part != "head" and all(before[part][key] == after[part][key] for key in hashed)
    ]


def refuse_unequal_bits(child: Run, of_child: np.ndarray, of_parent: np.ndarray) -> None:
    """Hold the logits of a child that is identical to its parent against the parent's, as bits.

    Raises
    ------
    WorkError
        If any differ.
    """
    # As numbers 0 and -0 would be equal, and two NaNs unequal.
    unequal = int((of_child.view("uint32") != of_parent.view("uint32")).sum())
    if unequal:
        raise WorkError(
            f"run '{child.folder}' has its parent's weights and statistics to the bit, and yet "
            f"{unequal} of {len(of_parent)} logits differ from the parent's; they should be the "
            "same bits."
        )


def _of_strategies(found, task, runs, strategies):
    for strategy in strategies or ():
        get_strategy(strategy)
        if not any(run.is_finished and run.config["strategy"] == strategy for run in found):
            raise CallError(
                f"--strategies: task {task.name} has no finished run by {strategy} in '{runs}'; "
                f"train it with --task={task.name} --strategy={strategy}."
            )
    if not any(run.is_finished for run in found):
        raise CallError(
            f"task {task.name} has no finished run in '{runs}'; train one with --task={task.name}."
        )
    return [run for run in found if not strategies or run.config["strategy"] in strategies]


def _refuse_other_parent(run, task):
    parent = run.task.parent
    if parent is None or parent.name != task.parent.name:
        found = f"it had parent {parent.name}" if parent else "it had no parent"
        raise WorkError(
            f"the spec of task {task.name} has changed since run '{run.folder}' was trained: "
            f"{found}, and now it is {task.parent.name}; train it anew with --overwrite, or move "
            "its folder away."
        )


def _images_of(parent, data):
    try:
        return own_manifest(parent, data)
    except CallError as error:
        if data is not None:
            raise
        raise CallError(
            f"data folder '{parent.config['data']}' of the parent's run '{parent.folder}' is not "
            "there; say with --data where it is now."
        ) from error


def _open_parent(folder, children):
    parent = Run(folder)
    if not (folder / CONFIG).is_file() or not parent.is_finished:
        raise WorkError(
            f"run '{children[0].folder}' grew out of '{folder}', which is no finished run any more."
        )
    parent.check_hashes()
    for child in children:
        child.check_hashes()
        if child.hashes["parent"] != parent.hashes["after"]:
            raise WorkError(
                f"the parent's run '{folder}' was trained anew since '{child.folder}' grew out of "
                "it; train the child anew with --overwrite, or move its folder away."
            )
    return parent
