"""What the folders above an image make of it: its label for a task, and its class.

An image's *folders* are the names of the folders on its path below the data folder, the outermost
first: `("train", "n02085620", "images")` for `train/n02085620/images/x.JPEG`.
"""

import difflib
from collections.abc import Collection, Mapping

from modnet_keras.errors import CallError
from modnet_keras.tasks.hierarchy import Task
from modnet_keras.tasks.synsets import find_synset, hypernym_distances, is_synset

POSITIVE = 1
NEGATIVE = 0

MOST_LISTED = 12
"""Names of folders in an error."""


class Labeller:
    """Labels images for a task by the folders above them.

    An entry of the task's spec means the folders of exactly its name or, where there are none, its
    synset; a synset stands for every folder named by the id of itself or of a synset below it. The
    entry nearest above an image decides: by folders up the path, then by the steps of the shortest
    way up WordNet.

    Parameters
    ----------
    task
        The task, with its parent where its negatives are the rest of the parent's positives.
    folder_names
        The names of all folders in the data.

    Raises
    ------
    CallError
        If an entry is neither a folder's name nor one noun sense, or one synset is both positive
        and negative.

    Examples
    --------
    >>> from modnet_keras.tasks import load_task
    >>> labeller = Labeller(load_task("canines"), {"n02085620", "n02124075", "n07734744"})
    >>> [labeller.label((wnid,)) for wnid in ("n02085620", "n02124075", "n07734744")]
    [1, 0, None]
    """

    def __init__(self, task: Task, folder_names: Collection[str]) -> None:
        """Find out what every entry of the task means."""
        spec = task.spec
        self._task_name = task.name
        self._folder_names = frozenset(folder_names)
        self._meanings: dict[str, str] = {}  # entry -> folder name or synset id
        self._labels: dict[str, int] = {}  # folder name or synset id -> label
        self._label_by_folders: dict[tuple[str, ...], int | None] = {}
        self._parent: Labeller | None = None
        self._add_entries(spec.positive, POSITIVE)
        if isinstance(spec.negative, tuple):
            self._add_entries(spec.negative, NEGATIVE)
        elif task.parent is None:
            raise CallError(
                f"task '{task.name}': its negatives are the rest of its parent's positives, and it "
                "was given without its parent."
            )
        else:
            self._parent = Labeller(task.parent, self._folder_names)

    def label(self, folders: tuple[str, ...]) -> int | None:
        """Label of the images that lie in a folder: 1, 0, or `None` where the task leaves them out.

        Raises
        ------
        CallError
            If a positive and a negative entry are equally near.
        """
        if folders not in self._label_by_folders:
            label = self._nearest_label(folders)
            if label is None and self._parent is not None:
                is_rest = self._parent.label(folders) == POSITIVE
                label = NEGATIVE if is_rest else None
            self._label_by_folders[folders] = label
        return self._label_by_folders[folders]

    @property
    def unmatched_entries(self) -> tuple[str, ...]:
        """The task's own entries that stand for no folder in the data, in the order of the spec."""
        present = {meaning for name in self._folder_names for meaning in _meaning_distances(name)}
        return tuple(entry for entry, meaning in self._meanings.items() if meaning not in present)

    def _add_entries(self, entries: tuple[str, ...], label: int) -> None:
        for entry in entries:
            meaning = self._find_meaning(entry)
            if self._labels.setdefault(meaning, label) != label:
                raise CallError(
                    f"task '{self._task_name}': '{entry}' is both positive and negative, as "
                    f"{meaning}; keep it in one of them."
                )
            self._meanings[entry] = meaning

    def _find_meaning(self, entry: str) -> str:
        if entry in self._folder_names:
            return entry
        try:
            return find_synset(entry)
        except CallError as error:
            raise CallError(
                f"task '{self._task_name}': no folder is named '{entry}'{self._nearest_to(entry)}, "
                f"and {error}"
            ) from None

    def _nearest_to(self, entry: str) -> str:
        """What may have been meant by an entry that is no folder's name, in brackets."""
        known, last = self._folder_names, entry.rsplit("/", 1)[-1]
        if last != entry and last in known:
            return f" (an entry is the name of one folder and no path, here '{last}')"
        nearest = difflib.get_close_matches(entry, known, n=1)
        if nearest:
            return f" (the nearest is '{nearest[0]}')"
        if any(map(is_synset, known)):
            return ""
        more = ", ..." if len(known) > MOST_LISTED else ""
        return f" (there are {', '.join(sorted(known)[:MOST_LISTED])}{more})" if known else ""

    def _nearest_label(self, folders: tuple[str, ...]) -> int | None:
        for name in reversed(folders):
            steps = _meaning_distances(name)
            above = self._labels.keys() & steps.keys()
            if above:
                nearest = min(steps[meaning] for meaning in above)
                deciding = sorted(meaning for meaning in above if steps[meaning] == nearest)
                if len({self._labels[meaning] for meaning in deciding}) > 1:
                    raise CallError(self._tie("/".join(folders), deciding))
                return self._labels[deciding[0]]
        return None

    def _tie(self, path: str, deciding: list[str]) -> str:
        sides = {POSITIVE: "positive", NEGATIVE: "negative"}
        named = " and ".join(f"{sides[self._labels[meaning]]} {meaning}" for meaning in deciding)
        return (
            f"task '{self._task_name}': {path} is equally near to {named}; name a nearer synset "
            "or the folder itself in one of them."
        )


def image_class(folders: tuple[str, ...]) -> str:
    """Class of the images that lie in a folder.

    That is the nearest folder named by a WordNet id, else the path of the folder that holds them;
    `.` is the data folder itself.

    >>> image_class(("train", "n02085620", "images"))
    'n02085620'
    >>> image_class(("train", "cats")), image_class(())
    ('train/cats', '.')
    """
    for name in reversed(folders):
        if is_synset(name):
            return name
    return "/".join(folders) or "."


def _meaning_distances(folder_name: str) -> Mapping[str, int]:
    """Map what an entry may mean to stand for a folder of this name to the steps up to it."""
    return hypernym_distances(folder_name) if is_synset(folder_name) else {folder_name: 0}
