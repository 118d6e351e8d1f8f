"""Training: from a call to a finished run folder, ancestors first."""

import contextlib
import shutil
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from scipy.special import expit

from modnet_keras.data.decode_check import find_undecodable
from modnet_keras.data.input_pipeline import DEVIATION, MEAN, build_dataset
from modnet_keras.data.manifest import SPLITS, build_manifest
from modnet_keras.errors import WorkError
from modnet_keras.files import whole_file, write_table
from modnet_keras.models import build_model, grow, hash_parts, tap
from modnet_keras.tasks import load_task
from modnet_keras.training import callbacks as ours
from modnet_keras.training.checkpoint import load_snapshot
from modnet_keras.training.metrics import compute_metrics
from modnet_keras.training.optimizers import compile_model
from modnet_keras.training.plan import (
    Options,
    check_parent,
    configure_threads,
    plan_training,
    split_settings,
)
from modnet_keras.training.recipes import get_recipe
from modnet_keras.training.run import (
    CONFIG,
    HASHES,
    MANIFEST,
    METRICS,
    MODEL,
    PREDICTIONS,
    SNAPSHOT,
)
from modnet_keras.training.strategies import get_strategy
from modnet_keras.training.watch import ParentWatch, sample_of_parent

EVALUATION_BATCH = 256
SAMPLE_PICTURES = 8


def train(
    task,
    *,
    strategy=None,
    runs="runs",
    name=None,
    parent=None,
    resume=False,
    overwrite=False,
    on_plan=None,
    on_epoch=None,
    on_finished=None,
    **options,
):
    """Train a task, and first any ancestor that has no run.

    Parameters
    ----------
    task : str, path or Task
    strategy : str, optional
        A key of `STRATEGIES`; "frozen" where absent, "scratch" for a root.
    runs : path
        The run is `<runs>/<task>/<name>`.
    name : str, optional
        The strategy's name where absent.
    parent : path, optional
        The parent's run; where absent, its only run, or the one of the same strategy.
    resume, overwrite : bool
        Go on with the run if it is there, or replace it. Without either an existing run is
        refused.
    on_plan : callable, optional
        Called with each `Plan` before it is carried out.
    on_epoch : callable, optional
        Called with the `Plan` and the epoch's row of `history.csv` after each epoch.
    on_finished : callable, optional
        Called with each `Plan` when its run is whole.
    **options
        The fields of `Options`: data, seed, val_fraction, fold, image_size, batch_size, epochs,
        learning_rate, recipe, augment, augment_val, precision, watch_parent. The last one, a
        bool, has the parent's accuracy under the child's weights logged at the end of every epoch,
        on a fixed sample of the parent's validation images: `parent_accuracy` in `history.csv`.
        The training is the same to the bit, and an epoch takes less than a tenth longer.
        Ancestors that are trained first watch theirs too, but for the root, which has none.

    Returns
    -------
    Run
        The task's. Those of ancestors that were trained too lie beside it.

    Raises
    ------
    CallError
        If the call is wrong. Nothing has been written then.
    WorkError
        If the data lack a class, the parent's run is damaged, or the training fails.
    """
    configure_threads()
    task = load_task(task) if isinstance(task, (str, Path)) else task
    plans = plan_training(
        task,
        Options(**options),
        strategy=strategy,
        runs=runs,
        name=name,
        parent=parent,
        resume=resume,
        overwrite=overwrite,
    )
    for plan in plans:
        check_parent(plan)
        if _watches(plan) and plan.parent.is_finished:
            sample_of_parent(plan)
    for plan in plans:
        if on_plan:
            on_plan(plan)
        if plan.manifest is not None:
            _carry_out(plan, overwrite and plan is plans[-1], on_epoch)
        if on_finished:
            on_finished(plan)
    return plans[-1].run


def evaluate(run, data=None):
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
    configure_threads()
    own, whole = run.manifest(data), whole_manifest(run, data)
    if whole.fingerprint == run.config["fingerprint"]:
        return _evaluate_split(run.model, own, "val", run.config)
    if data is None:
        raise WorkError(
            f"the pictures in '{run.config['data']}' are no longer those of run '{run.folder}'; "
            "name them with --data to measure it on all of them."
        )
    plain = run.config | {"augment_val": False}
    parts = [
        _predict_split(run.model, whole, split, plain)
        for split in SPLITS
        if len(whole.labels(split))
    ]
    logits, labels = map(np.concatenate, zip(*parts, strict=True))
    return compute_metrics(labels, logits)


def whole_manifest(run, data=None):
    """All images that a run's task finds in its data folder, or in another, as they are now."""
    folders = {name for path in run.manifest(data).path for name in path.split("/")[:-1]}
    return build_manifest(
        run.task,
        data or run.config["data"],
        **split_settings(run.config),
        balance=False,
        known_folders=folders,
    )


def own_manifest(run, data=None):
    """A run's manifest, its images below its own data folder or where that was moved to.

    Raises
    ------
    WorkError
        If the images there are not those of the run.
    """
    manifest = run.manifest(data)
    if whole_manifest(run, data).fingerprint != run.config["fingerprint"]:
        raise WorkError(
            f"the pictures in '{data or run.config['data']}' are not those that run '{run.folder}' "
            "was trained on, some were added, removed or changed; name a folder that holds these "
            "and no others with --data."
        )
    return manifest


def _carry_out(plan, overwrite, on_epoch=None):
    model = _make_model(plan)
    folder = plan.run.folder
    if overwrite and folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    snapshot = load_snapshot(folder / SNAPSHOT)
    history = []
    if snapshot:
        snapshot.restore(model)
        history = snapshot.history
    else:
        plan.manifest.write(folder / MANIFEST)
        parent = plan.parent and plan.parent.hashes["after"]
        plan.run.write_json(HASHES, {"before": hash_parts(model), "after": None, "parent": parent})
        plan.run.write_json(CONFIG, plan.config)
    _fit(model, plan, history, on_epoch)
    _finish(model, plan)


def _make_model(plan):
    config = plan.config
    if get_strategy(config["strategy"]).takes_over and plan.parent:
        settings = {"seed": config["seed"], "precision": config["precision"]}
        model = grow(plan.parent.model, plan.task, **settings)
    else:
        model = build_model(
            plan.task, config["image_size"], seed=config["seed"], precision=config["precision"]
        )
    return compile_model(
        model,
        config["strategy"],
        steps_per_epoch=config["steps_per_epoch"],
        epochs=config["epochs"],
        recipe=config["recipe"],
        learning_rate=config["learning_rate"],
    )


def _fit(model, plan, history, on_epoch):
    config, run = plan.config, plan.run
    steps = config["steps_per_epoch"]
    if len(history) == config["epochs"]:
        return
    stream = build_dataset(
        plan.manifest,
        "train",
        epochs=config["epochs"],
        start_step=len(history) * steps,
        image_size=config["image_size"],
        batch_size=config["batch_size"],
        augment=config["augment"],
        crop_area=get_recipe(config["recipe"]).crop_area,
        seed=config["seed"],
    )
    watch = [_make_watch(model, plan)] if _watches(plan) else []
    told = [ours.TellEpoch(plan, history, on_epoch)] if on_epoch else []
    progress = ours.ShowProgress(
        f"{plan.task.name} ({config['strategy']})", config["epochs"], steps, len(history)
    )
    try:
        with undecodable_named(plan.manifest):
            if not history:
                _write_sample(run, stream)
            model.fit(
                stream,
                epochs=config["epochs"],
                initial_epoch=len(history),
                steps_per_epoch=steps,
                shuffle=False,
                verbose=0,
                callbacks=[
                    ours.StopOnNaN(run),
                    ours.PlainLoss(),
                    ours.Validation(
                        evaluation_dataset(plan.manifest, "val", config),
                        plan.manifest.labels("val"),
                        config["image_size"],
                    ),
                    *watch,
                    ours.Records(run, history),
                    *told,
                    keras.callbacks.TensorBoard(run.folder / "tensorboard", write_graph=False),
                    progress,
                ],
            )
    finally:
        progress.close()


def _watches(plan):
    return plan.manifest is not None and plan.config["watch_parent"]


def _make_watch(model, plan):
    sample = sample_of_parent(plan)
    with undecodable_named(sample):
        return ParentWatch(
            tap(model, plan.parent.model),
            evaluation_dataset(sample, "val", plan.parent.config),
            sample.labels("val"),
        )


@contextlib.contextmanager
def undecodable_named(manifest):
    """Name the picture that passed the quick check and that TensorFlow cannot decode."""
    try:
        yield
    except (tf.errors.InvalidArgumentError, tf.errors.NotFoundError) as error:
        found = find_undecodable([path for split in SPLITS for path in manifest.paths(split)])
        if not found:
            raise
        raise WorkError(
            f"picture '{found[0]}' passed the quick check but cannot be decoded, one of "
            f"{len(found)}; 'modnet data --check=full' has them left out: call it and start anew."
        ) from error


def _write_sample(run, stream):
    """Let TensorBoard show what the training sees, as it is cropped and flipped."""
    pictures, _ = next(iter(stream))
    with tf.summary.create_file_writer(str(run.folder / "tensorboard" / "train")).as_default():
        # Half of a batch are positives, which come first.
        shown = tf.concat([pictures[:SAMPLE_PICTURES], pictures[-SAMPLE_PICTURES:]], axis=0)
        shown = tf.clip_by_value(shown * DEVIATION + MEAN, 0.0, 1.0)
        tf.summary.image("training pictures", shown, step=0, max_outputs=2 * SAMPLE_PICTURES)


def _finish(model, plan):
    folder = plan.run.folder
    # Without the optimizer, so that it loads where only the layers are known.
    plain = keras.Model(model.inputs, model.outputs, name=model.name)
    with whole_file(folder / MODEL) as temporary:
        plain.save(temporary)
    plan.run.hashes = plan.run.hashes | {"after": hash_parts(plain)}
    plan.run.write_json(HASHES, plan.run.hashes)
    predicted = {
        split: _predict_split(model, plan.manifest, split, plan.config) for split in SPLITS
    }
    write_table(folder / PREDICTIONS, _prediction_rows(plan.manifest, *predicted["val"]))
    plan.run.write_json(
        METRICS,
        {split: compute_metrics(labels, logits) for split, (logits, labels) in predicted.items()},
    )
    (folder / SNAPSHOT).unlink(missing_ok=True)
    plan.run.model = plain


def evaluation_dataset(manifest, split, config):
    """A split's pictures as a run of these settings evaluates them: all, once, in order."""
    augmented = config["augment_val"] and split == "val"
    return build_dataset(
        manifest,
        split,
        training=False,
        image_size=config["image_size"],
        batch_size=EVALUATION_BATCH,
        augment=config["augment"] if augmented else "none",
        crop_area=get_recipe(config["recipe"]).crop_area,
        seed=config["seed"],
    )


def _predict_split(model, manifest, split, config):
    with undecodable_named(manifest):
        logits = model.predict(evaluation_dataset(manifest, split, config), verbose=0)
    return logits[:, 0], manifest.labels(split)


def _prediction_rows(manifest, logits, labels):
    """What `predictions.csv` holds: the probability of the class for every validation image."""
    of_split = manifest.split == "val"
    return [
        {"path": path, "class": cls, "label": int(label), "probability": f"{probability:.6g}"}
        for path, cls, label, probability in zip(
            manifest.path[of_split],
            manifest.image_class[of_split],
            labels,
            expit(logits.astype("float64")),
            strict=True,
        )
    ]


def _evaluate_split(model, manifest, split, config):
    logits, labels = _predict_split(model, manifest, split, config)
    return compute_metrics(labels, logits)
