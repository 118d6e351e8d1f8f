"""The estimator: a task by several strategies on many splits of the same images, with error bars.

ModNet's estimator reshuffled training and validation at a chosen share and trained anew. Here one
split serves the task and everything above it, each split is trained in a process of its own, and
what is said of a strategy or of two has an interval that knows that the splits share their images.
"""

import functools
import json
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from modnet_keras.data.manifest import draw_manifest
from modnet_keras.data.sources import find_source, index_source, refuse_inside
from modnet_keras.errors import CallError, WorkError, unknown_name
from modnet_keras.files import lock_folder, read_json, write_table, write_whole
from modnet_keras.studies.comparison import compare, summarise
from modnet_keras.studies.estimate_settings import (
    describe_splits,
    read_settings,
    refuse_existing,
    refuse_other_pictures,
    refuse_other_settings,
    remove_estimate,
    settle_splits,
    settle_strategies,
    write_settings,
)
from modnet_keras.studies.fold_events import failure
from modnet_keras.studies.local_engine import check_jobs, run_locally
from modnet_keras.studies.tables import (
    ENGINES,
    ESTIMATE,
    ESTIMATE_COLUMNS,
    ESTIMATE_DETAILS,
    FOLD_RESULT,
    is_whole_row,
)
from modnet_keras.tasks import Task
from modnet_keras.training.options import DEFAULT_DATA, Options, check_options, resolve_options
from modnet_keras.training.run import ESTIMATE_FOLDER


@dataclass(repr=False)
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
    rows: list[dict[str, Any]]
    strategies: list[dict[str, Any]]
    pairs: list[dict[str, Any]]
    failed: list[dict[str, Any]]

    def __repr__(self):
        return f"Estimate('{self.folder}', {len(self.rows)} rows)"

    def _repr_html_(self):
        """What a notebook shows: what is said of the strategies."""
        # IPython's name for it, which pandas's types leave out.
        return pd.DataFrame(self.strategies)._repr_html_()  # type: ignore[operator]


def estimate(
    task: Task,
    options: Options,
    *,
    strategies: str | Sequence[str] | None = None,
    folds: int | None = None,
    repeats: int | None = None,
    val_fraction: float | Sequence[float] | None = None,
    runs: str | Path = "runs",
    jobs: int = 1,
    engine: str = "local",
    ray_address: str | None = None,
    ship: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    on_plan: Callable[[Path, list[str], list[str]], object] | None = None,
    on_event: Callable[[str, dict[str, Any]], object] | None = None,
) -> Estimate:
    """Train a task by several strategies on many splits of the same images; write the tables.

    `modnet_keras.estimate`, which draws the figure too, says what it takes and raises.
    """
    check_options(options)
    folder = Path(runs).resolve() / task.name / ESTIMATE_FOLDER
    refuse_existing(folder, resume, overwrite)
    stored = read_settings(folder) if resume else None
    strategies = settle_strategies(task, strategies, stored)
    splits = settle_splits(folds, repeats, val_fraction, options, stored, folder)
    if stored:
        refuse_other_settings(task, options, stored, folder)
    data = options.data or (stored["options"]["data"] if stored else DEFAULT_DATA)
    source = find_source(data)
    refuse_inside(source.root, folder, "runs")
    index = _check_pictures(task, source, splits)
    if stored:
        refuse_other_pictures(index, stored, folder)
    with _engine(engine, jobs, ray_address, ship) as run_jobs:
        settings = {
            **task.to_dict(),
            "strategies": strategies,
            **describe_splits(splits),
            "options": stored["options"] if stored else resolve_options(options),
            "fingerprint": index.fingerprint(),
        }
        if on_plan:
            names = [split.name for split in splits]
            on_plan(source.root, names, _runs_of_split(task, strategies))
        fold_jobs = [_job(split, folder, settings) for split in splits]
        with _held(folder, stored, overwrite):
            write_settings(folder, settings)
            failed = _run(run_jobs, fold_jobs, on_event)
            return _conclude(task, settings, fold_jobs, failed)


@contextmanager
def _held(folder, stored, overwrite):
    """Hold an estimate's place; what is to be replaced there is removed.

    Refuses one that another process has begun or added to since it was looked at.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Not the estimate's own folder, which is moved aside when it is replaced.
    with lock_folder(folder.parent, f"estimate '{folder}' is being trained"):
        if not overwrite and read_settings(folder) != stored:
            raise WorkError(
                f"estimate '{folder}' was changed by another process meanwhile; call again with "
                "--resume."
            )
        if overwrite and folder.exists():
            remove_estimate(folder)
        yield


def _conclude(task, settings, fold_jobs, failed):
    """What all folds that are done say together; its tables are written."""
    rows = [row for job in fold_jobs for row in _read_rows(job)]
    if not rows:
        raise WorkError(f"every fold failed; {failed[0]['fold']}: {failed[0]['reason']}")
    folder = Path(fold_jobs[0]["folder"]).parents[1]
    strategies = settings["strategies"]
    result = Estimate(
        folder,
        [{key: row[key] for key in ESTIMATE_COLUMNS} for row in rows],
        summarise(rows, strategies),
        compare(rows, strategies),
        failed,
    )
    _write(result, task, settings)
    return result


def _runs_of_split(task, strategies):
    parents = [f"{each.name}/{'frozen' if each.parent else 'scratch'}" for each in task.ancestors]
    return parents + [f"{task.name}/{strategy}" for strategy in strategies]


def _check_pictures(task, source, splits):
    """List the pictures, and refuse splits that leave a task or class without any."""
    index = index_source(source)
    for split in splits:
        for each in (*task.ancestors, task):
            draw_manifest(each, source, index, **split.settings)
    return index


@contextmanager
def _engine(engine, jobs, ray_address, ship):
    """What trains the folds: a function of their jobs and of whom to tell."""
    if engine not in ENGINES:
        raise unknown_name("engine", engine, ENGINES)
    if engine == "local":
        if ray_address or ship:
            given = f"--ray_address={ray_address}" if ray_address else "--ship"
            raise CallError(f"{given} is for --engine=ray; give that too, or leave it out.")
        check_jobs(jobs)
        yield functools.partial(run_locally, side_by_side=jobs)
        return
    if jobs != 1:
        raise CallError(
            f"--jobs={jobs} is for --engine=local; Ray runs as many folds at a time as its nodes "
            "have cores for."
        )
    from modnet_keras.studies.ray_engine import connected, run_on_ray

    with connected(ray_address):
        yield functools.partial(run_on_ray, ship=ship)


def _job(split, folder, settings):
    split_settings = dict(split.settings)
    if "fold" in split_settings:
        split_settings["fold"] = asdict(split_settings["fold"])
    return {
        "name": split.name,
        "folder": str(folder / split.name),
        "specs": settings["specs"],
        "strategies": settings["strategies"],
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
    failed: dict[str, dict[str | None, str]] = {job["name"]: {} for job in jobs}

    def tell(job, event):
        failures = failed[job["name"]]
        if event["event"] == "started":
            # A worker that was lost is replaced, and what it said of itself is void.
            failures.clear()
        elif event["event"] == "failed":
            failures[event["strategy"]] = event["reason"]
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
    for job in waiting:
        if not failed[job["name"]] and len(_read_rows(job)) < len(job["strategies"]):
            tell(job, failure(f"it is done, and yet '{job['folder']}' does not hold its result"))
    return [
        {"fold": fold, "strategy": strategy, "reason": reason}
        for fold, failures in failed.items()
        for strategy, reason in failures.items()
    ]


def _read_rows(job):
    """The rows of a fold in the order of its strategies, as far as these were trained and measured.

    A result that cannot be read is none: the runs are there, and are measured again.
    """
    file = Path(job["folder"]) / FOLD_RESULT
    try:
        rows = {row["strategy"]: row for row in read_json(file)["rows"]}
        whole = all(is_whole_row(row) for row in rows.values())
    except (OSError, ValueError, LookupError, TypeError):
        return []
    if not whole:
        return []
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
        "specs": settings["specs"],
        "options": settings["options"],
        "strategies": result.strategies,
        "pairs": result.pairs,
        "failed": result.failed,
    }
    write_whole(result.folder / ESTIMATE_DETAILS, json.dumps(details, indent=2) + "\n")
