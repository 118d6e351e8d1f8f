"""A training's state in one file: what `--resume` goes on from.

Keras's `BackupAndRestore` restores weights and the epoch only from two files that it writes in
place, and keeps no history.
"""

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from modnet_keras.errors import WorkError
from modnet_keras.files import write_whole

_DIGEST_BYTES = hashlib.sha256().digest_size


@dataclass(frozen=True)
class Snapshot:
    """The state after a whole epoch.

    Attributes
    ----------
    epoch : int
        Epochs done.
    history : list of dict
        A row for each.
    weights : dict
        From each variable's path, the optimizer's with their place, to its value.
    """

    epoch: int
    history: list
    weights: dict

    def restore(self, model):
        """Set a compiled model, of the training that was saved, to this state."""
        variables = _variables(model)
        if variables.keys() != self.weights.keys():
            odd = sorted(variables.keys() ^ self.weights.keys())
            raise WorkError(f"the snapshot is of another model; it does not agree on {odd[:4]}.")
        for name, variable in variables.items():
            variable.assign(self.weights[name])


def save_snapshot(path, model, epoch, history):
    """Write the state of a model after an epoch, whole, with a checksum at its end."""
    weights = {name: np.asarray(variable) for name, variable in _variables(model).items()}
    meta = json.dumps({"epoch": epoch, "history": history})
    buffer = io.BytesIO()
    np.savez(buffer, meta=np.array(meta), **weights)
    contents = buffer.getvalue()
    write_whole(path, contents + hashlib.sha256(contents).digest())


def load_snapshot(path):
    """Read a snapshot back.

    Returns
    -------
    Snapshot or None
        None where no snapshot was written yet.

    Raises
    ------
    WorkError
        If the file is damaged.
    """
    try:
        contents = Path(path).read_bytes()
    except FileNotFoundError:
        return None
    body, digest = contents[:-_DIGEST_BYTES], contents[-_DIGEST_BYTES:]
    if hashlib.sha256(body).digest() != digest:
        raise WorkError(f"snapshot '{path}' is damaged; train anew with --overwrite.")
    with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
        weights = {name: arrays[name] for name in arrays.files if name != "meta"}
        meta = json.loads(str(arrays["meta"]))
    return Snapshot(meta["epoch"], meta["history"], weights)


def _variables(model):
    """A model's and its optimizer's variables; the latter's paths are not unique."""
    names = {f"model/{variable.path}": variable for variable in model.variables}
    for place, variable in enumerate(model.optimizer.variables):
        names[f"optimizer/{place}/{variable.path}"] = variable
    return names
