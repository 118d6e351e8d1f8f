"""Which runs answer together: one alone, or one for each task of a hierarchy."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modnet_keras.data.sources import refuse_inside_any
from modnet_keras.errors import CallError, WorkError, unknown_name
from modnet_keras.training.run import Run, find_runs, load_run


@dataclass(frozen=True)
class Tree:
    """Runs that look at the same pictures: a parent's before its children's, the root's first.

    Attributes
    ----------
    runs : tuple of Run
        Finished ones, at most one a task.
    is_single : bool
        Whether it is one run that was named itself: it answers in a simpler form.
    """

    runs: tuple[Run, ...]
    is_single: bool = False

    @property
    def name(self) -> str:
        """The root's."""
        return self.tasks[0]

    @property
    def tasks(self) -> tuple[str, ...]:
        """The names of the tasks, a tuple."""
        return tuple(run.config["task"] for run in self.runs)

    @property
    def parents(self) -> tuple[str | None, ...]:
        """For each task the name of its parent in this tree, None for the root; a tuple."""
        return (None, *(run.task.spec.parent for run in self.runs[1:]))

    @property
    def image_size(self) -> int:
        """Height and width in pixels of what every network takes."""
        return self.runs[0].config["image_size"]

    def refuse_in_data(self, target: str | Path, option: str) -> None:
        """Refuse a target in or around a data folder that one of the runs was trained on."""
        refuse_inside_any((run.config["data"] for run in self.runs), target, option)


def load_tree(task: str, runs: str | Path = "runs", pick: Sequence[str] = ()) -> Tree:
    """A task and everything below it that has finished runs, as they were trained.

    Parameters
    ----------
    task : str
        Name of the task at the root.
    runs : path
        The runs folder.
    pick : sequence of str
        `task/run` for the tasks whose run is not to be the one by `frozen`, or their only one.

    Returns
    -------
    Tree

    Raises
    ------
    CallError
        If the task or none below it has a finished run, a task has several and none is picked, or
        a pick is none.
    WorkError
        If the runs do not go together: other specs or other picture sizes.

    Examples
    --------
    >>> load_tree("animals", runs="runs").tasks
    ('animals', 'canines', 'wolf')
    """
    picked = _read_picks(pick)
    found = {
        folder.name: [run for run in find_runs(runs, folder.name) if run.is_finished]
        for folder in sorted(Path(runs).glob("*"))
    }
    # A folder of another name than its runs' task, a copy put aside, is none of a task.
    found = {
        name: finished
        for name, finished in found.items()
        if finished and _readable(finished).config["task"] == name
    }
    if task not in found:
        trained = f"trained are {', '.join(found)}" if found else f"'{runs}' holds no finished run"
        raise CallError(f"task {task} has no finished run in '{runs}'; {trained}.")
    below = {name: of_task for name, of_task in found.items() if _is_below(task, of_task)}
    for name in picked:
        if name not in below:
            raise unknown_name("task of --pick", name, below)
    chosen = [_choose(name, below[name], picked.get(name)) for name in below]
    ordered = tuple(sorted(chosen, key=lambda run: (run.task.level, run.task.name)))
    _refuse_misfits(ordered)
    return Tree(ordered)


def named_tree(
    *,
    run: Run | str | Path | None = None,
    tree: str | None = None,
    runs: str | Path = "runs",
    pick: Sequence[str] = (),
) -> Tree:
    """The tree that a command's options name: one run's, or a task's with everything below it.

    Parameters
    ----------
    run : Run or path, optional
    tree : str, optional
        The task at the root, in place of `run`.
    runs, pick
        As of `load_tree`.

    Returns
    -------
    Tree

    Raises
    ------
    CallError
        If both or none are given, or `pick` without `tree`.
    """
    if run is None and tree is not None:
        return load_tree(tree, runs, pick)
    if run is None or tree is not None:
        raise CallError("give either --run, a run's folder, or --tree, a task's name.")
    if pick:
        raise CallError("--pick chooses the runs of a --tree; with --run there is nothing to pick.")
    return as_tree(run)


def as_tree(run: Run | Tree | str | Path) -> Tree:
    """One run, opened if it is a path, as a tree of its own; a tree as it is."""
    if isinstance(run, Tree):
        return run
    return Tree((run if isinstance(run, Run) else load_run(run),), is_single=True)


def _read_picks(pick):
    """From each task to the name of its run."""
    picked = {}
    for text in pick:
        task, slash, name = text.partition("/")
        if not (task and slash and name) or "/" in name:
            raise CallError(f"--pick takes task/run, as canines/finetune; found '{text}'.")
        if task in picked:
            raise CallError(f"--pick names two runs of task {task}; a tree takes one.")
        picked[task] = name
    return picked


def _readable(runs):
    """The first of some runs that is not damaged, or the last one's error."""
    for run in runs:
        try:
            if run.task:
                return run
        except WorkError as damage:
            error = damage
    raise error


def _is_below(root, runs):
    """Whether the task of some runs is the root or below it."""
    task = _readable(runs).task
    return root in (task.name, *(above.name for above in task.ancestors))


def _choose(name, runs, picked):
    by_name = {run.name: run for run in runs}
    if picked is not None:
        if picked not in by_name:
            raise unknown_name(f"run of task {name}", picked, by_name)
        return by_name[picked]
    frozen = [run for run in runs if run.config["strategy"] == "frozen"]
    for candidates in (frozen, runs):
        if len(candidates) == 1:
            return candidates[0]
    listed = ", ".join(f"{name}/{run}" for run in by_name)
    raise CallError(
        f"task {name} has several runs; choose one with --pick={name}/{runs[0].name}: {listed}."
    )


def _refuse_misfits(runs):
    root = runs[0]
    by_task = {run.config["task"]: run for run in runs}
    for name in by_task.keys() & {"path", "label", "probability", "valid"}:
        raise CallError(f"a task called '{name}' cannot be told from the answers' own {name}.")
    for run in runs[1:]:
        above = run.task.parent.name
        if above not in by_task:
            raise CallError(
                f"task {run.task.name} has a run, and {above} above it has none; train {above} "
                "anew, or move the runs below it away."
            )
        if run.task.parent != by_task[above].task:
            raise WorkError(
                f"run '{run.folder}' was trained under another spec of {above} than "
                f"'{by_task[above].folder}'; train one of them anew, or --pick others."
            )
        if run.config["image_size"] != root.config["image_size"]:
            raise WorkError(
                f"run '{run.folder}' takes pictures of {run.config['image_size']} px and "
                f"'{root.folder}' of {root.config['image_size']} px; --pick runs of one size."
            )
