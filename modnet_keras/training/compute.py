"""What a training costs: steps, and multiply-adds that one strategy can be made to equal."""

import functools
from collections.abc import Mapping
from typing import Any

from modnet_keras.data.manifest import Manifest, build_manifest
from modnet_keras.tasks import Task
from modnet_keras.training.options import split_settings
from modnet_keras.training.strategies import get_strategy


def training_flops(task: Task, image_size: int, images: int) -> int:
    """Multiply-adds of training on so many images: forward once, backward twice."""
    return 3 * _flops_of_level(task.level, image_size) * images


@functools.cache
def _flops_of_level(level: int, image_size: int) -> int:
    """Multiply-adds of one picture; kept, for the network is built to count them."""
    from modnet_keras.models import build_model, compute_flops

    return compute_flops(build_model(level, image_size))


def epochs_of_parents(
    task: Task, settings: Mapping[str, Any], parent_config: Mapping[str, Any]
) -> int:
    """Epochs of a task that cost what the training of its parents did.

    Parameters
    ----------
    task : Task
    settings : mapping
        As `resolve_options` gives them.
    parent_config : mapping
        The `config.json` of the parent's run.
    """
    from modnet_keras.data.input_pipeline import steps_per_epoch

    manifest = build_manifest(task, settings["data"], **split_settings(settings))
    steps = steps_per_epoch(manifest, settings["batch_size"])
    one = training_flops(task, settings["image_size"], steps * settings["batch_size"])
    return round(parent_config["training_flops_with_parents"] / one)


def measure_compute(
    task: Task,
    strategy: str,
    config: Mapping[str, Any],
    manifest: Manifest,
    parent_config: Mapping[str, Any] | None,
) -> dict[str, int]:
    """Steps of a training and its multiply-adds, own and with those of what it grew out of.

    Returns
    -------
    dict
        `steps_per_epoch`, `training_flops` and `training_flops_with_parents`, as `config.json` has
        them.
    """
    from modnet_keras.data.input_pipeline import steps_per_epoch

    steps = steps_per_epoch(manifest, config["batch_size"])
    flops = training_flops(
        task, config["image_size"], steps * config["batch_size"] * config["epochs"]
    )
    of_parents = 0
    if parent_config is not None and get_strategy(strategy).takes_over:
        of_parents = parent_config["training_flops_with_parents"]
    return {
        "steps_per_epoch": steps,
        "training_flops": flops,
        "training_flops_with_parents": flops + of_parents,
    }
