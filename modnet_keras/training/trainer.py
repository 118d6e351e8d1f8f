"""Training: from a call to a finished run folder, ancestors first."""

from pathlib import Path

import keras
import numpy as np
from scipy.special import expit

from modnet_keras.data.manifest import SPLITS, build_manifest
from modnet_keras.errors import WorkError
from modnet_keras.files import lock_folder, whole_file, write_table
from modnet_keras.models import build_model, grow, hash_parts
from modnet_keras.tasks import load_task
from modnet_keras.training.callbacks import Records
from modnet_keras.training.checkpoint import load_snapshot
from modnet_keras.training.datasets import evaluation_dataset, undecodable_named
from modnet_keras.training.devices import configure_devices, distribution
from modnet_keras.training.fitting import fit
from modnet_keras.training.metrics import compute_metrics
from modnet_keras.training.optimizers import assign_rates, compile_model, freeze
from modnet_keras.training.plan import (
    SNAPSHOT_SECONDS,
    Options,
    check_parent,
    plan_training,
    split_settings,
)
from modnet_keras.training.run import (
    CONFIG,
    HASHES,
    MANIFEST,
    METRICS,
    MODEL,
    PREDICTIONS,
    SNAPSHOT,
    Run,
)
from modnet_keras.training.strategies import get_strategy
from modnet_keras.training.watch import sample_of_parent


def train(
    task,
    *,
    strategy=None,
    runs="runs",
    name=None,
    parent=None,
    resume=False,
    overwrite=False,
    snapshot_seconds=SNAPSHOT_SECONDS,
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
    snapshot_seconds : float
        Time between two snapshots within an epoch; there is one after every epoch besides. What is
        resumed goes on from the last one's step, and ends in the same bits as if nothing had been.
    on_plan : callable, optional
        Called with each `Plan` before it is carried out.
    on_epoch : callable, optional
        Called with the `Plan` and the epoch's row of `history.csv` after each epoch.
    on_finished : callable, optional
        Called with each `Plan` when its run is whole.
    **options
        The fields of `Options`: data, seed, val_fraction, fold, image_size, batch_size, epochs,
        learning_rate, recipe, augment, augment_val, precision, devices, watch_parent.

        `devices` is "one" or "all": each of this machine's GPUs has a part of every batch, with
        batch norm synchronised. Where there is none, each of TensorFlow's CPUs, which is one unless
        it was told otherwise.

        `watch_parent`, a bool, has the parent's accuracy under the child's weights logged at the
        end of every epoch, on a fixed sample of the parent's validation images: `parent_accuracy`
        in `history.csv`. The training is the same to the bit, and an epoch takes less than a tenth
        longer. Ancestors that are trained first watch theirs too, but for the root, which has none.

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
    configure_devices()
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
        if plan.manifest is not None:
            distribution(plan.config["devices"])
        if plan.watches_parent and plan.parent.is_finished:
            sample_of_parent(plan)
    for plan in plans:
        if on_plan:
            on_plan(plan)
        if plan.manifest is not None:
            _carry_out(plan, overwrite and plan is plans[-1], snapshot_seconds, on_epoch)
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
    configure_devices()
    run.check_hashes()
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


def _carry_out(plan, overwrite, snapshot_seconds, on_epoch=None):
    model = _make_model(plan)
    folder = plan.run.folder
    folder.mkdir(parents=True, exist_ok=True)
    with lock_folder(folder, f"run '{folder}' is being trained"):
        _refuse_changed(plan, overwrite)
        plan.run.clear() if overwrite else plan.run.sweep()
        snapshot = load_snapshot(folder / SNAPSHOT)
        if snapshot:
            snapshot.restore(model)
        else:
            _write_beginning(plan, model)
        fit(model, plan, Records(plan, snapshot, snapshot_seconds), on_epoch)
        _finish(model, plan)


def _refuse_changed(plan, overwrite):
    """Refuse a run that another process has begun, or ended, since the plan was made."""
    now = Run(plan.run.folder)
    same = not now.is_finished and now.is_started == plan.is_resumed
    if same and plan.is_resumed:
        # What is planned was read before the folder was held.
        same = now.config == plan.run.config
    if not (same or overwrite):
        raise WorkError(
            f"run '{now.folder}' was trained by another process meanwhile; call again with "
            "--resume, or give another --name."
        )


def _write_beginning(plan, model):
    run, parent = plan.run, plan.parent and plan.parent.hashes["after"]
    plan.manifest.write(run.folder / MANIFEST)
    run.write_json(HASHES, {"before": hash_parts(model), "after": None, "parent": parent})
    run.write_json(CONFIG, plan.config)


def _make_model(plan):
    with distribution(plan.config["devices"]).scope():
        return _compiled_model(plan)


def _compiled_model(plan):
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


def _finish(model, plan):
    folder = plan.run.folder
    plain = _plain_model(model, plan)
    with whole_file(folder / MODEL) as temporary:
        plain.save(temporary)
    plan.run.hashes = plan.run.hashes | {"after": hash_parts(plain)}
    plan.run.write_json(HASHES, plan.run.hashes)
    predicted = {
        split: _predict_split(plain, plan.manifest, split, plan.config) for split in SPLITS
    }
    write_table(folder / PREDICTIONS, _prediction_rows(plan.manifest, *predicted["val"]))
    plan.run.write_json(
        METRICS,
        {split: compute_metrics(labels, logits) for split, (logits, labels) in predicted.items()},
    )
    (folder / SNAPSHOT).unlink(missing_ok=True)
    plan.run.model = plain


def _plain_model(model, plan):
    """The network for one device, without the optimizer: it loads where our layers are known."""
    if plan.config["devices"] == 1:
        return keras.Model(model.inputs, model.outputs, name=model.name)
    config = plan.config
    plain = build_model(plan.task, config["image_size"], precision=config["precision"])
    plain.set_weights(model.get_weights())
    freeze(plain, assign_rates(plain, get_strategy(config["strategy"]).table(plan.task.level)))
    return plain


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
