"""What a call of `train` will do, worked out and checked in full before anything is written.

A plan is one run to be trained: of the task, and before it of each ancestor that has none.
"""

import math
import os
import platform
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from modnet_keras.convolutions import computes_with_onednn
from modnet_keras.data.manifest import Manifest, build_manifest, resolve_val_fraction
from modnet_keras.data.sources import find_source, refuse_inside
from modnet_keras.data.splits import Fold
from modnet_keras.errors import CallError, WorkError
from modnet_keras.tasks import Task
from modnet_keras.training.compute import epochs_of_parents, measure_compute
from modnet_keras.training.devices import configure_devices
from modnet_keras.training.options import (
    DEFAULTS,
    Options,
    check_options,
    normalise_options,
    resolve_options,
    split_settings,
)
from modnet_keras.training.parents import find_parent
from modnet_keras.training.recipes import get_recipe
from modnet_keras.training.run import CONFIG, ESTIMATE_FOLDER, Run
from modnet_keras.training.strategies import get_strategy
from modnet_keras.version import installed_version

# What a child has in common with its parent, so that one split serves the whole hierarchy.
INHERITED = ("seed", "val_fraction", "fold", "image_size")
_OPTION_NAMES = tuple(field.name for field in fields(Options))


@dataclass
class Plan:
    """One run to be trained, or that was trained to its end already.

    Attributes
    ----------
    run : Run
        Its folder may not exist yet.
    task : Task
    config : dict
        What `config.json` will hold.
    manifest : Manifest or None
        None where there is nothing left to be trained.
    parent : Run or None
        Finished, or trained by an earlier plan.
    is_resumed : bool
        Whether a training is there that is gone on with.
    """

    run: Run
    task: Task
    config: dict[str, Any]
    manifest: Manifest | None
    parent: Run | None
    is_resumed: bool

    @property
    def watches_parent(self) -> bool:
        """Whether something is trained that watches its parent."""
        return self.manifest is not None and self.config["watch_parent"]


def plan_training(
    task: Task,
    options: Options,
    *,
    strategy: str | None = None,
    runs: str | Path = "runs",
    name: str | None = None,
    parent: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> list[Plan]:
    """Work out the runs that training a task takes, ancestors first.

    Raises
    ------
    CallError, WorkError
        For everything about the call, the data and the parent's run that can be known beforehand.
    """
    check_options(options)
    if resume and overwrite:
        raise CallError(
            "--resume goes on with a run and --overwrite replaces it; give one of them."
        )
    if options.watch_parent and task.parent is None:
        raise CallError(f"--watch_parent: task {task.name} is a root and has no parent to watch.")
    run = Run(Path(runs) / task.name / _checked_name(name or _resolve_strategy(task, strategy)))
    _refuse_existing(run, resume, overwrite)
    resumed = run if resume and run.is_started else None
    strategy = _resolve_strategy(task, strategy, resumed)
    if resumed:
        _refuse_other_settings(resumed, task, options, parent)
        if resumed.is_finished:
            return [Plan(run, task, run.config, None, None, is_resumed=True)]
        parent = resumed.parent_folder
    plans, parent_run, parent_config = _plan_parents(task, options, strategy, runs, parent, resume)
    if resumed:
        stored = _stored_settings(resumed)
        config = {key: stored[key] for key in (*_OPTION_NAMES, "epochs_of_parents")}
    else:
        config = _resolve(task, options, strategy, parent_config)
    refuse_inside(find_source(config["data"]).root, run.folder, "runs")
    manifest = build_manifest(task, config["data"], **split_settings(config))
    if resumed and manifest.fingerprint != resumed.config["fingerprint"]:
        raise WorkError(
            f"the pictures in '{config['data']}' have changed since run '{run.folder}' was "
            "started; train it anew with --overwrite."
        )
    config |= _facts(task, strategy, config, manifest, run, parent_run)
    _refuse_uneven_batch(config, manifest)
    config |= measure_compute(task, strategy, config, manifest, parent_config)
    return [*plans, Plan(run, task, config, manifest, parent_run, resumed is not None)]


def _refuse_existing(run, resume, overwrite):
    if not run.folder.exists() or (run.folder.is_dir() and not any(run.folder.iterdir())):
        return
    if overwrite and not run.is_started:
        raise CallError(
            f"--overwrite: '{run.folder}' is no run, it holds no {CONFIG}, and is left alone; give "
            "another --name."
        )
    if not (overwrite or resume):
        raise CallError(
            f"run folder '{run.folder}' exists; go on with it by --resume, replace it by "
            "--overwrite, or give another --name."
        )


def _resolve_strategy(task, strategy, resumed=None):
    if strategy is not None:
        get_strategy(strategy)
    if resumed and resumed.config["strategy"] != (strategy or resumed.config["strategy"]):
        raise CallError(
            f"--strategy={strategy}: run '{resumed.folder}' was started with "
            f"{resumed.config['strategy']}; resume it so, or give another --name."
        )
    if task.parent is None and strategy not in (None, "scratch"):
        raise CallError(
            f"--strategy={strategy}: task {task.name} is a root, nothing can be taken over; its "
            "only strategy is scratch."
        )
    if resumed:
        return resumed.config["strategy"]
    return strategy or ("frozen" if task.parent else "scratch")


def _stored_settings(run):
    """What a run's config holds; an option that is younger than the run has its default."""
    return asdict(DEFAULTS) | run.config


def _plan_parents(task, options, strategy, runs, parent, resume):
    """Plans for the ancestors that have no run, the parent's run and its config."""
    if task.parent is None:
        if parent:
            raise CallError(f"--parent: task {task.name} is a root and has no parent.")
        return [], None, None
    run = find_parent(task, strategy, runs, parent)
    if run is not None and run.is_finished:
        return [], run, run.config
    if run is not None and not resume:
        raise CallError(f"the parent's run '{run.folder}' is not finished; go on with --resume.")
    if task.parent.parent is None:
        # A root on the way to a child that watches has nothing to watch itself.
        options = replace(options, watch_parent=None)
    plans = plan_training(
        task.parent,
        options,
        strategy=strategy if task.parent.parent and run is None else None,
        runs=run.folder.parents[1] if run else runs,
        name=run.name if run else None,
        resume=resume,
    )
    return plans, plans[-1].run, plans[-1].config


def _checked_name(name):
    if Path(name).name != name or name.startswith(".") or len(name) > 100:
        raise CallError(f"--name={name}: a run's name is the name of one folder, as frozen-2.")
    if name == ESTIMATE_FOLDER:
        raise CallError(f"--name={name}: that folder is for estimates; give another name.")
    return name


def _resolve(task, options, strategy, parent_config):
    """Every setting, from the options, the parent's run, the recipe and the defaults."""
    if parent_config:
        _refuse_other_than_parent(task, options.given(), parent_config)
        taken = {key: parent_config.get(key) for key in (*INHERITED, "data")}
        taken["fold"] = taken["fold"] and Fold(**taken["fold"])
        options = replace(Options(**taken), **_attributes_given(options))
    settings = resolve_options(options)
    if settings["fold"] is None:
        root = find_source(settings["data"]).root
        settings["val_fraction"] = resolve_val_fraction(root, settings["val_fraction"])
    extra = 0
    if get_strategy(strategy).at_equal_compute:
        extra = epochs_of_parents(task, settings, parent_config)
    settings["epochs"] += extra
    return settings | {"epochs_of_parents": extra}


def _attributes_given(options):
    return {name: getattr(options, name) for name in options.given()}


def _refuse_other_than_parent(task, given, parent_config):
    for key in INHERITED:
        if key in given and given[key] != parent_config.get(key):
            raise CallError(
                f"--{key}={given[key]}: task {task.name} takes {key} from its parent's run of "
                f"{task.parent.name}, where it is {parent_config.get(key)}."
            )


def _refuse_other_settings(run, task, options, parent):
    """An interrupted run goes on by its own settings; what is given now must agree with them."""
    stored = _stored_settings(run)
    if run.task != task:
        raise CallError(
            f"the spec of task {task.name} has changed since run '{run.folder}' was started; train "
            "it anew with --overwrite or another --name."
        )
    given = normalise_options(options.given())
    if "epochs" in given:
        given["epochs"] += stored["epochs_of_parents"]
    if parent is not None and Path(parent).resolve() != run.parent_folder:
        raise CallError(
            f"--parent={parent}: run '{run.folder}' grows out of {stored['parent_run']}; resume it "
            "so, or give another --name."
        )
    if given.get("devices", stored["devices"]) != stored["devices"]:
        raise CallError(
            f"--devices: run '{run.folder}' was started on {stored['devices']} and would go on on "
            f"{given['devices']}; leave --devices out, or train anew with --overwrite."
        )
    for key, value in given.items():
        if value != stored[key]:
            raise CallError(
                f"--{key}={value}: run '{run.folder}' was started with {stored[key]}; resume it "
                "so, or train anew with --overwrite or another --name."
            )


def _facts(task, strategy, config, manifest, run, parent_run):
    """What `config.json` holds beside the settings."""
    versions = ("modnet-keras", "tensorflow", "keras", "numpy")
    table = get_strategy(strategy).table(task.level)
    # Resolved, or links on the way would lead elsewhere when the path is followed back.
    parent = parent_run and os.path.relpath(
        parent_run.folder.resolve(), run.folder.parents[1].resolve()
    )
    return {
        "task": task.name,
        "level": task.level,
        "strategy": strategy,
        "rates": [list(row) for row in table],
        "recipe_settings": asdict(get_recipe(config["recipe"])),
        "parent_run": parent,
        "fingerprint": manifest.fingerprint,
        "intra_op_threads": configure_devices(),
        "onednn": computes_with_onednn(),
        "versions": {name: installed_version(name) for name in versions}
        | {"python": platform.python_version()},
        **task.to_dict(),
    }


def _refuse_uneven_batch(config, manifest):
    """Refuse a batch of which one device would have more than another."""
    from modnet_keras.data.input_pipeline import training_batch

    batch = training_batch(manifest.labels("train"), config["batch_size"])
    if batch % config["devices"]:
        least = math.lcm(2, config["devices"])
        hint = f"give a multiple of {least}" if least <= batch else "there are too few pictures"
        raise CallError(
            f"--batch_size={config['batch_size']}: a batch of {batch} pictures cannot be dealt out "
            f"evenly to {config['devices']} devices; {hint}, or leave --devices out."
        )
