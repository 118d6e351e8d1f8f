"""The command `data`."""

import os
import shutil
from pathlib import Path
from typing import Annotated, Any

from rich.console import Console

from modnet_keras.data.manifest import SPLITS, Manifest, build_manifest
from modnet_keras.data.sources import find_source, refuse_inside
from modnet_keras.errors import CallError
from modnet_keras.tasks import is_synset, load_task, synset_name
from modnet_keras.tools.options import Data, Seed, Task, ValFraction
from modnet_keras.tools.output import show_table
from modnet_keras.tools.values import choice, path

Target = Annotated[Path | None, path("write the balanced pictures to this new folder", "FOLDER")]

CHECKS = ("quick", "full")
SPLIT_NAMES = {"train": "training", "val": "validation"}

Check = Annotated[str, choice("quick: header and end mark; full: decode every picture", CHECKS)]


def data(
    task: Task,
    data: Data = Path("demo"),
    seed: Seed = 0,
    val_fraction: ValFraction = None,
    check: Check = "quick",
    to: Target = None,
) -> None:
    """Show what a task would be trained on: pictures a class and split, before and after balancing.

    Files that cannot be used are named with the reason. --check=full decodes every picture of the
    folder once; what fails is left out of every training from then on, until the file changes.
    Nothing is trained, and nothing is ever written below the data folder. --to writes the balanced
    pictures out for other tools, as train/0, train/1, val/0 and val/1 with manifest.csv: hard links
    where they are possible, else copies.

    Examples
    --------
    modnet data --task=canines
    modnet data --task=canines --data=my/pictures --check=full
    modnet data --task=canines --data=my/pictures --to=canines-pictures
    """
    question = load_task(task)
    if to is not None:
        refuse_inside(find_source(data).root, to, "to")
        if to.exists():
            raise CallError(f"--to={to} exists; name a new folder.")
    console = Console(highlight=False, markup=False, soft_wrap=True)
    with console.status("Looking at the pictures") as status:
        manifest = build_manifest(
            question,
            data,
            seed=seed,
            val_fraction=val_fraction,
            decode=check == "full",
            progress=lambda done: status.update(f"Looking at the pictures: {done}"),
        )
    _show(question, manifest, console)
    if to is not None:
        _write_out(manifest, to)
        console.print(f"{len(manifest)} pictures written to {to}")


def _show(task, manifest: Manifest, console: Console) -> None:
    taken = manifest.counts()
    named = {"name": ""} if any(is_synset(cls) for _, cls, _ in manifest.available) else {}
    rows: list[dict[str, Any]] = []
    totals: list[dict[str, Any]] = []
    for label, cls in sorted({key[:2] for key in manifest.available}, key=lambda k: (-k[0], k[1])):
        row = {"label": label, "class": cls}
        if named:
            row["name"] = synset_name(cls) if is_synset(cls) else ""
        for split, name in SPLIT_NAMES.items():
            row[name] = taken[label, cls, split]
            row[f"of {name}"] = manifest.available[label, cls, split]
        rows.append(row)
    for label, side in ((1, task.name), (0, f"not-{task.name}")):
        of_side = [row for row in rows if row["label"] == label]
        total = {key: sum(row[key] for row in of_side) for key in list(rows[0])[-4:]}
        totals.append({"label": label, "class": f"{side}, in all"} | named | total)
    show_table(
        f"{task.name} in {manifest.root}: pictures after balancing, of those there are",
        rows + totals,
    )
    for entry in manifest.unmatched:
        console.print(f"No folder stands for {_named(entry)}.")
    for file, reason in sorted(manifest.unreadable.items()):
        console.print(f"Left out: {file!r}: {reason}")
    if manifest.unreadable:
        console.print(f"{len(manifest.unreadable)} unreadable files left out.")


def _named(entry: str) -> str:
    return f"{entry} ({synset_name(entry)})" if is_synset(entry) else f"'{entry}'"


def _write_out(manifest: Manifest, to: Path) -> None:
    unfinished = to.with_name(f".{to.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    for split in SPLITS:
        for label in (0, 1):
            (unfinished / split / str(label)).mkdir(parents=True)
    try:
        rows = zip(manifest.path, manifest.label, manifest.split, strict=True)
        for number, (name, label, split) in enumerate(rows):
            # Numbered by its line in the manifest: names of files in two folders may be the same.
            flat = f"{number:06d}-{name.rsplit('/', 1)[-1]}"
            _link_or_copy(manifest.root / name, unfinished / split / str(label) / flat)
        manifest.write(unfinished / "manifest.csv")
        unfinished.rename(to)
    except BaseException:
        shutil.rmtree(unfinished)
        raise


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source.resolve(), target)
    except OSError:
        # "x": were there such a file, it could be a link to another of the user's pictures.
        with source.open("rb") as original, target.open("xb") as copy:
            shutil.copyfileobj(original, copy)
