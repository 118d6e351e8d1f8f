"""The epochs of a training: from where it was broken off to the last one."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from modnet_keras.data.input_pipeline import DEVIATION, MEAN
from modnet_keras.errors import WorkError
from modnet_keras.files import write_table
from modnet_keras.models import tap
from modnet_keras.training import callbacks as ours
from modnet_keras.training.datasets import (
    evaluation_dataset,
    training_dataset,
    undecodable_named,
)
from modnet_keras.training.optimizers import steps_done
from modnet_keras.training.plan import Plan
from modnet_keras.training.run import HISTORY
from modnet_keras.training.watch import ParentWatch, sample_of_parent

SAMPLE_PICTURES = 8


def fit(
    model: keras.Model,
    plan: Plan,
    records: ours.Records,
    validation: ours.Validation,
    on_epoch: Callable[[Plan, dict[str, Any]], object] | None = None,
) -> None:
    """Train a run's network to its last epoch.

    Where it is interrupted the state after the last step is saved before it ends.

    Parameters
    ----------
    model : keras.Model
        Compiled, and restored where the training goes on.
    plan : Plan
    records : Records
        Of the same snapshot as the model.
    validation : Validation
        Of the model.
    on_epoch : callable, optional
        Called with the plan and the epoch's row of `history.csv` after each epoch.
    """
    history, epochs = records.history, plan.config["epochs"]
    steps = epochs * plan.config["steps_per_epoch"]
    if history:
        # What was killed between a row and the snapshot after it has left another.
        write_table(plan.run.folder / HISTORY, history)
    if plan.manifest is None or len(history) == epochs:
        return
    title = f"{plan.task.name} ({plan.config['strategy']})"
    progress = ours.ShowProgress(title, epochs, steps, steps_done(model))
    try:
        with undecodable_named(plan.manifest):
            callbacks = [*_make_callbacks(model, plan, records, validation, on_epoch), progress]
            _end_broken_off(model, plan, callbacks, len(history))
            if len(history) < epochs:
                _fit_epochs(model, plan, callbacks, epochs, plan.config["steps_per_epoch"])
    except (KeyboardInterrupt, SystemExit):
        progress.close()
        _save_at_the_end(records, title, steps)
        raise
    finally:
        progress.close()


def _save_at_the_end(records, title, steps):
    """Save and say so; what fails here must not take the place of what ends the training."""
    if not records.is_under_way:
        return
    try:
        step = records.save()
    except (OSError, WorkError) as error:
        print(f"{title}: could not be saved ({error}); --resume goes on from the last snapshot.")
    else:
        print(f"{title}: saved after step {step} of {steps}; --resume goes on from there.")


def _end_broken_off(model, plan, callbacks, epoch):
    """Bring an epoch to its end that was broken off in its midst, if one was."""
    steps = plan.config["steps_per_epoch"]
    left = (epoch + 1) * steps - steps_done(model)
    if left == 0:
        # Only what `fit` does after the last step is left.
        chain = keras.callbacks.CallbackList(callbacks, model=model)
        chain.on_train_begin()
        chain.on_epoch_begin(epoch)
        chain.on_epoch_end(epoch, dict(model.get_metrics_result()))
        chain.on_train_end()
    elif left < steps:
        _fit_epochs(model, plan, callbacks, epoch + 1, left)


def _fit_epochs(model, plan, callbacks, until, steps):
    """Train to the end of an epoch, so many steps each, from where the optimizer stands."""
    done = steps_done(model)
    # One epoch more than is trained: at the end of a stream Keras opens it once more.
    longer = plan.config | {"epochs": plan.config["epochs"] + 1}
    dataset = training_dataset(plan.manifest, longer, done)
    if not done:
        _write_sample(plan, dataset)
    model.fit(
        dataset,
        epochs=until,
        initial_epoch=done // plan.config["steps_per_epoch"],
        steps_per_epoch=steps,
        shuffle=False,
        verbose=0,
        callbacks=callbacks,
    )


def _make_callbacks(model, plan, records, validation, on_epoch):
    return [
        ours.StopOnNaN(plan.run),
        ours.PlainLoss(),
        validation,
        *([_make_watch(model, plan)] if plan.watches_parent else []),
        # Before the snapshot: what is killed between the two shows an epoch twice, not never.
        keras.callbacks.TensorBoard(plan.run.folder / "tensorboard", write_graph=False),
        records,
        *([ours.TellEpoch(plan, records.history, on_epoch)] if on_epoch else []),
    ]


def _make_watch(model, plan):
    sample = sample_of_parent(plan)
    with undecodable_named(sample):
        return ParentWatch(
            tap(model, plan.parent.model),
            evaluation_dataset(sample, "val", plan.parent.config),
            sample.labels("val"),
        )


def _write_sample(plan, dataset):
    """Let TensorBoard show what the training sees, as it is cropped and flipped."""
    pictures, _ = next(iter(dataset))
    folder = plan.run.folder / "tensorboard" / "train"
    with tf.summary.create_file_writer(str(folder)).as_default():
        # Half of a batch are positives, which come first.
        shown = tf.concat([pictures[:SAMPLE_PICTURES], pictures[-SAMPLE_PICTURES:]], axis=0)
        shown = tf.clip_by_value(shown * DEVIATION + MEAN, 0.0, 1.0)
        tf.summary.image("training pictures", shown, step=0, max_outputs=2 * SAMPLE_PICTURES)
