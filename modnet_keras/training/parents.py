"""The run that a child grows out of: found, and held against what it says of itself."""

from pathlib import Path

from modnet_keras.errors import CallError, WorkError
from modnet_keras.tasks import Task
from modnet_keras.training.run import CONFIG, Run, find_runs


def find_parent(
    task: Task, strategy: str, runs: str | Path, parent: str | Path | None
) -> Run | None:
    """The parent's run that a child grows out of; None where there is none yet.

    Parameters
    ----------
    task : Task
        The child.
    strategy : str
        The child's: among several runs of the parent, the one by the same is taken.
    runs : path
        The runs folder.
    parent : path, optional
        The run that the user named.

    Raises
    ------
    CallError
        If what is named is no run of the parent's task as it is now, or none is named of several.
    """
    above = task.parent
    if above is None:
        return None
    if parent is not None:
        run = Run(Path(parent).resolve())
        if not run.is_started:
            raise CallError(f"--parent={parent} is no run: it holds no {CONFIG}.")
        if run.config["task"] != above.name:
            raise CallError(
                f"--parent={parent} is a run of task {run.config['task']}; "
                f"{task.name} needs one of {above.name}."
            )
        return _of_same_spec(run, above)
    found = find_runs(runs, above.name)
    if len(found) > 1:
        alike = [run for run in found if run.config["strategy"] == strategy]
        if len(alike) != 1:
            names = ", ".join(str(run.folder) for run in found)
            raise CallError(
                f"task {above.name} has several runs; name the one to grow out of with "
                f"--parent: {names}."
            )
        found = alike
    return _of_same_spec(found[0], above) if found else None


def _of_same_spec(run, task):
    if run.task != task:
        raise CallError(
            f"the spec of task {task.name} has changed since run '{run.folder}' was trained; train "
            f"{task.name} anew, or give --parent another run."
        )
    return run


def check_parent(run: Run | None) -> None:
    """Load a finished parent's network and hold it against its hashes and config.

    Raises
    ------
    WorkError
        If they do not agree.
    """
    if run is None or not run.is_finished:
        return
    run.check_hashes()
    size = run.config["image_size"]
    if run.model.input_shape[1:3] != (size, size):
        raise WorkError(
            f"run '{run.folder}' is damaged: config.json says image_size {size}, "
            f"model.keras takes {run.model.input_shape[1]}."
        )
