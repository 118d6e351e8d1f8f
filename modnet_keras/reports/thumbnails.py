"""Pictures with predictions: samples and worst mistakes of a run, small enough for a page."""

import base64
import hashlib
import io
import os
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from modnet_keras.data.image_check import MAX_PIXELS
from modnet_keras.data.sources import find_source
from modnet_keras.errors import CallError, WorkError
from modnet_keras.files import read_table
from modnet_keras.tasks.synsets import is_synset, synset_name
from modnet_keras.training.run import PREDICTIONS

PICTURES = 8
SIDE = 160

_COLUMNS = ("path", "class", "label", "probability")
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP")


def run_pictures(folder: str | Path, data: str, task_name: str) -> dict[str, Any]:
    """Samples and worst mistakes of a finished run, from its `predictions.csv` and its pictures.

    The samples are the same for every run on the same pictures, half of them of the class. The
    worst mistakes are the wrong answers with the most confident probability.

    Parameters
    ----------
    folder : Path
        The run's.
    data : str
        The run's data source, of `config.json`.
    task_name : str

    Returns
    -------
    dict
        `samples` and `mistakes`, lists of tiles (`picture`, a `data:` address or None, and the
        texts below it), how many were `wrong` of `n`, and a `note`, a sentence where pictures are
        not there any more.

    Raises
    ------
    WorkError
        If `predictions.csv` cannot be used.
    """
    rows = _read_predictions(Path(folder) / PREDICTIONS)
    wrong = sorted(filter(_is_wrong, rows), key=lambda row: -abs(row["probability"] - 0.5))
    pictures: dict[str, Any] = {
        "n": len(rows),
        "wrong": len(wrong),
        "note": None,
        "samples": [],
        "mistakes": [],
    }
    try:
        root = find_source(data, prepare=False).root
    except (CallError, WorkError, OSError) as error:
        pictures["note"] = f"The pictures cannot be shown: {error}"
        return pictures
    for key, chosen in (("samples", _draw_samples(rows)), ("mistakes", wrong[:PICTURES])):
        pictures[key] = [_tile(root, row, task_name) for row in chosen]
    tiles = pictures["samples"] + pictures["mistakes"]
    missing = sum(tile["picture"] is None for tile in tiles)
    if missing:
        pictures["note"] = (
            f"{missing} of {len(tiles)} pictures are not there any more, or cannot be read, below "
            f"'{root}'."
        )
    return pictures


def thumbnail(file: str | Path) -> str:
    """A picture as the `data:` address of a JPEG of at most `SIDE` pixels, upright.

    Raises
    ------
    OSError, ValueError
        If the file is no picture that can be shown.
    """
    if not Path(file).is_file():
        raise FileNotFoundError(file)
    with Image.open(file, formats=_FORMATS) as image:
        if image.width * image.height > MAX_PIXELS:
            raise ValueError("too large")
        # A JPEG is decoded at a fraction of its size, so that large ones take no longer.
        image.draft("RGB", (2 * SIDE, 2 * SIDE))
        small = ImageOps.exif_transpose(image)
        small.thumbnail((SIDE, SIDE))
        small = _on_white(small)
    contents = io.BytesIO()
    small.save(contents, format="JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(contents.getvalue()).decode()


def _on_white(image):
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def _read_predictions(file):
    try:
        rows = [_prediction(row) for row in read_table(file)]
        if not rows:
            raise ValueError("no pictures in it")
    except (OSError, LookupError, TypeError, ValueError) as error:
        raise WorkError(
            f"'{file}' cannot be used ({type(error).__name__}: {error}); train the run anew with "
            "--overwrite."
        ) from error
    return rows


def _prediction(row):
    path, cls, label, probability = (row[column] for column in _COLUMNS)
    if Path(path).is_absolute() or ".." in Path(path).parts:
        raise ValueError(f"'{path}' leaves the data folder")
    number = float(probability)
    if label not in ("0", "1") or not 0 <= number <= 1:
        raise ValueError(f"label {label}, probability {probability}")
    return {"path": path, "class": cls, "label": int(label), "probability": number}


def _is_wrong(row):
    return (row["probability"] > 0.5) != row["label"]


def _draw_samples(rows):
    """Half of the class, half of the others, by a hash of the path: for every run the same ones."""
    ranked = sorted(rows, key=lambda row: hashlib.sha256(os.fsencode(row["path"])).digest())
    sides = [[row for row in ranked if row["label"] == label] for label in (1, 0)]
    return [row for side in sides for row in side[: PICTURES // 2]]


def _tile(root, row, task_name):
    names = {True: task_name, False: f"not-{task_name}"}
    try:
        picture = thumbnail(root / row["path"])
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        picture = None
    cls = row["class"]
    return {
        "picture": picture,
        "path": row["path"],
        "class": synset_name(cls) if is_synset(cls) else cls,
        "said": names[row["probability"] > 0.5],
        "is": names[row["label"] == 1],
        "probability": row["probability"],
        "is_wrong": _is_wrong(row),
    }
