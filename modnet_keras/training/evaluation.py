"""What a trained network says of pictures that are there now: its own, or another source's."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from modnet_keras.data.manifest import SPLITS, Manifest, build_manifest
from modnet_keras.errors import WorkError
from modnet_keras.tasks import means_synset
from modnet_keras.training.datasets import evaluation_dataset, undecodable_named
from modnet_keras.training.devices import configure_devices
from modnet_keras.training.metrics import compute_metrics
from modnet_keras.training.options import split_settings
from modnet_keras.training.prediction import inference_graph, predict_batches
from modnet_keras.training.run import Run


def evaluate(run: Run, data: str | Path | None = None) -> dict[str, Any]:
    """Measure a run on its validation split, or on all images of another source.

    Parameters
    ----------
    run : Run
    data : str or path, optional
        Another source: all its images of the task, unbalanced. Where it holds the very pictures
        of the run's own (the folder was moved), the run's validation split.

    Returns
    -------
    dict
        loss, accuracy, sensitivity, specificity, auc, n.

    Examples
    --------
    >>> from modnet_keras import evaluate, load_run
    >>> metrics = evaluate(load_run("runs/animals/scratch"))
    >>> sorted(metrics)
    ['accuracy', 'auc', 'loss', 'n', 'sensitivity', 'specificity']
    """
    configure_devices()
    run.check_hashes()
    own, whole = run.manifest(data), _whole_manifest(run, data)
    graph = inference_graph(run.model)
    if whole.fingerprint == run.config["fingerprint"]:
        logits, labels = predict_split(graph, own, "val", run.config)
        return compute_metrics(labels, logits)
    if data is None:
        raise WorkError(
            f"the pictures in '{run.config['data']}' are no longer those of run '{run.folder}'; "
            "name them with --data to measure it on all of them."
        )
    plain = run.config | {"augment_val": False}
    parts = [
        predict_split(graph, whole, split, plain) for split in SPLITS if len(whole.labels(split))
    ]
    logits, labels = map(np.concatenate, zip(*parts, strict=True))
    return compute_metrics(labels, logits)


def _whole_manifest(run: Run, data: str | Path | None = None) -> Manifest:
    """All images that a run's task finds in its data folder, or in another, as they are now."""
    folders = {name for path in run.manifest(data).path for name in path.split("/")[:-1]}
    # Of the tasks above, too, which have no pictures in the run's manifest.
    folders |= {entry for entry in run.task.entries if not means_synset(entry)}
    return build_manifest(
        run.task,
        data or run.config["data"],
        **split_settings(run.config),
        balance=False,
        known_folders=folders,
    )


def own_manifest(run: Run, data: str | Path | None = None) -> Manifest:
    """A run's manifest, its images below its own data folder or where that was moved to.

    Raises
    ------
    WorkError
        If the images there are not those of the run.
    """
    manifest = run.manifest(data)
    if _whole_manifest(run, data).fingerprint != run.config["fingerprint"]:
        raise WorkError(
            f"the pictures in '{data or run.config['data']}' are not those that run '{run.folder}' "
            "was trained on, some were added, removed or changed; name a folder that holds these "
            "and no others with --data."
        )
    return manifest


def predict_split(
    graph: Callable[[tf.Tensor], tf.Tensor],
    manifest: Manifest,
    split: str,
    config: Mapping[str, Any],
) -> tuple[np.ndarray, np.ndarray]:
    """Logits [n] and labels [n] of a split, as a run of these settings evaluates it."""
    dataset = evaluation_dataset(manifest, split, config)
    with undecodable_named(manifest):
        logits = predict_batches(graph, (pictures for pictures, _ in dataset))
    return logits, manifest.labels(split)
