"""Tasks with everything above them, found by name or by path."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from modnet_keras.errors import CallError, unknown_name
from modnet_keras.tasks.task_spec import TaskSpec, read_task_spec

_PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True)
class Task:
    """A task spec and the task above it.

    Attributes
    ----------
    spec
        What is asked.
    parent
        The task above, `None` for a root.
    """

    spec: TaskSpec
    parent: "Task | None" = None

    @property
    def name(self) -> str:
        """Name of the task."""
        return self.spec.name

    @property
    def level(self) -> int:
        """Depth in the hierarchy: 1 for a root."""
        return 1 + len(self.ancestors)

    @property
    def ancestors(self) -> tuple["Task", ...]:
        """The tasks above, the root first."""
        ancestors = []
        above = self.parent
        while above is not None:
            ancestors.append(above)
            above = above.parent
        return tuple(reversed(ancestors))

    @property
    def entries(self) -> set[str]:
        """What its spec, and those of the tasks above, name: folders and synsets."""
        sides = [
            side
            for task in (*self.ancestors, self)
            for side in (task.spec.positive, task.spec.negative)
        ]
        return {entry for side in sides if not isinstance(side, str) for entry in side}

    def to_dict(self) -> dict[str, Any]:
        """Every spec from the root to this task, as values that JSON can hold."""
        return {"specs": [task.spec.to_dict() for task in (*self.ancestors, self)]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Task":
        """Task of the values that `to_dict` gave.

        Raises
        ------
        CallError
            If they are not such values.

        Examples
        --------
        >>> wolf = load_task("wolf")
        >>> Task.from_dict(wolf.to_dict()) == wolf
        True
        """
        specs = values.get("specs") if isinstance(values, Mapping) else None
        if not isinstance(specs, list) or not specs:
            raise CallError("a task is stored as 'specs', the list of its specs from the root on.")
        return _chain(map(TaskSpec.from_dict, specs))


class FoundTasks(NamedTuple):
    """What `find_tasks` found.

    Attributes
    ----------
    tasks
        The tasks by name, in alphabetical order.
    errors
        Why a spec gives no task, by the name of its file; one broken spec hides no other.
    """

    tasks: dict[str, Task]
    errors: dict[str, CallError]


def load_task(name_or_path: str | Path) -> Task:
    """Load a task and everything above it.

    Parameters
    ----------
    name_or_path
        A task's name, looked up in `./task_specs` and then among the installed ones: task `wolf` is
        `wolf.yaml`. Or, with a slash or the ending `.yaml` or `.yml`, the path of a spec file,
        beside which the tasks above it are looked up first.

    Raises
    ------
    CallError
        If there is no such task (the nearest name is given), a spec is wrong, or the parents go
        round in a circle.

    Examples
    --------
    >>> task = load_task("wolf")
    >>> task.name, task.level, [ancestor.name for ancestor in task.ancestors]
    ('wolf', 3, ['animals', 'canines'])
    """
    given = Path(name_or_path)
    folders = _spec_folders()
    if given.suffix in (".yaml", ".yml") or given != Path(given.name):
        spec = read_task_spec(given)
        folders = [given.parent, *folders]
    else:
        spec = _find_spec(str(name_or_path), folders)
    return _load_above(spec, folders)


def find_tasks() -> FoundTasks:
    """Load every task in `./task_specs` and among the installed ones.

    >>> [name for name, task in find_tasks().tasks.items() if task.level == 1]
    ['animals']
    """
    found = FoundTasks({}, {})
    for name in sorted(_spec_files(_spec_folders())):
        try:
            found.tasks[name] = load_task(name)
        except CallError as error:
            found.errors[name] = error
    return found


def _spec_folders() -> list[Path]:
    installed = _PACKAGE / "task_specs"
    checkout = _PACKAGE.parent / "task_specs"
    return [Path("task_specs"), installed if installed.is_dir() else checkout]


def _spec_files(folders: Iterable[Path]) -> dict[str, Path]:
    """Spec files by the tasks' names; an earlier folder's hide a later one's."""
    files: dict[str, Path] = {}
    for folder in folders:
        for file in (*folder.glob("*.yaml"), *folder.glob("*.yml")):
            files.setdefault(file.stem, file)
    return files


def _find_spec(name: str, folders: Iterable[Path]) -> TaskSpec:
    files = _spec_files(folders)
    if name not in files:
        raise unknown_name("task", name, files)
    spec = read_task_spec(files[name])
    if spec.name != name:
        raise CallError(
            f"{files[name]}: its name is '{spec.name}'; call the file {spec.name}.yaml."
        )
    return spec


def _load_above(spec: TaskSpec, folders: Iterable[Path]) -> Task:
    """Task of a spec, with the specs above it looked up in folders."""
    specs = [spec]
    while (parent := specs[-1].parent) is not None:
        names = [spec.name for spec in specs]
        if parent in names:
            circle = [*names[names.index(parent) :], parent]
            raise CallError(f"the parents of task specs go in a circle: {' -> '.join(circle)}.")
        try:
            specs.append(_find_spec(parent, folders))
        except CallError as error:
            raise CallError(f"parent of task '{specs[-1].name}': {error}") from None
    return _chain(reversed(specs))


def _chain(specs: Iterable[TaskSpec]) -> Task:
    """Task of the last of the specs, each of which is the next one's parent."""
    task: Task | None = None
    for spec in specs:
        if spec.parent != (task.name if task else None):
            raise CallError(f"the spec of task '{spec.name}' does not follow that of its parent.")
        task = Task(spec, task)
    if task is None:
        raise CallError("a task is made of one spec or more; there is none.")
    return task
