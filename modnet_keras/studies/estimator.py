"""The estimator: a task by several strategies on many splits of the same images, with error bars.

ModNet's estimator reshuffled training and validation at a chosen share and trained anew. Here one
split serves the task and everything above it, each split is trained in a process of its own, and
what is said of a strategy or of two has an interval that knows that the splits share their images.
"""

import functools
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from modnet_keras.data.manifest import draw_manifest
from modnet_keras.data.sources import find_source, index_source, refuse_inside
from modnet_keras.errors import CallError, WorkError, unknown_name
from modnet_keras.files import write_table, write_whole
from modnet_keras.studies.comparison import compare, summarise
from modnet_keras.studies.local_engine import check_jobs, run_locally
from modnet_keras.studies.resplits import plan_resplits
from modnet_keras.studies.tables import (
    ESTIMATE,
    ESTIMATE_COLUMNS,
    ESTIMATE_DETAILS,
    ESTIMATE_SETTINGS,
    FOLD_RESULT,
)
from modnet_keras.tasks import load_task
from modnet_keras.training.plan import (
    DEFAULTS,
    ESTIMATE_FOLDER,
    Options,
    check_options,
    resolve_options,
)
from modnet_keras.training.run import CONFIG
from modnet_keras.training.strategies import get_strategy

ENGINES = ("local", "ray")
FAILURE = ("strategy", "reason")
DEFAULT_STRATEGIES = ("scratch", "finetune", "frozen")


@dataclass
class Estimate:
    """What was estimated of one task.

    Attributes
    ----------
    folder : Path
        `<runs>/<task>`, where the files are.
    rows : list of dict
        The rows of `estimate.csv`.
    strategies : list of dict
        As `comparison.summarise` gives them.
    pairs : list of dict
        As `comparison.compare` gives them.
    failed : list of dict
        `fold`, `strategy` (None for a whole fold) and `reason` of each that failed.
    """

    folder: Path
    rows: list
    strategies: list
    pairs: list
    failed: list


def estimate(
    task,
    *,
    strategies=None,
    folds=None,
    repeats=None,
    val_fraction=None,
    runs="runs",
    jobs=1,
    engine="local",
    ray_address=None,
    ship=False,
    resume=False,
    overwrite=False,
    on_plan=None,
    on_event=None,
    **options,
):
    """Train a task by several strategies on many splits of the same images; write the tables.

    Parameters
    ----------
    task : str, path or Task
    strategies : sequence of str, optional
        Keys of `STRATEGIES`; scratch, finetune and frozen where absent, for a root scratch alone.
    folds, repeats, val_fraction
        Which splits, as `plan_resplits` takes them: 5 folds where all are absent.
    runs : path
        The tables go to `<runs>/<task>/`, the folds' runs to `<runs>/<task>/estimate/<fold>/`.
    jobs : int
        How many folds run side by side on this machine.
    engine : {"local", "ray"}
    ray_address : str, optional
        HOST:PORT of a Ray cluster that this machine is a node of; where absent, one is started
        here.
    ship : bool
        For nodes that see neither the pictures nor the runs folder: both travel with Ray.
    resume, overwrite : bool
        Go on with the estimate that is there, or replace it. Strategies, fractions and repeats may
        be added to one that is gone on with.
    on_plan : callable, optional
        Called, before anything is trained, with the names of the splits and those of the runs that
        each of them takes, as `canines/frozen`, parents first.
    on_event : callable, optional
        Called with a fold's name and each of its events, a dict.
    **options
        The fields of `Options`, but for val_fraction and fold: data, seed, image_size, batch_size,
        epochs, learning_rate, recipe, augment, augment_val, precision.

    Returns
    -------
    Estimate

    Raises
    ------
    CallError
        If the call is wrong, a class has fewer images than there are folds, or Ray does not answer.
        Nothing has been written then.
    WorkError
        If a split lacks a side, or if every fold fails.
    """
    task = load_task(task) if isinstance(task, (str, Path)) else task
    strategies = _checked_strategies(task, strategies)
    options = Options(**options)
    check_options(options)
    splits = plan_resplits(folds, repeats, val_fraction, options.seed or 0)
    folder = Path(runs).resolve() / task.name / ESTIMATE_FOLDER
    _refuse_existing(folder, resume, overwrite)
    index = _check_pictures(task, options, splits, folder)
    run_jobs = _find_engine(engine, jobs, ray_address, ship)
    settings = _settings(task, options, splits, index)
    if overwrite and folder.exists():
        shutil.rmtree(folder)
    _keep_settings(folder, settings)
    if on_plan:
        on_plan([split.name for split in splits], _runs_of_split(task, strategies))
    jobs_of_splits = [_job(split, strategies, folder, settings) for split in splits]
    failed = _run(run_jobs, jobs_of_splits, on_event)
    rows = [row for job in jobs_of_splits for row in _read_rows(job)]
    if not rows:
        raise WorkError(f"every fold failed; {failed[0]['fold']}: {failed[0]['reason']}")
    result = Estimate(
        folder.parent,
        [{key: row[key] for key in ESTIMATE_COLUMNS} for row in rows],
        summarise(rows),
        compare(rows),
        failed,
    )
    _write(result, task, settings)
    return result


def _checked_strategies(task, strategies):
    if strategies is None:
        return DEFAULT_STRATEGIES if task.parent else ("scratch",)
    for strategy in strategies:
        get_strategy(strategy)
        if task.parent is None and strategy != "scratch":
            raise CallError(
                f"--strategies: task {task.name} is a root, nothing can be taken over by "
                f"{strategy}; its only strategy is scratch."
            )
    if not strategies or len(set(strategies)) < len(strategies):
        raise CallError(
            f"--strategies must be different ones, at least one; found {', '.join(strategies)}."
        )
    return tuple(strategies)


def _runs_of_split(task, strategies):
    parents = [f"{each.name}/{'frozen' if each.parent else 'scratch'}" for each in task.ancestors]
    return parents + [f"{task.name}/{strategy}" for strategy in strategies]


def _refuse_existing(folder, resume, overwrite):
    if resume and overwrite:
        raise CallError(
            "--resume goes on with an estimate and --overwrite replaces it; give one of them."
        )
    if (folder / CONFIG).is_file():
        raise CallError(
            f"'{folder}' is a run, and an estimate goes there; rename the run, for instance to "
            f"'{folder}-run'."
        )
    if not folder.exists():
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


def _check_pictures(task, options, splits, folder):
    """List the pictures, and refuse splits that leave a task or class without any."""
    source = find_source(options.data or DEFAULTS.data)
    refuse_inside(source.root, folder, "runs")
    index = index_source(source)
    for split in splits:
        for each in (*task.ancestors, task):
            draw_manifest(each, source, index, **split.settings)
    return index


def _find_engine(engine, jobs, ray_address, ship):
    """What trains the folds: a function of their jobs and of whom to tell."""
    if engine not in ENGINES:
        raise unknown_name("engine", engine, ENGINES)
    if engine == "local":
        if ray_address or ship:
            given = f"--ray_address={ray_address}" if ray_address else "--ship"
            raise CallError(f"{given} is for --engine=ray; give that too, or leave it out.")
        check_jobs(jobs)
        return functools.partial(run_locally, side_by_side=jobs)
    if jobs != 1:
        raise CallError(
            f"--jobs={jobs} is for --engine=local; Ray runs as many folds at a time as its nodes "
            "have cores for."
        )
    from modnet_keras.studies.ray_engine import find_ray, run_on_ray

    find_ray(ray_address)
    return functools.partial(run_on_ray, address=ray_address, ship=ship)


def _settings(task, options, splits, index):
    """What all folds have in common, and what an estimate that goes on must agree with."""
    fold = splits[0].settings.get("fold")
    return {
        "task": task.to_dict(),
        "options": resolve_options(options),
        "folds": fold and fold.folds,
        "fingerprint": index.fingerprint(),
    }


def _keep_settings(folder, settings):
    """Write the settings, or hold those of an estimate that goes on against them."""
    file = folder / ESTIMATE_SETTINGS
    text = json.dumps(settings, indent=2) + "\n"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(file, text)
        return
    try:
        stored = json.loads(file.read_text())
        flat = [found["options"] | {"folds": found["folds"]} for found in (settings, stored)]
        differing = [key for key in flat[0] if flat[0][key] != flat[1][key]]
        same_task, same_pictures = (stored[k] == settings[k] for k in ("task", "fingerprint"))
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise WorkError(
            f"'{file}' cannot be used ({error}); start anew with --overwrite."
        ) from error
    if not (same_task and same_pictures):
        what = "pictures" if same_task else "specs of the task and those above it"
        raise WorkError(
            f"the {what} have changed since estimate '{folder}' was started; replace it by "
            "--overwrite."
        )
    for key in differing:
        given = f"without --{key}" if flat[0][key] is None else f"--{key}={flat[0][key]}"
        raise CallError(
            f"{given}: estimate '{folder}' was started with {flat[1][key]}; go on so, or replace "
            "it by --overwrite."
        )


def _job(split, strategies, folder, settings):
    split_settings = dict(split.settings)
    if "fold" in split_settings:
        split_settings["fold"] = asdict(split_settings["fold"])
    return {
        "name": split.name,
        "folder": str(folder / split.name),
        "task": settings["task"],
        "strategies": list(strategies),
        "options": settings["options"] | split_settings,
        "fingerprint": settings["fingerprint"],
        "split": {
            "val_fraction": split.val_fraction,
            "repeat": split.repeat,
            "fold": split.fold,
        },
    }


def _run(run_jobs, jobs, on_event):
    """Train the folds that lack a strategy; gives what failed."""
    failed = []

    def tell(job, event):
        if event["event"] == "failed":
            failed.append({"fold": job["name"]} | {key: event[key] for key in FAILURE})
        if on_event:
            on_event(job["name"], event)

    waiting = []
    for job in jobs:
        if len(_read_rows(job)) == len(job["strategies"]):
            tell(job, {"event": "done"})
        else:
            waiting.append(job)
    if waiting:
        run_jobs(waiting, tell=tell)
    return failed


def _read_rows(job):
    """The rows of a fold in the order of its strategies, as far as these were trained."""
    file = Path(job["folder"]) / FOLD_RESULT
    try:
        rows = {row["strategy"]: row for row in json.loads(file.read_text())["rows"]}
    except FileNotFoundError:
        return []
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise WorkError(
            f"'{file}' cannot be used ({error}); remove it and go on with --resume."
        ) from error
    # From the runs folder on, as other rows name runs.
    place = f"{file.parents[2].name}/{ESTIMATE_FOLDER}/{job['name']}"
    return [
        rows[strategy] | {"run": f"{place}/{rows[strategy]['run']}"}
        for strategy in job["strategies"]
        if strategy in rows
    ]


def _write(result, task, settings):
    write_table(result.folder / ESTIMATE, result.rows)
    details = {
        "task": task.name,
        **task.to_dict(),
        "options": settings["options"],
        "strategies": result.strategies,
        "pairs": result.pairs,
        "failed": result.failed,
    }
    write_whole(result.folder / ESTIMATE_DETAILS, json.dumps(details, indent=2) + "\n")
