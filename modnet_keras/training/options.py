"""The settings of a training: as a user gives them, checked, and resolved to what is done."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from modnet_keras.data import AUGMENTATIONS
from modnet_keras.data.sources import BUILT_IN, find_source
from modnet_keras.data.splits import Fold
from modnet_keras.errors import CallError, unknown_name
from modnet_keras.training.devices import computes_bfloat16, count_devices, is_device_count
from modnet_keras.training.recipes import get_recipe

PRECISIONS = ("auto", "float32", "bfloat16")
DEVICES = ("one", "all")
SNAPSHOT_SECONDS = 60.0

_OF_RECIPE = ("image_size", "batch_size", "epochs", "learning_rate")


@dataclass(frozen=True)
class Options:
    """Settings of a training as a user gives them; None leaves one to its default.

    Attributes
    ----------
    data : str or path
        "demo", "tiny-imagenet" or a folder; the parent's run's, for a root the demo.
    seed, val_fraction, image_size
        As `build_manifest` and `build_dataset` take them. A child takes its parent's run's and
        refuses others, so that one split serves the whole hierarchy.
    fold : Fold
        In the place of `val_fraction`, for the estimator.
    batch_size, epochs, learning_rate
        The recipe's where absent.
    recipe : {"modern", "original"}
    augment : {"crop_flip", "flip", "none"}
    augment_val : bool
        Vary validation pictures too, which was ModNet's protocol.
    precision : {"auto", "float32", "bfloat16"}
        "auto" takes bfloat16 where it is computed natively.
    watch_parent : bool
        Log the parent's accuracy under the child's weights after every epoch.
    devices : {"one", "all"}
        Resolved, a number.
    """

    data: str | Path | None = None
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

    def given(self) -> dict[str, Any]:
        """Those that are not None, by name; a fold as a dict."""
        return {key: value for key, value in asdict(self).items() if value is not None}


DEFAULT_DATA = "demo"
DEFAULT_RECIPE = "modern"
DEFAULTS = Options(
    data=DEFAULT_DATA,
    seed=0,
    recipe=DEFAULT_RECIPE,
    augment="crop_flip",
    augment_val=False,
    precision="auto",
    watch_parent=False,
    devices=1,
)


def check_options(options: Options) -> None:
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


def resolve_options(options: Options) -> dict[str, Any]:
    """Every setting that no parent's run has a say in, from the options, the recipe and defaults.

    Returns
    -------
    dict
        By the names of `Options`. `data` is a built-in name or an absolute path, `precision` is
        resolved; `val_fraction` and `fold` are as they were given.
    """
    recipe = get_recipe(DEFAULT_RECIPE if options.recipe is None else options.recipe)
    of_recipe = {key: getattr(recipe, key) for key in _OF_RECIPE}
    return normalise_options(asdict(DEFAULTS) | of_recipe | options.given())


def normalise_options(given: Mapping[str, Any]) -> dict[str, Any]:
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


def split_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """What of a run's config says how its images are split, as `build_manifest` takes it."""
    fold = config.get("fold")
    return {
        "seed": config["seed"],
        "val_fraction": config["val_fraction"],
        "fold": fold and Fold(**fold),
    }
