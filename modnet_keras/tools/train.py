"""The command `train`."""

from pathlib import Path

from rich.console import Console

from modnet_keras.data.manifest import SPLITS
from modnet_keras.tools import options as option
from modnet_keras.tools.output import show_table
from modnet_keras.training.options import SNAPSHOT_SECONDS


def train(
    task: option.Task,
    strategy: option.Strategy = None,
    data: option.Data | None = None,
    runs: option.Runs = Path("runs"),
    name: option.RunName = None,
    parent: option.ParentRun = None,
    seed: option.Seed | None = None,
    val_fraction: option.ValFraction = None,
    image_size: option.ImageSize = None,
    batch_size: option.BatchSize = None,
    epochs: option.Epochs = None,
    learning_rate: option.LearningRate = None,
    recipe: option.Recipe = None,
    augment: option.Augment = None,
    augment_val: option.AugmentVal = None,
    precision: option.Precision = None,
    devices: option.Devices = None,
    watch_parent: option.WatchParent = None,
    snapshot_seconds: option.SnapshotSeconds = SNAPSHOT_SECONDS,
    resume: option.Resume = False,
    overwrite: option.Overwrite = False,
) -> None:
    """Train a task, and first its ancestors that have no run, with the same options.

    A child takes seed, val_fraction and image_size from its parent's run, and the data too unless
    --data names another. The run is the folder RUNS/TASK/NAME: config.json, manifest.csv,
    history.csv and .png, metrics.json, model.keras and tensorboard/. Without --data the pictures
    are the demo's, drawn on the spot.

    A training that was killed, or interrupted by Ctrl-C or SIGTERM, goes on by --resume from its
    last snapshot, and ends in the same bits as without.

    Examples
    --------
    modnet train --task=canines
    modnet train --task=canines --strategy=finetune --data=my/pictures
    modnet train --task=canines --strategy=finetune --resume
    modnet train --task=canines --strategy=finetune --watch_parent
    tensorboard --logdir=runs
    """
    # Passed on whole: the command has the names that Python has (a test holds both together).
    call = dict(locals())
    trained = []
    status = Console().status("Preparing: pictures, parents, the network")

    def announce(plan):
        status.stop()
        trained.append(plan.run)
        if plan.manifest is None:
            print(f"{plan.run.folder} was trained to its end already.")

    with status:
        from modnet_keras.api import train as train_task

        train_task(**call, on_plan=announce)
    rows = [
        {"run": run.title, "split": split} | run.metrics[split]
        for run in trained
        for split in SPLITS
    ]
    show_table("Metrics of whole splits, pictures unaugmented", rows)
    for run in trained:
        print(run.folder)
