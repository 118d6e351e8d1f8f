"""The command `predict`."""

import contextlib
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from modnet_keras.errors import WorkError, printable
from modnet_keras.files import whole_file
from modnet_keras.tools import options as option
from modnet_keras.tools.output import row_file, show_table
from modnet_keras.tools.values import boolean, existing_path, file_ending_in, flag_or_folder

Images = Annotated[Path, existing_path("pictures, and folders of pictures", "IMAGES")]
Sort = Annotated[bool, boolean("the most probable first, instead of in order")]
RowFile = Annotated[
    Path | None,
    file_ending_in((".json", ".jsonl", ".csv"), "write a row a picture to this file, not lines"),
]
Explain = Annotated[
    bool | Path,
    flag_or_folder("write a heat map of every picture beside it, or into a folder"),
]


def predict(
    *images: Images,
    run: option.RunFolder | None = None,
    tree: option.TreeRoot = None,
    runs: option.Runs = Path("runs"),
    pick: option.Pick = None,
    sort: Sort = False,
    explain: Explain = False,
    to: RowFile = None,
) -> None:
    """Say what pictures show: a line a picture, with a probability.

    A run says the task's name or not-NAME, and the probability that it is a NAME: 0.07 behind
    not-NAME means that the network is rather sure of its no. With --tree every task below the given
    one that has runs is asked: a child where its parent said yes, of siblings the more probable;
    the label is the last that said yes, the probability the product along the path. A picture that
    stops at a task is of it and of none below; where the root said no, the probability is the
    root's. What cannot be read is named and skipped. With --to the lines go to that file instead,
    together with each task's probability.

    --explain writes Grad-CAM heat maps, where in the picture the answer comes from: alone beside
    the pictures, as NAME.explained.png; nothing is written in a data folder, so for the pictures of
    one name a folder apart, as --explain=explained.

    Examples
    --------
    modnet predict --run=runs/canines/frozen my/pictures
    modnet predict --tree=animals my/pictures --sort
    modnet predict --run=runs/canines/frozen a.jpg b.jpg --explain=explained
    modnet predict --tree=animals my/pictures --to=answers.csv
    """
    with Console(stderr=True).status("Loading"):
        from modnet_keras.serving.predictor import Predictor, find_images
        from modnet_keras.serving.tree import named_tree

        model = named_tree(run=run, tree=tree, runs=runs, pick=pick or ())
        files = find_images(images)
        if to:
            model.refuse_in_data(to, "to")
        for place in _written_to(files, explain):
            model.refuse_in_data(place, "explain")
        predictor = Predictor(model, explain=bool(explain))
    asked = ", ".join(found.title for found in model.runs)
    print(f"Asking {asked}; the probability is that of a yes", file=sys.stderr)
    counts: Counter[str] = Counter()
    with _output(to) as write, _progress(len(files)) as advance:
        predictions = _told(predictor.predict(files), explain, advance)
        for row in _sorted(predictions) if sort else predictions:
            write(row)
            counts[row["label"] or "no picture"] += 1
    _show_counts(counts)
    if explain:
        print(f"Heat maps {'lie beside the pictures' if explain is True else f'are in {explain}'}")
    if to:
        print(f"Written to {to}")
    if counts["no picture"] == len(files):
        raise WorkError(f"none of the {len(files)} files is a picture that can be read.")


def _written_to(files, explain):
    """A path for every folder that heat maps are written to."""
    if explain is True:
        return {Path(file).parent: file for file in files}.values()
    return [explain] if explain else []


def _told(predictions, explain, advance):
    """Rows of predictions; what is no picture is named, and heat maps are written."""
    for number, prediction in enumerate(predictions):
        advance()
        if prediction.reason:
            print(f"Left out: {prediction.row['path']!r}: {prediction.reason}", file=sys.stderr)
        elif explain:
            _write_explanation(prediction, explain, number)
        yield prediction.row


def _write_explanation(prediction, explain, number):
    from modnet_keras.serving.predictor import EXPLAINED

    path = Path(prediction.row["path"])
    if explain is True:
        file = path.with_name(path.name + EXPLAINED)
    else:
        explain.mkdir(parents=True, exist_ok=True)
        # Numbered, for pictures of several folders may have one name.
        file = explain / f"{number:06d}-{path.name}{EXPLAINED}"
    with whole_file(file) as unfinished:
        prediction.explanation.figure().save(unfinished)


def _sorted(rows):
    """The most probable first; of the same probability, and what is no picture, in order."""
    return sorted(rows, key=lambda row: (not row["valid"], -row["probability"]))


@contextlib.contextmanager
def _output(to):
    """A function that writes a row: into a file, or as a line on the terminal."""
    if to:
        with row_file(to) as write:
            yield write
    else:
        yield _print_line


def _print_line(row):
    if row["valid"]:
        print(f"{row['probability']:.4f}  {row['label']:<16}  {printable(row['path'])}")


@contextlib.contextmanager
def _progress(total):
    console = Console(stderr=True)
    progress = Progress(
        TextColumn("Pictures"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        # Lines that go to the same terminal have to pass above the bar.
        redirect_stdout=sys.stdout.isatty(),
        disable=not console.is_terminal,
    )
    with progress:
        row = progress.add_task("", total=total)
        yield lambda: progress.advance(row)


def _show_counts(counts):
    rows = [{"label": label, "pictures": count} for label, count in counts.most_common()]
    show_table("In all", rows)
