"""One fold of an estimate: the parents, the task by every strategy, and what was forgotten."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from modnet_keras.data.splits import Fold
from modnet_keras.errors import CallError, WorkError
from modnet_keras.files import write_whole
from modnet_keras.studies.families import identical_parts, refuse_unequal_bits, tapped_model
from modnet_keras.studies.fold_events import failure
from modnet_keras.studies.networks import predict_all
from modnet_keras.studies.tables import FOLD_RESULT
from modnet_keras.tasks import Task
from modnet_keras.training.datasets import evaluation_dataset, undecodable_named
from modnet_keras.training.evaluation import own_manifest
from modnet_keras.training.measures import SHARES
from modnet_keras.training.options import Options
from modnet_keras.training.trainer import train

PARENT, CHILD = "parent", "child"


def train_fold(job: dict[str, Any], tell: Callable[[dict[str, Any]], object]) -> None:
    """Train what a fold lacks, measure it, and write its `result.json`.

    Parents are trained once and shared by the strategies: a root from `scratch`, those below it by
    `frozen`, the default of `train`. What is trained already is not trained again, and what was
    interrupted goes on.

    Parameters
    ----------
    job : dict
        As `estimator` makes it, of values that JSON can hold: `folder`, the fold's runs folder;
        `specs` (`Task.to_dict`); `strategies`; `options` of `train`; the `fingerprint` of the
        pictures; and `split`, the columns of `estimate.csv` that say which split it is.
    tell : callable
        Called with a dict after each epoch, each training and each strategy that fails.

    Raises
    ------
    CallError, WorkError
        If a parent cannot be trained. What fails of one strategy is told, and the others go on.
    """
    task = Task.from_dict(job)
    parent = None
    for ancestor in task.ancestors:
        parent = _train(ancestor, None, parent, job, tell)
    rows = []
    for strategy in job["strategies"]:
        try:
            run = _train(task, strategy, parent, job, tell)
            rows.append(_row(job, strategy, run, parent))
        except (CallError, WorkError) as error:
            tell(failure(str(error), strategy))
    write_whole(Path(job["folder"]) / FOLD_RESULT, json.dumps({"rows": rows}, indent=2) + "\n")


def _train(task, strategy, parent, job, tell):
    # Each training starts as in a process of its own, whatever was trained before it in this one.
    keras.utils.clear_session()
    fold = job["options"]["fold"]
    run = train(
        task,
        Options(**job["options"] | {"fold": fold and Fold(**fold)}),
        strategy=strategy,
        runs=job["folder"],
        parent=parent and parent.folder,
        resume=True,
        on_plan=lambda plan: _refuse_other_pictures(plan, job),
        on_epoch=lambda plan, row: tell(
            {
                "event": "epoch",
                "run": f"{plan.task.name}/{plan.run.name}",
                "epoch": row["epoch"],
                "epochs": plan.config["epochs"],
                "seconds": row["seconds"],
            }
        ),
    )
    tell(
        {
            "event": "trained",
            "run": run.title,
            "epochs": run.config["epochs"],
            "accuracy": run.metrics["val"]["accuracy"],
        }
    )
    return run


def _refuse_other_pictures(plan, job):
    if plan.config["fingerprint"] != job["fingerprint"]:
        raise WorkError(
            f"the pictures in '{plan.config['data']}' are not those that the estimate was started "
            "with; every fold needs the same."
        )


def _measure_forgetting(parent, run):
    """What the parent loses on its validation images with a child's stages, as `forget` says."""
    manifest = own_manifest(parent)
    labels = manifest.labels("val").astype(bool)
    networks = {PARENT: parent.model.layers[1:], CHILD: tapped_model(run, parent).layers[1:]}
    with undecodable_named(manifest):
        outputs = predict_all(networks, evaluation_dataset(manifest, "val", parent.config))
    if len(identical_parts(run, parent)) == len(parent.model.layers) - 2:
        refuse_unequal_bits(run, outputs[CHILD], outputs[PARENT])
    right = {name: (logits.reshape(-1) > 0) == labels for name, logits in outputs.items()}
    # Counted, then divided once.
    return int(right[PARENT].sum() - right[CHILD].sum()) / len(labels)


def _row(job, strategy, run, parent):
    """A row of `estimate.csv`, and the numbers of images that its statistics take."""
    validation = run.metrics["val"]
    return {
        "task": run.config["task"],
        "strategy": strategy,
        **job["split"],
        "seed": run.config["seed"],
        "n": validation["n"],
        **{key: validation[key] for key in SHARES},
        "forgetting": parent and _measure_forgetting(parent, run),
        "seconds": round(sum(row["seconds"] for row in run.history), 3),
        "run": run.title,
        "n_train": run.metrics["train"]["n"],
        "parent_n": parent and parent.metrics["val"]["n"],
        "parent_n_train": parent and parent.metrics["train"]["n"],
    }
