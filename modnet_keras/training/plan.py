"""What a call of `train` will do, worked out and checked in full before anything is written.

A plan is one run to be trained: of the task, and before it of each ancestor that has none.
"""

import math
import os
import platform
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from modnet_keras.convolutions import computes_with_onednn
from modnet_keras.data import AUGMENTATIONS
from modnet_keras.data.manifest import Manifest, build_manifest, resolve_val_fraction
from modnet_keras.data.sources import BUILT_IN, find_source, refuse_inside
from modnet_keras.data.splits import Fold
from modnet_keras.errors import CallError, WorkError, unknown_name
from modnet_keras.tasks import Task
from modnet_keras.training.devices import (
    computes_bfloat16,
    configure_devices,
    count_devices,
    is_device_count,
)
from modnet_keras.training.recipes import get_recipe
from modnet_keras.training.run import CONFIG, Run, find_runs
from modnet_keras.training.strategies import get_strategy
from modnet_keras.version import installed_version

PRECISIONS = ("auto", "float32", "bfloat16")
DEVICES = ("one", "all")
# What a child has in common with its parent, so that one split serves the whole hierarchy.
INHERITED = ("seed", "val_fraction", "fold", "image_size")
SETTINGS_OF_RECIPE = ("image_size", "batch_size", "epochs", "learning_rate")
SNAPSHOT_SECONDS = 60
# Beside the runs of a task: where an estimate keeps a runs folder for each of its folds.
ESTIMATE_FOLDER = "estimate"


@dataclass(frozen=True)
class Options:
    """Settings of a training as a user gives them; None leaves one to its default.

    `fold`, a `Fold`, takes the place of `val_fraction`; it is for the estimator. `devices` is "one"
    or "all", and resolved a number.
    """

    data: str | None = None
    seed: int | None = None
    val_fraction: float | None = None
    fold: Fold | None = None
    image_size: int | None = None
    batch_size: int | None = None
    epochs: int | None = None
    learning_rate: float | None = None
    recipe: str | None = None
    augment: str | None = None
    augment_val: bool | None = None
    precision: str | None = None
    watch_parent: bool | None = None
    devices: str | int | None = None

    def given(self):
        """Those that are not None, a dict."""
        return {key: value for key, value in asdict(self).items() if value is not None}


OPTION_NAMES = tuple(field.name for field in fields(Options))
DEFAULTS = Options(
    data="demo",
    seed=0,
    recipe="modern",
    augment="crop_flip",
    augment_val=False,
    precision="auto",
    watch_parent=False,
    devices=1,
)


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
    config: dict
    manifest: Manifest | None
    parent: Run | None
    is_resumed: bool

    @property
    def watches_parent(self):
        """Whether something is trained that watches its parent."""
        return self.manifest is not None and self.config["watch_parent"]


def plan_training(
    task, options, *, strategy=None, runs="runs", name=None, parent=None, resume=False,
    overwrite=False,
):  # fmt: skip
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
        parent = _stored_parent(resumed)
    plans, parent_run, parent_config = _plan_parents(task, options, strategy, runs, parent, resume)
    if resumed:
        stored = _stored_settings(resumed)
        config = {key: stored[key] for key in (*OPTION_NAMES, "epochs_of_parents")}
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
    config |= _compute(task, strategy, config, manifest, parent_config)
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


def _stored_parent(resumed):
    """The run that an interrupted run grows out of; None for a root or where nothing is resumed."""
    if resumed is None or resumed.config.get("parent_run") is None:
        return None
    return resumed.folder.parents[1] / resumed.config["parent_run"]


def _stored_settings(run):
    """What a run's config holds; an option that is younger than the run has its default."""
    return asdict(DEFAULTS) | run.config


def _plan_parents(task, options, strategy, runs, parent, resume):
    """Plans for the ancestors that have no run, the parent's run and its config."""
    if task.parent is None:
        if parent:
            raise CallError(f"--parent: task {task.name} is a root and has no parent.")
        return [], None, None
    run = _find_parent(task, strategy, runs, parent)
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


def check_options(options):
    """Refuse values that no training could use; the command line has checked most before.

    Raises
    ------
    CallError
    """
    if options.recipe is not None:
        get_recipe(options.recipe)
    for key, known in (("augment", AUGMENTATIONS), ("precision", PRECISIONS)):
        value = getattr(options, key)
        if value is not None and value not in known:
            raise unknown_name(key, str(value), known)
    if not (options.devices in (None, *DEVICES) or is_device_count(options.devices)):
        raise unknown_name("devices", str(options.devices), DEVICES)
    if options.batch_size is not None and (options.batch_size < 2 or options.batch_size % 2):
        raise CallError(
            f"batch_size must be even and at least 2, half of each class; found "
            f"{options.batch_size}."
        )
    if options.val_fraction is not None and not 0 < options.val_fraction < 1:
        raise CallError(f"val_fraction must lie between 0 and 1; found {options.val_fraction}.")
    for key, least in (("epochs", 1), ("image_size", 32)):
        value = getattr(options, key)
        if value is not None and value < least:
            raise CallError(f"{key} must be at least {least}; found {value}.")
    if options.learning_rate is not None and not 0 < options.learning_rate < float("inf"):
        raise CallError(f"learning_rate must be over 0; found {options.learning_rate}.")


def _checked_name(name):
    if Path(name).name != name or name.startswith(".") or len(name) > 100:
        raise CallError(f"--name={name}: a run's name is the name of one folder, as frozen-2.")
    if name == ESTIMATE_FOLDER:
        raise CallError(f"--name={name}: that folder is for estimates; give another name.")
    return name


def _find_parent(task, strategy, runs, parent):
    """The parent's run that a child grows out of; None where there is none yet."""
    if parent is not None:
        run = Run(Path(parent).resolve())
        if not run.is_started:
            raise CallError(f"--parent={parent} is no run: it holds no {CONFIG}.")
        if run.config["task"] != task.parent.name:
            raise CallError(
                f"--parent={parent} is a run of task {run.config['task']}; "
                f"{task.name} needs one of {task.parent.name}."
            )
        return _of_same_spec(run, task.parent)
    found = find_runs(runs, task.parent.name)
    if len(found) > 1:
        alike = [run for run in found if run.config["strategy"] == strategy]
        if len(alike) != 1:
            names = ", ".join(str(run.folder) for run in found)
            raise CallError(
                f"task {task.parent.name} has several runs; name the one to grow out of with "
                f"--parent: {names}."
            )
        found = alike
    return _of_same_spec(found[0], task.parent) if found else None


def _of_same_spec(run, task):
    if run.task != task:
        raise CallError(
            f"the spec of task {task.name} has changed since run '{run.folder}' was trained; train "
            f"{task.name} anew, or give --parent another run."
        )
    return run


def resolve_options(options):
    """Every setting that no parent's run has a say in, from the options, the recipe and defaults.

    Returns
    -------
    dict
        By the names of `Options`. `data` is a built-in name or an absolute path, `precision` is
        resolved; `val_fraction` and `fold` are as they were given.
    """
    given = options.given()
    recipe = get_recipe(given.get("recipe", DEFAULTS.recipe))
    of_recipe = {key: getattr(recipe, key) for key in SETTINGS_OF_RECIPE}
    return normalise_options(asdict(DEFAULTS) | of_recipe | given)


def normalise_options(given):
    """Options, by name, with `data`, `precision` and `devices` as `config.json` has them."""
    given = dict(given)
    if "data" in given:
        source = find_source(given["data"])
        given["data"] = source.name if source.name in BUILT_IN else str(source.root)
    if given.get("precision") == "auto":
        given["precision"] = "bfloat16" if computes_bfloat16() else "float32"
    if given.get("devices") in DEVICES:
        given["devices"] = count_devices(given["devices"])
    return given


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
        extra = _epochs_of_parents(task, settings, parent_config)
    settings["epochs"] += extra
    return settings | {"epochs_of_parents": extra}


def _attributes_given(options):
    return {name: getattr(options, name) for name in options.given()}


def split_settings(config):
    """What of a run's config says how its images are split, as `build_manifest` takes it."""
    fold = config.get("fold")
    return {
        "seed": config["seed"],
        "val_fraction": config["val_fraction"],
        "fold": fold and Fold(**fold),
    }


def _refuse_other_than_parent(task, given, parent_config):
    for key in INHERITED:
        if key in given and given[key] != parent_config.get(key):
            raise CallError(
                f"--{key}={given[key]}: task {task.name} takes {key} from its parent's run of "
                f"{task.parent.name}, where it is {parent_config.get(key)}."
            )


def _epochs_of_parents(task, settings, parent_config):
    """Epochs of this task that cost what the training of its parents did."""
    from modnet_keras.data.input_pipeline import steps_per_epoch

    manifest = build_manifest(task, settings["data"], **split_settings(settings))
    steps = steps_per_epoch(manifest, settings["batch_size"])
    one = training_flops(task, settings["image_size"], steps * settings["batch_size"])
    return round(parent_config["training_flops_with_parents"] / one)


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
    grown_from = _stored_parent(run)
    if parent is not None and not (grown_from and Path(parent).resolve() == grown_from.resolve()):
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


def _compute(task, strategy, config, manifest, parent_config):
    """Steps of the training and its multiply-adds, own and with those of what it grew out of."""
    from modnet_keras.data.input_pipeline import steps_per_epoch

    steps = steps_per_epoch(manifest, config["batch_size"])
    flops = training_flops(
        task, config["image_size"], steps * config["batch_size"] * config["epochs"]
    )
    grew = parent_config is not None and get_strategy(strategy).takes_over
    return {
        "steps_per_epoch": steps,
        "training_flops": flops,
        "training_flops_with_parents": flops
        + (parent_config["training_flops_with_parents"] if grew else 0),
    }


def training_flops(task, image_size, images):
    """Multiply-adds of training on so many images: forward once, backward twice."""
    from modnet_keras.models import build_model, compute_flops

    return 3 * compute_flops(build_model(task, image_size)) * images


def check_parent(plan):
    """Load the parent's network and hold it against its config, before anything is written."""
    if plan.parent is None or not plan.parent.is_finished:
        return
    plan.parent.check_hashes()
    size = plan.parent.config["image_size"]
    if plan.parent.model.input_shape[1:3] != (size, size):
        raise WorkError(
            f"run '{plan.parent.folder}' is damaged: config.json says image_size {size}, "
            f"model.keras takes {plan.parent.model.input_shape[1]}."
        )
