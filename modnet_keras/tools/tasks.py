"""The command `tasks`."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.tree import Tree

from modnet_keras.errors import WorkError
from modnet_keras.tasks import Task, find_tasks
from modnet_keras.tools.options import Runs, TableFile
from modnet_keras.tools.output import write_rows
from modnet_keras.training.run import Run, find_runs, find_trained_tasks


def tasks(runs: Runs = Path("runs"), to: TableFile = None) -> None:
    """Show the hierarchy of tasks as a tree, and below each task its runs.

    The tasks are the installed ones, those of ./task_specs and those that have runs. A run is shown
    with its validation accuracy; one that was interrupted says so.

    Examples
    --------
    modnet tasks
    modnet tasks --runs=runs --to=tasks.json
    """
    found = find_tasks()
    tasks_by_name = find_trained_tasks(runs) | found.tasks
    console = Console(highlight=False, markup=False)
    rows: list[dict[str, Any]] = []
    for task in tasks_by_name.values():
        if task.parent is None:
            branch = Tree(_title(task))
            _grow_branch(branch, task, tasks_by_name, runs, rows)
            console.print(branch)
    for file, error in found.errors.items():
        console.print(f"{file}: {error}")
    if to:
        write_rows(to, rows)
        console.print(f"Written to {to}")


def _grow_branch(branch, task, tasks_by_name, runs, rows):
    row = {
        "task": task.name,
        "parent": task.spec.parent,
        "level": task.level,
        "run": None,
        "finished": None,
        "val_accuracy": None,
    }
    found = find_runs(runs, task.name)
    for run in found:
        accuracy = _accuracy(run)
        branch.add(f"{task.name}/{run.name}  {_state(run, accuracy)}")
        rows.append(
            row | {"run": str(run.folder), "finished": run.is_finished, "val_accuracy": accuracy}
        )
    if not found:
        rows.append(row)
    for child in tasks_by_name.values():
        if child.parent is not None and child.parent.name == task.name:
            _grow_branch(branch.add(_title(child)), child, tasks_by_name, runs, rows)


def _title(task: Task) -> str:
    return f"{task.name} (level {task.level})"


def _accuracy(run: Run) -> float | None:
    try:
        return run.metrics["val"]["accuracy"] if run.is_finished else None
    except (WorkError, KeyError, TypeError):
        return None


def _state(run: Run, accuracy: float | None) -> str:
    if not run.is_finished:
        return "not finished: train --resume goes on"
    return "damaged: metrics.json" if accuracy is None else f"val accuracy {accuracy:.4f}"
