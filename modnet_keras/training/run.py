"""A run: one training of one task by one strategy, and its folder."""

import contextlib
import json
import shutil
import zipfile
from functools import cached_property
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modnet_keras.data.manifest import SPLITS, Manifest, read_manifest
from modnet_keras.data.sources import find_source
from modnet_keras.data.splits import is_fold_setting
from modnet_keras.errors import CallError, WorkError
from modnet_keras.files import UNFINISHED, read_json, read_table, write_whole
from modnet_keras.tasks import Task
from modnet_keras.training import measures
from modnet_keras.training.devices import configure_devices, is_device_count

if TYPE_CHECKING:
    import keras

CONFIG = "config.json"
MANIFEST = "manifest.csv"
HISTORY = "history.csv"
METRICS = "metrics.json"
MODEL = "model.keras"
HASHES = "hashes.json"
PREDICTIONS = "predictions.csv"
SNAPSHOT = "snapshot.npz"
ESTIMATE_FOLDER = "estimate"
"""Beside the runs of a task: where an estimate keeps a runs folder for each of its folds."""

WEIGHTS = "model.weights.h5"
"""Keras's name for the weights within `model.keras`."""

FIRST_CLEARED = (METRICS, SNAPSHOT)
"""What says that a run is finished, and what it would be gone on with."""

CONFIG_TYPES = {
    "task": str,
    "specs": list,
    "level": int,
    "strategy": str,
    "parent_run": str | None,
    "data": str,
    "seed": int,
    "val_fraction": float | None,
    "image_size": int,
    "batch_size": int,
    "epochs": int,
    "epochs_of_parents": int,
    "learning_rate": float | int,
    "recipe": str,
    "augment": str,
    "augment_val": bool,
    "precision": str,
    "fingerprint": str,
    "steps_per_epoch": int,
    "training_flops_with_parents": int,
}
"""What is read of `config.json`; it holds more for people to read."""


class Run:
    """A run's folder, read piece by piece as it is asked for.

    Attributes
    ----------
    folder : Path
        `<runs>/<task>/<name>`.
    config, metrics, hashes : dict
        Contents of `config.json`, `metrics.json` and `hashes.json`.
    task : Task
    history : list of dict
        A row an epoch, of numbers.
    model : keras.Model
        Loaded at the first use; not compiled.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def __repr__(self):
        return f"Run('{self.folder}')"

    @property
    def name(self) -> str:
        """The run's name: that of its folder."""
        return self.folder.name

    @property
    def title(self) -> str:
        """The run as it is named among others: `task/name`."""
        return f"{self.config['task']}/{self.name}"

    @property
    def parent_folder(self) -> Path | None:
        """Folder of the run that this one grew out of; None for a root's."""
        parent = self.config["parent_run"]
        return None if parent is None else (self.folder.parents[1] / parent).resolve()

    @property
    def is_started(self) -> bool:
        """Whether there is a training to go on with: `config.json` is written before it."""
        return (self.folder / CONFIG).is_file()

    @property
    def is_finished(self) -> bool:
        """Whether the training went to its end: `metrics.json` is written last."""
        return (self.folder / METRICS).is_file()

    @cached_property
    def config(self) -> dict[str, Any]:
        """Every resolved setting."""
        config = self._read_json(CONFIG, CONFIG_TYPES)
        for key, kind in CONFIG_TYPES.items():
            value = config[key]
            # JSON knows no infinity, but numbers that are too large to be others.
            if not isinstance(value, kind) or (isinstance(value, float) and not isfinite(value)):
                raise self.damaged(CONFIG, f"{key} is {value!r}")
        # Runs that are older than folds have no such key.
        if not is_fold_setting(config.get("fold")):
            raise self.damaged(CONFIG, f"fold is {config['fold']!r}")
        # Nor those that are older than several devices.
        if not is_device_count(config.get("devices", 1)):
            raise self.damaged(CONFIG, f"devices is {config['devices']!r}")
        return config

    @cached_property
    def metrics(self) -> dict[str, dict[str, Any]]:
        """By split and name (`measures.METRICS`); None for one that the run is older than."""
        metrics = self._read_json(METRICS, SPLITS)
        for split in SPLITS:
            values = metrics[split]
            if not (isinstance(values, dict) and isinstance(values.get("n"), int)):
                raise self.damaged(METRICS, f"{split} is not whole")
            if not all(isinstance(value, int | float | None) for value in values.values()):
                raise self.damaged(METRICS, f"{split} holds what is no number")
        return {split: dict.fromkeys(measures.METRICS) | metrics[split] for split in SPLITS}

    @cached_property
    def hashes(self) -> dict[str, Any]:
        """Hashes of each part (`hash_parts`), `before` and `after` training, and the `parent`'s."""
        return self._read_json(HASHES, ("before", "after", "parent"))

    @cached_property
    def task(self) -> Task:
        """The task, with everything above it, as it was when the run was trained."""
        try:
            return Task.from_dict(self.config)
        except CallError as error:
            raise self.damaged(CONFIG, error) from error

    @cached_property
    def history(self) -> list[dict[str, float]]:
        """A row an epoch."""
        try:
            rows = [
                {key: float(value) for key, value in row.items()}
                for row in read_table(self.folder / HISTORY)
            ]
        except (OSError, ValueError, TypeError) as error:
            raise self.damaged(HISTORY, error) from error
        if not rows or "epoch" not in rows[0]:
            raise self.damaged(HISTORY, "no epochs in it")
        return rows

    @cached_property
    def model(self) -> "keras.Model":
        """The trained network."""
        import keras

        import modnet_keras.models  # noqa: F401 (registers our layers with Keras)

        # It starts TensorFlow: what is trained after it would have the bits of all cores.
        configure_devices()
        try:
            _refuse_unpacking(self.folder / MODEL)
            model = keras.models.load_model(self.folder / MODEL, compile=False)
            parts = model.layers[1:]
            if not (model.built and parts and all(isinstance(part, keras.Model) for part in parts)):
                raise ValueError("no network of stages")
            return model
        except Exception as error:  # a broken archive raises whatever its reader meets first
            raise self.damaged(MODEL, "no whole .keras archive of our layers") from error

    def check_hashes(self) -> None:
        """Hold the weights in `model.keras` against the hashes noted when it was trained."""
        from modnet_keras.models import hash_parts

        if hash_parts(self.model) != self.hashes["after"]:
            raise self.damaged(MODEL, "its weights are not those that were trained")

    def manifest(self, data: str | Path | None = None) -> Manifest:
        """The run's manifest, its paths taken below its own data folder or another of the same."""
        root = find_source(data or self.config["data"]).root
        return read_manifest(self.folder / MANIFEST, root, self.config["fingerprint"])

    def clear(self) -> None:
        """Remove all that the folder holds but `config.json`, which another is to replace.

        A kill on the way leaves a run that has not begun, which can be gone on with or replaced.
        """
        for path in sorted(self.folder.iterdir(), key=lambda path: path.name not in FIRST_CLEARED):
            if path.name == CONFIG:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def sweep(self) -> None:
        """Remove the files that were being written when a training was killed."""
        for path in self.folder.glob(f"{UNFINISHED}*"):
            path.unlink()

    def write_json(self, name: str, contents: Any) -> None:
        """Write one of the run's JSON files."""
        write_whole(self.folder / name, json.dumps(contents, indent=2) + "\n")

    def _read_json(self, name, keys):
        try:
            contents = read_json(self.folder / name)
            missing = [key for key in keys if key not in contents]
        except (OSError, ValueError, TypeError) as error:
            raise self.damaged(name, error) from error
        if missing:
            raise self.damaged(name, f"without {', '.join(missing)}")
        return contents

    def damaged(self, name: str, error: Exception | str) -> WorkError:
        """The error for one of the run's files that cannot be used, and why."""
        reason = str(error).split("\n", 1)[0].rstrip(".")
        return WorkError(
            f"run '{self.folder}' is damaged: {name} cannot be used ({reason}); "
            "train it anew with --overwrite."
        )


def _refuse_unpacking(archive):
    """Refuse what would take a thousand times its size in memory; Keras compresses nothing."""
    import h5py

    def refuse_larger(name, item):
        if isinstance(item, h5py.Dataset) and item.id.get_storage_size() < item.nbytes:
            raise ValueError(f"{name} is larger than what is stored of it")

    with zipfile.ZipFile(archive) as opened:
        if any(info.compress_type != zipfile.ZIP_STORED for info in opened.infolist()):
            raise ValueError("compressed")
        with opened.open(WEIGHTS) as file, h5py.File(file) as weights:
            weights.visititems(refuse_larger)


def load_run(folder: str | Path) -> Run:
    """Open a finished run.

    Parameters
    ----------
    folder : path
        `<runs>/<task>/<name>`.

    Returns
    -------
    Run

    Raises
    ------
    CallError
        If the folder holds no run.
    WorkError
        If the run was not trained to its end, or is damaged.

    Examples
    --------
    >>> load_run("runs/no-such/run")
    Traceback (most recent call last):
    ...
    modnet_keras.errors.CallError: 'runs/no-such/run' is no run: it holds no config.json.
    """
    run = Run(folder)
    if not (run.folder / CONFIG).is_file():
        inside = ", ".join(str(found.folder) for found in find_runs(run.folder.parent, run.name))
        hint = f"; runs in it are {inside}" if inside else ""
        raise CallError(f"'{folder}' is no run: it holds no {CONFIG}{hint}.")
    run.config  # noqa: B018 (read here, so that damage is found before any work)
    if not run.is_finished:
        raise WorkError(f"run '{folder}' is not finished; go on with train --resume.")
    return run


def find_trained_tasks(runs: str | Path) -> dict[str, Task]:
    """Tasks, with those above them, that have runs, by name: their specs may lie in any folder."""
    found: dict[str, Task] = {}
    for folder in sorted(path for path in Path(runs).glob("*") if path.is_dir()):
        for run in find_runs(runs, folder.name)[:1]:
            with contextlib.suppress(WorkError):
                found |= {task.name: task for task in (*run.task.ancestors, run.task)}
    return found


def find_runs(runs: str | Path, task_name: str) -> list[Run]:
    """All runs of a task below a runs folder, finished or not, by name."""
    folder = Path(runs) / task_name
    return [Run(config.parent) for config in sorted(folder.glob(f"*/{CONFIG}"))]
