"""Ship a run, or a whole tree, as a model that others load without this package."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from modnet_keras.errors import CallError, WorkError
from modnet_keras.files import UNFINISHED, write_whole
from modnet_keras.serving import check_export
from modnet_keras.serving.formats import FORMATS, get_format
from modnet_keras.serving.model_card import CARD, Export, is_model_card, model_card
from modnet_keras.serving.servable import Servable
from modnet_keras.serving.tree import Tree, as_tree
from modnet_keras.training.run import Run

TOLERANCE = 1e-4
"""No probability may differ by more from that of the network as it was trained, in float32."""

_VERSION = re.compile(r"[1-9][0-9]{0,9}")


def export(run: Run | Tree | str | Path, to: str | Path, format: str = "saved_model") -> Export:
    """Export a run, or a tree of runs, and check what was written.

    The model is loaded in a process of its own and answers 32 pictures there: validation pictures
    of the (root's) run, or drawn ones where these are gone.

    Parameters
    ----------
    run : Run, path of a run's folder, or Tree
        What is exported; `load_tree` gives a tree.
    to : path
        A folder for the versions of this model: the next is written, `<to>/1`, `<to>/2` and so on,
        and a model card, `<to>/README.md`.
    format : {"saved_model", "onnx", "litert"}

    Returns
    -------
    Export

    Raises
    ------
    CallError
        If the run is none, the folder holds anything but such versions and their card or lies in
        a data folder, or what the format needs is not installed.
    WorkError
        If a run is damaged, or the exported model answers otherwise than the Keras network; nothing
        is left of it then.

    Examples
    --------
    >>> from modnet_keras import export
    >>> exported = export("runs/animals/scratch", to="served/animals")
    >>> exported.folder.name, exported.difference < 1e-4
    ('1', True)
    """
    get_format(format)
    tree = as_tree(run)
    # Resolved, or a link would lead what is written here to another file system.
    to = Path(to).resolve()
    version = _next_version(to, format, tree)
    tree.refuse_in_data(to, "to")
    servable = Servable(tree)
    to.parent.mkdir(parents=True, exist_ok=True)
    place = to if to.exists() else to.parent
    with tempfile.TemporaryDirectory(dir=place, prefix=UNFINISHED) as unfinished:
        # In a folder below, which has a new folder's permissions; the temporary one is private.
        folder = Path(unfinished, "model", version)
        folder.mkdir(parents=True)
        _write(servable, format, folder)
        difference = _check(servable, format, folder)
        exported = Export(
            to / version, tree, format, len(servable.probes), difference, servable.is_folded
        )
        write_whole(folder.with_name(CARD), model_card(exported))
        _move_in(folder, to)
    return exported


def _next_version(to, format, tree):
    """The name of the next version's folder, once the target is known to hold nothing else."""
    if not to.exists():
        return "1"
    if not to.is_dir():
        raise CallError(f"--to: '{to}' is a file; name a folder for the versions of the model.")
    versions = []
    for entry in sorted(to.iterdir()):
        if entry.name.startswith(UNFINISHED):
            # Of an export that is under way, or was killed.
            continue
        if entry.name == CARD and is_model_card(entry):
            if not is_model_card(entry, of=tree):
                raise CallError(
                    f"--to: '{to}' holds another model than {tree.name}, by its {CARD}; give every "
                    "model a folder of its own."
                )
            continue
        if not (_VERSION.fullmatch(entry.name) and entry.is_dir()):
            raise CallError(
                f"--to: '{to}' holds '{entry.name}'; an export goes into a folder of its own, with "
                "nothing in it but earlier versions and their model card."
            )
        if not (entry / FORMATS[format].file).is_file():
            raise CallError(
                f"--to: '{entry}' is no version in the format {format}, it holds no "
                f"{FORMATS[format].file}; give every format a folder of its own."
            )
        versions.append(int(entry.name))
    return str(max(versions, default=0) + 1)


def _write(servable, format, folder):
    try:
        FORMATS[format].write(servable, folder)
    except Exception as error:  # TensorFlow and the converters raise whatever they meet first
        reason = str(error).split("\n", 1)[0].rstrip(".")[:300]
        raise WorkError(
            f"the model cannot be written as {format} ({reason}); nothing was exported."
        ) from error


def _check(servable, format, folder):
    """Have the exported model answer pictures in a new process; gives the largest difference."""
    expected = tf.sigmoid(servable.exact(servable.pictures, training=False)).numpy()
    with tempfile.TemporaryDirectory() as exchange:
        probes, answers = Path(exchange, "probes.npz"), Path(exchange, "answers.npz")
        lengths = [len(contents) for contents in servable.probes]
        contents = np.frombuffer(b"".join(servable.probes), "uint8")
        np.savez(probes, contents=contents, lengths=lengths, pictures=servable.pictures.numpy())
        _run_check(format, folder, probes, answers)
        with np.load(answers) as arrays:
            found = dict(arrays)
    if not found.pop("valid", np.True_).all():
        raise WorkError("the exported model takes good pictures for none; nothing was exported.")
    of_tasks = [values.reshape(expected.shape) for values in found.values()]
    difference = float(max(np.abs(values - expected).max() for values in of_tasks))
    # Written so that NaN fails too.
    if not difference <= TOLERANCE:
        raise WorkError(
            f"the exported model's probabilities differ from the network's by {difference:.2g}, "
            f"more than {TOLERANCE:g}; nothing was exported."
        )
    return difference


def _run_check(format, folder, *files):
    # -P: else the modules beside the program, as tree.py, would hide others of their names.
    command = [sys.executable, "-P", check_export.__file__, format, folder, *files]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        raise WorkError(
            f"the exported model cannot be loaded and run ({reason}); nothing was exported."
        )


def _move_in(folder, to):
    """Put the new version, then its card, in place; a target that is not there comes whole."""
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb") as written:
                os.fsync(written.fileno())
    try:
        if not to.exists():
            folder.parent.rename(to)
            return
        folder.rename(to / folder.name)
    except OSError as error:
        raise WorkError(
            f"'{to / folder.name}' cannot be put in place ({error.strerror}), it may have been "
            "exported meanwhile; export again."
        ) from error
    write_whole(to / CARD, folder.with_name(CARD).read_bytes())
