"""What happens between a training's steps and epochs: validation, records, word to the user."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from modnet_keras.data.manifest import Manifest
from modnet_keras.errors import WorkError
from modnet_keras.files import write_table
from modnet_keras.training.checkpoint import Snapshot, save_snapshot
from modnet_keras.training.datasets import evaluation_dataset
from modnet_keras.training.measures import SHARES, TRAINED
from modnet_keras.training.metrics import compute_metrics
from modnet_keras.training.optimizers import base_learning_rate, steps_done
from modnet_keras.training.plan import Plan
from modnet_keras.training.prediction import predict_batches
from modnet_keras.training.run import HISTORY, SNAPSHOT, Run

MEMORY_FOR_PICTURES = 2**29
# Three channels of float32.
BYTES_PER_PIXEL = 12
VALIDATED = ("loss", *SHARES)
PARENT_ACCURACY = "parent_accuracy"
SHOWN = (*TRAINED, *(f"val_{key}" for key in VALIDATED))


class Validation(keras.callbacks.Callback):
    """Adds the metrics of the validation split to an epoch's logs, as `val_...`.

    Not Keras's own validation: its loss is smoothed as the training's, and it has no exact AUC.
    Pictures that are few enough are decoded once and kept; the logits are the same bits.
    """

    def __init__(
        self,
        graph: Callable[[tf.Tensor], tf.Tensor],
        manifest: Manifest,
        config: Mapping[str, Any],
    ) -> None:
        """Take the `inference_graph` of the network, and the images and settings of its run."""
        super().__init__()
        self.graph = graph
        self.dataset = evaluation_dataset(manifest, "val", config)
        self.labels = manifest.labels("val")
        kept = len(self.labels) * config["image_size"] ** 2 * BYTES_PER_PIXEL
        self.keeps = kept <= MEMORY_FOR_PICTURES
        self.batches: list[tf.Tensor] | None = None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        """Predict the split and put its metrics into the logs."""
        metrics = compute_metrics(self.labels, predict_batches(self.graph, self.pictures()))
        logs.update({f"val_{key}": metrics[key] for key in VALIDATED})

    def pictures(self) -> Iterable[tf.Tensor]:
        """The split's pictures, float32 [b, size, size, 3], a batch each."""
        if self.batches is not None:
            return self.batches
        batches = (pictures for pictures, _ in self.dataset)
        if not self.keeps:
            return batches
        self.batches = list(batches)
        return self.batches


class PlainLoss(keras.callbacks.Callback):
    """Shows the cross-entropy as an epoch's `loss`: comparable to `val_loss`, without smoothing."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        """Put the unsmoothed loss in the smoothed one's place."""
        logs["loss"] = logs.pop("cross_entropy")


class StopOnNaN(keras.callbacks.Callback):
    """Ends a training whose loss is no number, before the epoch is recorded."""

    def __init__(self, run: Run) -> None:
        """Take the run, to name it."""
        super().__init__()
        self.run = run

    def on_train_batch_end(self, batch: int, logs: dict[str, Any]) -> None:
        """Look at the loss so far."""
        if not np.isfinite(logs["loss"]):
            raise WorkError(
                f"run '{self.run.folder}': the loss is {logs['loss']} at step "
                f"{steps_done(self.model)}; train anew with a lower --learning_rate "
                "and --overwrite."
            )


class Records(keras.callbacks.Callback):
    """Writes `history.csv` after every epoch, and a snapshot then and every so many seconds."""

    def __init__(self, plan: Plan, snapshot: Snapshot | None, snapshot_seconds: float) -> None:
        """Take the plan, the snapshot that the training goes on from, and the time between two."""
        super().__init__()
        self.folder = plan.run.folder
        self.steps_per_epoch = plan.config["steps_per_epoch"]
        self.history = list(snapshot.history) if snapshot else []
        self.broken_off = snapshot if snapshot and snapshot.epoch else None
        self.snapshot_seconds = snapshot_seconds
        self.is_under_way = False

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start the clock and note the rate of the first step, or take up what was broken off."""
        begun = {"learning_rate": base_learning_rate(self.model.optimizer), "seconds": 0.0}
        if self.broken_off:
            self.broken_off.restore_metrics(self.model)
            begun = self.broken_off.epoch
            self.broken_off = None
        self.rate = begun["learning_rate"]
        self.saved = time.perf_counter()
        self.started = self.saved - begun["seconds"]
        self.is_under_way = True

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Save, where the last time is long enough ago."""
        if time.perf_counter() - self.saved >= self.snapshot_seconds:
            self.save()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        """Add the epoch's row."""
        row = {"epoch": epoch + 1} | {key: float(logs[key]) for key in SHOWN}
        if PARENT_ACCURACY in logs:
            row[PARENT_ACCURACY] = logs[PARENT_ACCURACY]
        row["learning_rate"] = self.rate
        row["seconds"] = round(time.perf_counter() - self.started, 3)
        self.history.append(row)
        write_table(self.folder / HISTORY, self.history)
        self.save()

    def save(self) -> int:
        """Write the state after the last step, wherever the training stands; give that step."""
        step = steps_done(self.model)
        epoch = {}
        if step > len(self.history) * self.steps_per_epoch:
            seconds = round(time.perf_counter() - self.started, 3)
            epoch = {"learning_rate": self.rate, "seconds": seconds}
        save_snapshot(self.folder / SNAPSHOT, self.model, self.history, epoch)
        self.saved = time.perf_counter()
        return step


class TellEpoch(keras.callbacks.Callback):
    """Tells whoever asked for it that an epoch is done and recorded."""

    def __init__(
        self,
        plan: Plan,
        history: list[dict[str, Any]],
        tell: Callable[[Plan, dict[str, Any]], object],
    ) -> None:
        """Take the plan, the rows that `Records` adds to, and whom to tell."""
        super().__init__()
        self.plan = plan
        self.history = history
        self.tell = tell

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Pass the epoch's row on."""
        self.tell(self.plan, self.history[-1])


class ShowProgress(keras.callbacks.Callback):
    """A line an epoch; on a terminal also a bar over all steps, with the time left."""

    def __init__(self, title: str, epochs: int, steps: int, done: int = 0) -> None:
        """Take what is trained, its epochs, and its steps: all of them, and those done."""
        super().__init__()
        console = Console()
        self.epochs = epochs
        self.title = title
        self.bar = None
        if console.is_terminal:
            self.bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("steps"),
                TimeRemainingColumn(),
                console=console,
                transient=True,
            )
            self.row = self.bar.add_task(title, total=steps, completed=done)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Show the bar."""
        if self.bar:
            self.bar.start()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Move on by a step."""
        if self.bar:
            self.bar.advance(self.row)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        """Show the epoch's figures."""
        shown = (
            f"{self.title}: epoch {epoch + 1}/{self.epochs}  loss {logs['loss']:.3f}  "
            f"accuracy {logs['accuracy']:.3f}  val_accuracy {logs['val_accuracy']:.3f}"
        )
        if PARENT_ACCURACY in logs:
            shown += f"  parent {logs[PARENT_ACCURACY]:.3f}"
        # Above the bar where there is one: it takes what is printed meanwhile.
        print(shown, flush=True)

    def close(self) -> None:
        """Take the bar away, however the training ended."""
        if self.bar:
            self.bar.stop()
