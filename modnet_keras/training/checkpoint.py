"""A training's state in one file: what `--resume` goes on from, step by step.

Keras's `BackupAndRestore` restores the epoch alone, from two files that it writes in place one
after the other, replays a whole epoch on the weights of its middle, and keeps no history.
"""

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modnet_keras.errors import WorkError
from modnet_keras.files import whole_file
from modnet_keras.training.optimizers import steps_done

if TYPE_CHECKING:
    import keras

METRICS_PREFIX = "metrics/"
_DIGEST_BYTES = hashlib.sha256().digest_size


@dataclass(frozen=True)
class Snapshot:
    """The state between two steps.

    Where the data go on follows from the step, and so does everything random: both are functions of
    the step's number and the seed.

    Attributes
    ----------
    step : int
        Steps done, over all epochs.
    history : list of dict
        A row for each epoch that is done.
    epoch : dict
        Of the epoch that is under way: `learning_rate` at its first step, `seconds` so far. Empty
        between epochs.
    weights : dict of array
        The variables of the model, the optimizer and, where an epoch is under way, the metrics.
    """

    step: int
    history: list[dict[str, Any]]
    epoch: dict[str, Any]
    weights: dict[str, np.ndarray]

    def restore(self, model: "keras.Model") -> None:
        """Set a compiled model, of the training that was saved, and its optimizer to this state."""
        lasting = {
            name: w for name, w in self.weights.items() if not name.startswith(METRICS_PREFIX)
        }
        _assign(_variables(model), lasting)

    def restore_metrics(self, model: "keras.Model") -> None:
        """Set a model's metrics to this state; `fit` resets them at the start of an epoch."""
        _build_metrics(model)
        _assign(_variables(model) | _metrics(model), self.weights)


def save_snapshot(
    path: str | Path, model: "keras.Model", history: list[dict[str, Any]], epoch: dict[str, Any]
) -> None:
    """Write the state of a model that is trained, whole, with a checksum at its end.

    The file is read back before it takes the former one's place.

    Parameters
    ----------
    path : path
    model : keras.Model
        Compiled by `compile_model`.
    history : list of dict
        A row for each epoch that is done.
    epoch : dict
        Of the epoch that is under way, as `Snapshot` has it; empty between epochs.
    """
    variables = _variables(model) | (_metrics(model) if epoch else {})
    weights: dict[str, Any] = {name: np.asarray(variable) for name, variable in variables.items()}
    meta = {"step": steps_done(model), "history": history, "epoch": epoch}
    buffer = io.BytesIO()
    np.savez(buffer, meta=np.array(json.dumps(meta)), **weights)
    digest = hashlib.sha256(buffer.getbuffer()).digest()
    with whole_file(path) as temporary:
        with temporary.open("wb") as file:
            file.write(buffer.getbuffer())
            file.write(digest)
        if not _is_whole(*_split(temporary.read_bytes())):
            raise WorkError(
                f"snapshot '{path}' does not read as it was written; is the disk broken?"
            )


def load_snapshot(path: str | Path) -> Snapshot | None:
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
        body, digest = _split(Path(path).read_bytes())
    except FileNotFoundError:
        return None
    if not _is_whole(body, digest):
        raise WorkError(f"snapshot '{path}' is damaged; train anew with --overwrite.")
    with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
        weights = {name: arrays[name] for name in arrays.files if name != "meta"}
        meta = json.loads(str(arrays["meta"]))
    if meta.keys() != {"step", "history", "epoch"}:
        raise WorkError(
            f"snapshot '{path}' was written by another version; train anew with --overwrite."
        )
    return Snapshot(**meta, weights=weights)


def _is_whole(body, digest):
    return hashlib.sha256(body).digest() == digest


def _split(contents):
    return contents[:-_DIGEST_BYTES], contents[-_DIGEST_BYTES:]


def _variables(model):
    """A model's and its optimizer's variables; the latter's paths are not unique."""
    names = {f"model/{variable.path}": variable for variable in model.variables}
    for place, variable in enumerate(model.optimizer.variables):
        names[f"optimizer/{place}/{variable.path}"] = variable
    return names


def _metrics(model):
    """The metrics' variables, of each device its own: together they show no more than their sum."""
    return {
        f"{METRICS_PREFIX}{metric.name}/{place}{f'/{device}' if device else ''}": own
        for metric in model.metrics
        for place, variable in enumerate(metric.variables)
        for device, own in enumerate(getattr(variable.value, "values", [variable.value]))
    }


def _build_metrics(model):
    """Make the metrics' variables, as Keras does only at a training's first batch."""
    nothing = np.zeros((1, 1), "float32")
    with model.distribute_strategy.scope():
        model.compute_metrics(None, nothing, nothing)
    model.reset_metrics()


def _assign(variables, weights):
    odd = sorted(variables.keys() ^ weights.keys())
    if odd:
        raise WorkError(f"the snapshot is of another model; it does not agree on {odd[:4]}.")
    for name, variable in variables.items():
        variable.assign(weights[name])
