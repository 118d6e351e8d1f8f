"""The manifest: the balanced, seeded, split list of the images of one task."""

import csv
import io
import math
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from modnet_keras.data.sources import Index, Source, find_source, index_source
from modnet_keras.data.splits import Fold, draw_fold, draw_split, rank, smallest_class
from modnet_keras.errors import CallError, WorkError
from modnet_keras.files import write_whole
from modnet_keras.tasks import Labeller, Task, image_class

DEFAULT_VAL_FRACTION = 0.2
SPLITS = ("train", "val")
COLUMNS = ("path", "class", "label", "split")


@dataclass(frozen=True, eq=False, repr=False)
class Manifest:
    """The images of one task.

    Attributes
    ----------
    root : Path
        The data folder.
    path, image_class, label, split : arrays [n]
        Path below `root`; class (a WordNet id, or the path of the folder that holds the image);
        1 for the class that the task asks for, else 0; "train" or "val".
    available : Counter
        Readable images before balancing, by (label, class, split).
    unreadable : dict
        From the path of an image of the task that cannot be used to the reason.
    unmatched : tuple of str
        Entries of the task's spec that no image falls under.
    fingerprint : str
        Of all pictures in the folder.
    """

    root: Path
    path: np.ndarray
    image_class: np.ndarray
    label: np.ndarray
    split: np.ndarray
    available: Counter[tuple[int, str, str]]
    unreadable: dict[str, str]
    unmatched: tuple[str, ...]
    fingerprint: str

    def __len__(self):
        return len(self.path)

    def __repr__(self):
        counts = " and ".join(f"{len(self.labels(split))} {split}" for split in SPLITS)
        return f"Manifest({counts} below '{self.root}')"

    def paths(self, split: str) -> list[str]:
        """Absolute paths of a split's images, list of str."""
        return [os.path.join(self.root, path) for path in self.path[self.split == split]]  # noqa: PTH118

    def labels(self, split: str) -> np.ndarray:
        """Labels of a split's images, int array [n]."""
        return self.label[self.split == split]

    def counts(self) -> Counter[tuple[int, str, str]]:
        """Images taken, by (label, class, split): a Counter."""
        rows = zip(self.label.tolist(), self.image_class, self.split, strict=True)
        return Counter(rows)

    def write(self, file: Path) -> None:
        """Write `manifest.csv`: path, class, label, split."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(
            zip(self.path, self.image_class, self.label.tolist(), self.split, strict=True)
        )
        write_whole(file, text.getvalue().encode("utf-8", "surrogateescape"))


def read_manifest(file: str | Path, root: str | Path, fingerprint: str) -> Manifest:
    """Read a `manifest.csv` back.

    Raises
    ------
    WorkError
        If the file is not there, or a row is not what `Manifest.write` writes.
    """
    try:
        with Path(file).open(encoding="utf-8", errors="surrogateescape", newline="") as text:
            rows = list(csv.reader(text))
    except OSError as error:
        raise WorkError(f"manifest '{file}' cannot be read: {error.strerror}.") from error
    except csv.Error as error:
        raise WorkError(f"manifest '{file}' is no CSV: {error}.") from error
    if not rows or tuple(rows[0]) != COLUMNS:
        raise WorkError(f"manifest '{file}' must start with the columns {','.join(COLUMNS)}.")
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != 4 or row[2] not in ("0", "1") or row[3] not in SPLITS:
            raise WorkError(
                f"manifest '{file}', line {number}: expected a path, a class, 0 or 1, and train "
                f"or val; found {row}."
            )
        if Path(row[0]).is_absolute() or ".." in Path(row[0]).parts:
            raise WorkError(f"manifest '{file}', line {number}: '{row[0]}' leaves the data folder.")
        if not row[0] or "\0" in row[0]:
            raise WorkError(f"manifest '{file}', line {number}: {row[0]!r} is no path of a file.")
    return _assemble(
        Path(root),
        [(path, cls, int(label), split) for path, cls, label, split in rows[1:]],
        fingerprint=fingerprint,
    )


def build_manifest(
    task: Task,
    data: str | Path = "demo",
    *,
    seed: int = 0,
    val_fraction: float | None = None,
    fold: Fold | None = None,
    balance: bool = True,
    known_folders: Collection[str] = (),
    decode: bool = False,
    progress: Callable[[int], object] | None = None,
) -> Manifest:
    """List, check, label, split and balance the images of a task.

    Whether an image is for training or validation depends on (seed, class, file name), with folds
    on the sizes of the classes too, and not on the task: no child trains on what its parent is
    tested on.

    Parameters
    ----------
    task : Task
        From `load_task`.
    data : str or path
        "demo", "tiny-imagenet" or a folder.
    seed : int
    val_fraction : float, optional
        Share of each class that is for validation. Where absent: the folder's own `train/` and
        `val/` if it has both at its top, else 0.2.
    fold : Fold, optional
        Split by this fold instead; `seed` then only draws what balancing takes.
    balance : bool
        Whether to draw as many images of the larger side as there are of the smaller one, within
        each split, evenly over the larger side's classes as far as they last. Without it a side may
        be empty.
    known_folders : collection of str
        Names that mean folders, besides those of the folders that are there.
    decode : bool
        Decode every picture and leave out what fails, now and in later calls; without it a quick
        look at header and end mark is enough.
    progress : callable, optional
        Called now and then with the number of files looked at, and then of files decoded.

    Returns
    -------
    Manifest

    Raises
    ------
    CallError
        If the data folder is not there, an entry of the spec is no synset and no folder, or a class
        of the task has fewer images than there are folds.
    WorkError
        If a split has no readable image of one of the two sides; unbalanced, if there is none.

    Examples
    --------
    >>> from modnet_keras import build_manifest, load_task
    >>> manifest = build_manifest(load_task("canines"), "demo", seed=0)
    >>> int((manifest.labels("train") == 1).sum()) == int((manifest.labels("train") == 0).sum())
    True
    """
    source = find_source(data)
    return draw_manifest(
        task,
        source,
        index_source(source, progress, decode=decode),
        seed=seed,
        val_fraction=val_fraction,
        fold=fold,
        balance=balance,
        known_folders=known_folders,
    )


def draw_manifest(
    task: Task,
    source: Source,
    index: Index,
    *,
    seed: int,
    val_fraction: float | None = None,
    fold: Fold | None = None,
    balance: bool = True,
    known_folders: Collection[str] = (),
) -> Manifest:
    """What `build_manifest` does once the images are listed: many manifests of one index."""
    data = source.name
    if not index.paths:
        raise WorkError(f"data folder '{data}' holds no pictures (.jpg, .png, .bmp, .gif, .webp).")
    try:
        labelled, unmatched = _label(index, task, known_folders)
    except CallError as error:
        raise CallError(f"data '{data}': {error}") from None
    readable = [row for row in labelled if row[0] not in index.unreadable]
    own_split = fold is None and val_fraction is None and has_own_split(source.root)
    if own_split:
        splits = {path: path.split("/", 1)[0] for path in index.paths}
        readable = [row for row in readable if splits[row[0]] in SPLITS]
        labelled = [row for row in labelled if splits[row[0]] in SPLITS]
    elif fold and readable:
        _refuse_small_classes(task, data, readable, fold)
        splits = draw_fold(index.paths, fold)
        _refuse_fold_without_class(task, data, readable, splits, fold)
    else:
        share = DEFAULT_VAL_FRACTION if val_fraction is None else val_fraction
        splits = draw_split(index.paths, seed, share)
    rows = [(path, cls, label, splits[path]) for path, cls, label in readable]
    available = Counter((label, cls, split) for _, cls, label, split in rows)
    if balance:
        _refuse_empty_sides(task, data, available, own_split)
        rows = _balance(rows, seed)
    elif not rows:
        raise WorkError(f"data '{data}' holds no readable picture of task {task.name}.")
    return _assemble(
        source.root,
        rows,
        available=available,
        unreadable={
            path: index.unreadable[path] for path, _, _ in labelled if path in index.unreadable
        },
        unmatched=unmatched,
        fingerprint=index.fingerprint(),
    )


def has_own_split(root: str | Path) -> bool:
    """Whether a data folder has both `train/` and `val/` at its top, as ImageNet has."""
    return all((Path(root) / split).is_dir() for split in SPLITS)


def resolve_val_fraction(root: str | Path, val_fraction: float | None) -> float | None:
    """The share of validation images in force; None where the folder's own split is."""
    if val_fraction is None and not has_own_split(root):
        return DEFAULT_VAL_FRACTION
    return val_fraction


def _assemble(root, rows, *, fingerprint, available=None, unreadable=None, unmatched=()):
    path, cls, label, split = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Manifest(
        root,
        np.array(path, dtype=object),
        np.array(cls, dtype=object),
        np.array(label, dtype="int64"),
        np.array(split, dtype=object),
        available or Counter((row[2], row[1], row[3]) for row in rows),
        unreadable or {},
        tuple(unmatched),
        fingerprint,
    )


def _label(index, task, known_folders):
    """(path, class, label) of every image of the task, and the entries that matched none."""
    folders = {path: tuple(path.split("/")[:-1]) for path in index.paths}
    names = {name for parts in set(folders.values()) for name in parts}
    labeller = Labeller(task, names.union(known_folders))
    rows = []
    for path, parts in folders.items():
        label = labeller.label(parts)
        if label is not None:
            rows.append((path, image_class(parts), label))
    return rows, labeller.unmatched_entries


def _refuse_small_classes(task, data, labelled, fold):
    if not labelled:
        return
    cls, images = smallest_class(cls for _, cls, _ in labelled)
    if images < fold.folds:
        raise CallError(
            f"--folds={fold.folds}: class '{cls}' of task {task.name} in data '{data}' has only "
            f"{images} readable pictures, and each fold needs one of every class; give fewer folds "
            "or more pictures."
        )


def _refuse_fold_without_class(task, data, labelled, splits, fold):
    """Images that cannot be read are dealt out too, and may be all that a fold has of a class."""
    classes = {cls for _, cls, _ in labelled}
    held_out = {cls for path, cls, _ in labelled if splits[path] == "val"}
    if classes > held_out:
        cls = min(classes - held_out)
        raise CallError(
            f"--folds={fold.folds}: fold {fold.number} has no readable picture of class '{cls}' of "
            f"task {task.name} in data '{data}'; give fewer folds or more pictures."
        )


def _refuse_empty_sides(task, data, available, own_split):
    for label, side in ((1, "positive"), (0, "negative")):
        for split in SPLITS:
            if any(key[0] == label and key[2] == split for key in available):
                continue
            entries = getattr(task.spec, side)
            entries = entries if isinstance(entries, str) else ", ".join(entries)
            reason = (
                "give --val_fraction=0.2 to split the folder anew"
                if own_split
                else "each side needs at least one readable picture for training and for validation"
            )
            raise WorkError(
                f"data '{data}' has no {'training' if split == 'train' else 'validation'} picture "
                f"of task {task.name}'s {side} side ({entries}); {reason}."
            )


def _balance(rows, seed):
    taken: list[tuple[str, str, int, str]] = []
    for split in SPLITS:
        sides = [[row for row in rows if row[3] == split and row[2] == label] for label in (0, 1)]
        target = min(map(len, sides))
        for side in sides:
            taken.extend(side if len(side) == target else _draw_evenly(side, target, seed))
    return sorted(taken)


def _draw_evenly(rows, target, seed):
    """Take `target` rows: from each class alike, and more from the others where one runs out."""
    by_class = defaultdict(list)
    for row in rows:
        by_class[row[1]].append(row)
    taken, left = [], target
    # From the smallest class on, so that what it lacks is shared among those that follow.
    for done, cls in enumerate(sorted(by_class, key=lambda cls: (len(by_class[cls]), cls))):
        share = math.ceil(left / (len(by_class) - done))
        ranked = sorted(by_class[cls], key=lambda row: rank(seed, row[1], row[0]))
        taken.extend(ranked[: min(share, len(ranked))])
        left = target - len(taken)
    return taken
