"""Watching the parent while its child trains: the forgetting as it happens, an epoch a point."""

import dataclasses
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from modnet_keras.data.manifest import Manifest
from modnet_keras.errors import CallError, WorkError
from modnet_keras.training.callbacks import (
    BYTES_PER_PIXEL,
    MEMORY_FOR_PICTURES,
    PARENT_ACCURACY,
)
from modnet_keras.training.metrics import compute_metrics
from modnet_keras.training.plan import Plan
from modnet_keras.training.prediction import inference_graph, predict_batches

SHARE_OF_EPOCH = 10


class ParentWatch(keras.callbacks.Callback):
    """Adds the parent's accuracy under the child's present weights to an epoch's logs.

    Nothing of the training is touched: the tap runs in inference mode, which updates no statistic,
    and nothing here draws a random number that the training would draw.
    """

    def __init__(self, tapped: keras.Model, dataset: tf.data.Dataset, labels: np.ndarray) -> None:
        """Decode the pictures, keep them, and run the tap once on all of them.

        The run at this place compiles the tap, so that the first epoch's clock, which starts later,
        does not count it.

        Parameters
        ----------
        tapped : keras.Model
            From `tap`, of the child that is going to be trained.
        dataset : tf.data.Dataset
            Of (pictures, labels): the sample, as the parent was evaluated.
        labels : array of int [n]
            The parent's, in the dataset's order.
        """
        super().__init__()
        self.graph = inference_graph(tapped)
        self.batches = [pictures for pictures, _ in dataset]
        self.labels = labels
        self._measure()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        """Put the accuracy into the logs."""
        logs[PARENT_ACCURACY] = self._measure()

    def _measure(self):
        logits = predict_batches(self.graph, self.batches)
        return compute_metrics(self.labels, logits)["accuracy"]


def sample_of_parent(plan: Plan) -> Manifest:
    """The validation images of the parent's run that its child's training watches.

    They are the same at every epoch and for every strategy, half of each label. They are looked for
    below the child's data folder where it holds the very pictures of the parent's (it was moved).

    Parameters
    ----------
    plan : Plan
        Of a child whose parent's run is finished.

    Returns
    -------
    Manifest
        Of these images alone.

    Raises
    ------
    CallError
        If the parent's data folder is not there any more.
    WorkError
        If one of the images is not.
    """
    manifest = _manifest_of_parent(plan)
    generator = np.random.default_rng(plan.config["seed"])
    of_label = [
        np.flatnonzero((manifest.split == "val") & (manifest.label == label)) for label in (0, 1)
    ]
    half = _sample_size(2 * min(map(len, of_label)), plan) // 2
    chosen = np.sort(
        np.concatenate([generator.choice(each, half, replace=False) for each in of_label])
    )
    columns = ("path", "image_class", "label", "split")
    sample = dataclasses.replace(
        manifest, **{column: getattr(manifest, column)[chosen] for column in columns}
    )
    _refuse_missing(sample, plan)
    return sample


def _manifest_of_parent(plan):
    moved = plan.manifest.fingerprint == plan.parent.config["fingerprint"]
    try:
        return plan.parent.manifest(plan.config["data"] if moved else None)
    except CallError as error:
        raise CallError(
            f"--watch_parent: data folder '{plan.parent.config['data']}' of the parent's run "
            f"'{plan.parent.folder}' is not there; bring it back, or train anew without "
            "--watch_parent."
        ) from error


def _sample_size(images, plan):
    """How many images are watched so that an epoch costs less than a tenth more.

    An image of the sample takes a forward pass through the parent's stages and no decoding, an
    image of the training at least decoding and a forward pass through those stages and one more. So
    a tenth as many images take less than a tenth of the time, even of a frozen child's epoch. As
    the pictures are kept in memory, they are at most what fits half a gibibyte.
    """
    steps, batch, size = (plan.config[k] for k in ("steps_per_epoch", "batch_size", "image_size"))
    # A batch is smaller than was asked for where there are fewer images.
    trained = min(steps * batch, len(plan.manifest.labels("train")))
    kept = MEMORY_FOR_PICTURES // (BYTES_PER_PIXEL * size**2)
    return max(2, min(images, trained // SHARE_OF_EPOCH, kept))


def _refuse_missing(sample, plan):
    missing = [path for path in sample.paths("val") if not Path(path).is_file()]
    if missing:
        raise WorkError(
            f"--watch_parent: {len(missing)} of the {len(sample)} pictures to be watched of the "
            f"parent's run '{plan.parent.folder}' are not there, the first '{missing[0]}'; bring "
            "them back, or train anew without --watch_parent."
        )
