"""What an estimate consists of, kept in its folder so that it can go on and grow."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modnet_keras.data.sources import Index
from modnet_keras.errors import CallError, WorkError
from modnet_keras.files import UNFINISHED, read_json, write_whole
from modnet_keras.studies.resplits import Resplit, plan_resplits
from modnet_keras.studies.tables import (
    ESTIMATE,
    ESTIMATE_DETAILS,
    ESTIMATE_FIGURE,
    ESTIMATE_SETTINGS,
)
from modnet_keras.tasks import Task
from modnet_keras.training.options import Options, normalise_options
from modnet_keras.training.run import CONFIG
from modnet_keras.training.strategies import get_strategy

DEFAULT_STRATEGIES = ("scratch", "finetune", "frozen")
_KEYS = ("specs", "strategies", "folds", "repeats", "val_fraction", "options", "fingerprint")


def refuse_existing(folder: Path, resume: bool, overwrite: bool) -> None:
    """Refuse an estimate that is there and that the call neither goes on with nor replaces.

    Raises
    ------
    CallError
    """
    if resume and overwrite:
        raise CallError(
            "--resume goes on with an estimate and --overwrite replaces it; give one of them."
        )
    if (folder / CONFIG).is_file():
        raise CallError(
            f"'{folder}' is a run, and an estimate goes there; rename the run, for instance to "
            f"'{folder}-run'."
        )
    if not _holds_something(folder):
        return
    if not (folder / ESTIMATE_SETTINGS).is_file():
        raise CallError(
            f"'{folder}' is no estimate, it holds no {ESTIMATE_SETTINGS}, and is left alone; move "
            "it away, or give another --runs."
        )
    if not (resume or overwrite):
        raise CallError(
            f"estimate '{folder}' exists; go on with it by --resume, or replace it by --overwrite."
        )


def _holds_something(folder):
    # A start that was killed at once leaves an empty folder, or a file that is not whole.
    return folder.is_dir() and any(
        not file.name.startswith(UNFINISHED) for file in folder.iterdir()
    )


def remove_estimate(folder: Path) -> None:
    """Remove an estimate with its tables: at no moment is there a part that looks like a whole."""
    for name in (ESTIMATE, ESTIMATE_DETAILS, ESTIMATE_FIGURE):
        (folder.parent / name).unlink(missing_ok=True)
    aside = folder.with_name(f".removed-{folder.name}")
    shutil.rmtree(aside, ignore_errors=True)
    folder.rename(aside)
    shutil.rmtree(aside)


def read_settings(folder: Path) -> dict[str, Any] | None:
    """The settings of an estimate that is there, or None.

    Raises
    ------
    WorkError
        If they are damaged.
    """
    file = folder / ESTIMATE_SETTINGS
    try:
        stored = read_json(file)
        missing = [key for key in _KEYS if key not in stored]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise WorkError(
            f"'{file}' cannot be used ({error}); start anew with --overwrite."
        ) from error
    if missing:
        raise WorkError(
            f"'{file}' cannot be used (without {', '.join(missing)}); start anew with --overwrite."
        )
    return stored


def write_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Keep the settings of an estimate, if they are new."""
    text = json.dumps(settings, indent=2) + "\n"
    file = folder / ESTIMATE_SETTINGS
    if not file.is_file() or file.read_text() != text:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(file, text)


def settle_strategies(
    task: Task, given: str | Sequence[str] | None, stored: Mapping[str, Any] | None
) -> list[str]:
    """The strategies of an estimate: those it has, and what is given besides, or the usual ones.

    Parameters
    ----------
    task : Task
    given : sequence of str, str or None
    stored : dict or None
        From `read_settings`.

    Returns
    -------
    list of str

    Raises
    ------
    CallError
    """
    given = (given,) if isinstance(given, str) else given
    for strategy in given or ():
        get_strategy(strategy)
        if task.parent is None and strategy != "scratch":
            raise CallError(
                f"--strategies: task {task.name} is a root, nothing can be taken over by "
                f"{strategy}; its only strategy is scratch."
            )
    if given is not None and (not given or len(set(given)) < len(given)):
        raise CallError(
            f"--strategies must be different ones, at least one; found {', '.join(given)}."
        )
    if stored:
        return list(dict.fromkeys((*stored["strategies"], *(given or ()))))
    return list(given or (DEFAULT_STRATEGIES if task.parent else ("scratch",)))


def settle_splits(
    folds: int | None,
    repeats: int | None,
    val_fraction: float | Sequence[float] | None,
    options: Options,
    stored: Mapping[str, Any] | None,
    folder: Path,
) -> list[Resplit]:
    """The splits of an estimate: those it has, and further repeats or fractions.

    Parameters
    ----------
    folds, repeats, val_fraction
        As `plan_resplits` takes them; `val_fraction` may be one number.
    options : Options
    stored : dict or None
        From `read_settings`.
    folder : Path
        Of the estimate, to name it.

    Returns
    -------
    list of Resplit

    Raises
    ------
    CallError
    """
    if isinstance(val_fraction, int | float):
        val_fraction = [val_fraction]
    seed = options.seed or 0
    if stored:
        seed = stored["options"]["seed"]
        if folds not in (None, stored["folds"]) or (val_fraction and stored["folds"]):
            given = f"--folds={folds}" if folds else "--val_fraction"
            found = f"--folds={stored['folds']}" if stored["folds"] else "--val_fraction"
            raise CallError(
                f"{given}: estimate '{folder}' was started with {found}; go on so, or replace it "
                "by --overwrite."
            )
        folds = stored["folds"]
        repeats = max(stored["repeats"], repeats or 0)
        if folds is None:
            val_fraction = list(dict.fromkeys((*stored["val_fraction"], *(val_fraction or ()))))
    return plan_resplits(folds, repeats, val_fraction, seed)


def describe_splits(splits: Sequence[Resplit]) -> dict[str, Any]:
    """What the settings say of splits."""
    fold = splits[0].settings.get("fold")
    return {
        "folds": fold and fold.folds,
        "repeats": max(split.repeat for split in splits),
        "val_fraction": None if fold else list(dict.fromkeys(s.val_fraction for s in splits)),
    }


def refuse_other_settings(
    task: Task, options: Options, stored: Mapping[str, Any], folder: Path
) -> None:
    """Refuse to go on with an estimate of another spec, or by other options than it was started.

    Raises
    ------
    CallError, WorkError
    """
    if stored["specs"] != task.to_dict()["specs"]:
        raise WorkError(
            f"the spec of task {task.name}, or of one above it, has changed since estimate "
            f"'{folder}' was started; replace it by --overwrite."
        )
    for key, value in normalise_options(options.given()).items():
        if value != stored["options"].get(key):
            raise CallError(
                f"--{key}={value}: estimate '{folder}' was started with "
                f"{stored['options'].get(key)}; go on so, or replace it by --overwrite."
            )


def refuse_other_pictures(index: Index, stored: Mapping[str, Any], folder: Path) -> None:
    """Refuse to go on with an estimate of other pictures.

    Raises
    ------
    WorkError
    """
    if index.fingerprint() != stored["fingerprint"]:
        raise WorkError(
            f"the pictures in '{stored['options']['data']}' have changed since estimate "
            f"'{folder}' was started; replace it by --overwrite."
        )
