"""What the report says of runs: each run of a folder, whole or not, and the tree of their tasks."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modnet_keras.errors import WorkError
from modnet_keras.reports.plots import PANELS, SPLITS
from modnet_keras.tasks import Task
from modnet_keras.training.run import CONFIG, HISTORY, METRICS, MODEL, Run, find_runs

CURVES = [prefix + measure for prefix in SPLITS for measure in PANELS]


@dataclass
class RunEntry:
    """A run as far as its files can be read.

    Attributes
    ----------
    task_name, name : str
        The names of its folders, as text that a figure can hold.
    run : Run
    config, metrics : dict
        Empty where they cannot be read.
    history : list of dict
    task : Task or None
    problem : str or None
        Why the run is not whole, as a sentence.
    """

    task_name: str
    name: str
    run: Run
    config: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, dict[str, Any]] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    task: Task | None = None
    problem: str | None = None

    @property
    def title(self) -> str:
        """The run as `task/run`."""
        return f"{self.task_name}/{self.name}"

    @property
    def state(self) -> str:
        """One of finished, not finished and damaged."""
        if self.problem:
            return "damaged"
        return "finished" if self.run.is_finished else "not finished"

    @property
    def epochs(self) -> str:
        """Epochs that were trained, with those that were to be where they are more."""
        done, wanted = len(self.history), self.config.get("epochs", 0)
        return f"{done} of {wanted}" if done < wanted else str(done)

    @property
    def seconds(self) -> float | None:
        """Seconds of all epochs together, or None."""
        total = sum(row.get("seconds", math.nan) for row in self.history)
        return total if self.history and math.isfinite(total) else None

    def share(self, split: str, measure: str) -> float | None:
        """A metric of a split, or None."""
        return self.metrics.get(split, {}).get(measure)


@dataclass
class EstimatedTask:
    """A task that an estimate was made of.

    Attributes
    ----------
    task_name : str
        The name of its folder, as text that a figure can hold.
    task : Task or None
        None where the file cannot be read: the section of the task says why.
    data : str or None
        Where its pictures are, if that can be read.
    """

    task_name: str
    task: Task | None = None
    data: str | None = None


@dataclass
class TaskEntry:
    """A task of the tree: `level` is None where no run of it can be read."""

    name: str
    level: int | None
    parent: str | None
    is_estimated: bool = False
    runs: list[RunEntry] = field(default_factory=list)
    children: list["TaskEntry"] = field(default_factory=list)


def plain_text(name: str) -> str:
    """A file's name as text: bytes in it that are no text become question marks."""
    return name.encode("utf-8", "replace").decode()


def read_runs(runs: str | Path) -> list[RunEntry]:
    """Every run of a runs folder, by task and name: a list of `RunEntry`."""
    folders = sorted(path for path in Path(runs).iterdir() if path.is_dir())
    return [
        _read_entry(run)
        for folder in folders
        for run in (*find_runs(runs, folder.name), *_runs_without_config(folder))
    ]


def grow_tree(
    entries: Sequence[RunEntry], estimated: Sequence[EstimatedTask] = ()
) -> list[TaskEntry]:
    """The tasks of some runs and all above them, each below its parent: the roots' `TaskEntry`s.

    Tasks that were estimated, each with `task_name` and `task`, are in it too.
    """
    tasks: dict[str, TaskEntry] = {}
    found: list[RunEntry | EstimatedTask] = [*entries, *estimated]
    for entry in found:
        if entry.task:
            for task in (*entry.task.ancestors, entry.task):
                tasks.setdefault(task.name, TaskEntry(task.name, task.level, task.spec.parent))
    for entry in found:
        tasks.setdefault(entry.task_name, TaskEntry(entry.task_name, None, None))
    for entry in entries:
        tasks[entry.task_name].runs.append(entry)
    for entry in estimated:
        tasks[entry.task_name].is_estimated = True
    for branch in tasks.values():
        if branch.parent:
            tasks[branch.parent].children.append(branch)
    return [branch for branch in tasks.values() if branch.parent is None]


def in_order(branches: Iterable[TaskEntry]) -> list[TaskEntry]:
    """The tasks of a tree, each before its children."""
    return [found for task in branches for found in (task, *in_order(task.children))]


def _runs_without_config(folder):
    """Folders that only a training can have filled and that `find_runs` does not see."""
    return [
        Run(path)
        for path in sorted(folder.iterdir())
        if not (path / CONFIG).is_file()
        and any((path / name).is_file() for name in (METRICS, HISTORY, MODEL))
    ]


def _read_entry(run):
    entry = RunEntry(plain_text(run.folder.parent.name), plain_text(run.name), run)
    readers = [_read_config]
    # Before its first epoch has ended a run has no history, and before its last no metrics.
    if run.is_finished or (run.folder / HISTORY).is_file():
        readers.append(_read_history)
    if run.is_finished:
        readers.append(_read_metrics)
    for read in readers:
        try:
            read(entry)
        except WorkError as error:
            entry.problem = entry.problem or str(error)
    return entry


def _read_config(entry):
    config, task = entry.run.config, entry.run.task
    if task.name != entry.task_name:
        raise entry.run.damaged(CONFIG, f"it is of task {task.name}, not {entry.task_name}")
    entry.config, entry.task = config, task


def _read_history(entry):
    history = entry.run.history
    missing = [column for column in CURVES if column not in history[0]]
    if missing:
        raise entry.run.damaged(HISTORY, f"without {', '.join(missing)}")
    entry.history = history


def _read_metrics(entry):
    entry.metrics = entry.run.metrics
