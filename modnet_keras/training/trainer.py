"""Training: from a call to a finished run folder, ancestors first."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
from scipy.special import expit

from modnet_keras.data.manifest import SPLITS
from modnet_keras.errors import WorkError
from modnet_keras.files import lock_folder, whole_file, write_table
from modnet_keras.models import build_model, grow, hash_parts
from modnet_keras.tasks import Task
from modnet_keras.training.callbacks import Records, Validation
from modnet_keras.training.checkpoint import load_snapshot
from modnet_keras.training.datasets import undecodable_named
from modnet_keras.training.devices import configure_devices, distribution
from modnet_keras.training.evaluation import predict_split
from modnet_keras.training.fitting import fit
from modnet_keras.training.metrics import compute_metrics
from modnet_keras.training.optimizers import assign_rates, compile_model, freeze
from modnet_keras.training.options import SNAPSHOT_SECONDS, Options
from modnet_keras.training.parents import check_parent
from modnet_keras.training.plan import Plan, plan_training
from modnet_keras.training.prediction import inference_graph, predict_batches
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
    task: Task,
    options: Options,
    *,
    strategy: str | None = None,
    runs: str | Path = "runs",
    name: str | None = None,
    parent: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    snapshot_seconds: float = SNAPSHOT_SECONDS,
    on_plan: Callable[[Plan], object] | None = None,
    on_epoch: Callable[[Plan, dict[str, Any]], object] | None = None,
    on_finished: Callable[[Plan], object] | None = None,
) -> Run:
    """Train a task, and first any ancestor that has no run; `modnet_keras.train` draws them too.

    Parameters
    ----------
    task : Task
    options : Options
        The settings.
    strategy, runs, name, parent, resume, overwrite, snapshot_seconds, on_plan, on_epoch
        As of `modnet_keras.train`.
    on_finished : callable, optional
        Called with each `Plan` when its run is whole.

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
    plans = plan_training(
        task,
        options,
        strategy=strategy,
        runs=runs,
        name=name,
        parent=parent,
        resume=resume,
        overwrite=overwrite,
    )
    for plan in plans:
        check_parent(plan.parent)
        if plan.manifest is not None:
            distribution(plan.config["devices"])
        if plan.watches_parent and plan.parent and plan.parent.is_finished:
            sample_of_parent(plan)
    for plan in plans:
        if on_plan:
            on_plan(plan)
        if plan.manifest is not None:
            _announce(plan)
            _carry_out(plan, overwrite and plan is plans[-1], snapshot_seconds, on_epoch)
        if on_finished:
            on_finished(plan)
    return plans[-1].run


def _announce(plan):
    config = plan.config
    pictures = {split: len(plan.manifest.labels(split)) for split in SPLITS}
    print(
        f"Training {plan.task.name} ({config['strategy']}) on {config['data']}: "
        f"{pictures['train']} pictures and {pictures['val']} for validation, "
        f"{config['epochs']} epochs, {config['precision']}{_on_devices(config['devices'])}"
    )
    for path, reason in sorted(plan.manifest.unreadable.items()):
        print(f"Left out: {path!r}: {reason}")


def _on_devices(count):
    return f", on {count} devices" if count > 1 else ""


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
        validation = Validation(inference_graph(model), plan.manifest, plan.config)
        fit(model, plan, Records(plan, snapshot, snapshot_seconds), validation, on_epoch)
        _finish(model, plan, validation)


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


def _finish(model, plan, validation):
    folder = plan.run.folder
    plain = _plain_model(model, plan)
    with whole_file(folder / MODEL) as temporary:
        plain.save(temporary)
    plan.run.hashes = plan.run.hashes | {"after": hash_parts(plain)}
    plan.run.write_json(HASHES, plan.run.hashes)
    # On several devices its batch norm is another layer than the training's, and differs from it in
    # the last bits.
    graph = validation.graph if plan.config["devices"] == 1 else inference_graph(plain)
    logits, labels = predict_split(graph, plan.manifest, "train", plan.config)
    metrics = {"train": compute_metrics(labels, logits)}
    with undecodable_named(plan.manifest):
        logits = predict_batches(graph, validation.pictures())
    write_table(folder / PREDICTIONS, _prediction_rows(plan.manifest, logits, validation.labels))
    plan.run.write_json(METRICS, metrics | {"val": compute_metrics(validation.labels, logits)})
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
