"""Python's counterparts of the commands, where they take more than one part of the package."""

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from modnet_keras.errors import CallError, WorkError, unknown_name
from modnet_keras.reports.estimate_plots import draw_estimate
from modnet_keras.reports.forgetting_plots import draw_attribution, draw_forgetting
from modnet_keras.reports.plots import draw_comparison, draw_history
from modnet_keras.studies import estimator, forgetting
from modnet_keras.studies.estimator import Estimate
from modnet_keras.studies.families import Family
from modnet_keras.studies.forgetting import Forgetting
from modnet_keras.tasks import Task, find_tasks, load_task
from modnet_keras.training import trainer
from modnet_keras.training.options import SNAPSHOT_SECONDS, Options
from modnet_keras.training.plan import Plan
from modnet_keras.training.run import ESTIMATE_FOLDER, Run, find_trained_tasks


def train(
    task: str | Path | Task,
    *,
    strategy: str | None = None,
    data: str | Path | None = None,
    runs: str | Path = "runs",
    name: str | None = None,
    parent: str | Path | None = None,
    seed: int | None = None,
    val_fraction: float | None = None,
    image_size: int | None = None,
    batch_size: int | None = None,
    epochs: int | None = None,
    learning_rate: float | None = None,
    recipe: str | None = None,
    augment: str | None = None,
    augment_val: bool | None = None,
    precision: str | None = None,
    devices: str | int | None = None,
    watch_parent: bool | None = None,
    snapshot_seconds: float = SNAPSHOT_SECONDS,
    resume: bool = False,
    overwrite: bool = False,
    on_plan: Callable[[Plan], object] | None = None,
    on_epoch: Callable[[Plan, dict[str, Any]], object] | None = None,
) -> Run:
    """Train a task, and first any ancestor that has no run; draw their figures.

    What is left out is the recipe's, or for a child its parent's run's where both must agree.

    Parameters
    ----------
    task : str, path or Task
        A task's name, the path of its YAML file, or what `load_task` gave. A name is looked up as
        `load_task` does, and then among the tasks that have runs.
    strategy : str, optional
        How the parent's stages are carried over, a key of `STRATEGIES`: "frozen" where absent,
        "scratch" for a root.
    data : str or path, optional
        "demo", "tiny-imagenet" or a folder of pictures; the parent's where absent, for a root the
        demo.
    runs : path
        The runs folder; the run is `<runs>/<task>/<name>`.
    name : str, optional
        The strategy's name where absent.
    parent : path, optional
        The parent's run; where absent, its only run, or the one of the same strategy.
    seed : int, optional
        Fixes split, order, crops, flips and initial weights; 0 where absent.
    val_fraction : float, optional
        Share of each class for validation, between 0 and 1; 0.2 where absent and the folder has no
        `train/` and `val/` of its own.
    image_size : int, optional
        Height and width in pixels, 32 or more.
    batch_size : int, optional
        Images a step, even: half of each class.
    epochs : int, optional
        Passes over the images.
    learning_rate : float, optional
        The schedule's highest.
    recipe : {"modern", "original"}, optional
        "original" is ModNet's own.
    augment : {"crop_flip", "flip", "none"}, optional
        How training pictures vary.
    augment_val : bool, optional
        Vary validation pictures too, which was ModNet's protocol.
    precision : {"auto", "float32", "bfloat16"}, optional
        "auto", the default, takes bfloat16 where it is computed natively.
    devices : {"one", "all"}, optional
        "all": each of this machine's GPUs has a part of every batch, with batch norm synchronised.
        Where there is none, each of TensorFlow's CPUs, which is one unless it was told otherwise.
    watch_parent : bool, optional
        Log the parent's accuracy under the child's weights after every epoch, on a fixed sample of
        the parent's validation images: `parent_accuracy` in `history.csv`. The training is the same
        to the bit, and an epoch takes less than a tenth longer. Ancestors that are trained first
        watch theirs too, but for the root, which has none.
    snapshot_seconds : float
        Time between two snapshots within an epoch; there is one after every epoch besides. What is
        resumed goes on from the last one's step, and ends in the same bits as if nothing had been.
    resume, overwrite : bool
        Go on with the run if it is there, or replace it. Without either an existing run is refused.
    on_plan : callable, optional
        Called with each `Plan` before it is carried out.
    on_epoch : callable, optional
        Called with the `Plan` and the epoch's row of `history.csv` after each epoch.

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

    Examples
    --------
    >>> from modnet_keras import train
    >>> run = train("animals", runs="runs", resume=True)
    >>> sorted(run.metrics["val"])
    ['accuracy', 'auc', 'loss', 'n', 'sensitivity', 'specificity']
    """
    options = Options(
        data=data,
        seed=seed,
        val_fraction=val_fraction,
        image_size=image_size,
        batch_size=batch_size,
        epochs=epochs,
        learning_rate=learning_rate,
        recipe=recipe,
        augment=augment,
        augment_val=augment_val,
        precision=precision,
        devices=devices,
        watch_parent=watch_parent,
    )

    def draw(plan: Plan) -> None:
        draw_history(plan.run.folder)
        draw_comparison(plan.run.folder.parent)

    return trainer.train(
        _as_task(task, runs),
        options,
        strategy=strategy,
        runs=runs,
        name=name,
        parent=parent,
        resume=resume,
        overwrite=overwrite,
        snapshot_seconds=snapshot_seconds,
        on_plan=on_plan,
        on_epoch=on_epoch,
        on_finished=draw,
    )


def estimate(
    task: str | Path | Task,
    *,
    strategies: str | Sequence[str] | None = None,
    folds: int | None = None,
    repeats: int | None = None,
    val_fraction: float | Sequence[float] | None = None,
    data: str | Path | None = None,
    runs: str | Path = "runs",
    seed: int | None = None,
    image_size: int | None = None,
    batch_size: int | None = None,
    epochs: int | None = None,
    learning_rate: float | None = None,
    recipe: str | None = None,
    augment: str | None = None,
    augment_val: bool | None = None,
    precision: str | None = None,
    jobs: int = 1,
    engine: str = "local",
    ray_address: str | None = None,
    ship: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    on_plan: Callable[[Path, list[str], list[str]], object] | None = None,
    on_event: Callable[[str, dict[str, Any]], object] | None = None,
) -> Estimate:
    """Train a task by several strategies on many splits of the same images; draw the figure.

    Parameters
    ----------
    task : str, path or Task
    strategies : sequence of str, or str, optional
        Keys of `STRATEGIES`; scratch, finetune and frozen where absent, for a root scratch alone.
    folds, repeats : int, optional
        Parts of which each is held out once, and how often that is done anew: 5 and 1 where neither
        they nor `val_fraction` are given.
    val_fraction : float or sequence of float, optional
        In the place of folds: shares of each class that are held out at random, `repeats` times (5
        where absent).
    data, seed, image_size, batch_size, epochs, learning_rate, recipe, augment, augment_val,
    precision
        As of `train`.
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
        Go on with the estimate that is there, or replace it. One that is gone on with keeps its
        settings; strategies, fractions and further repeats that are given are added to it.
    on_plan : callable, optional
        Called, before anything is written, with the data folder, the names of the splits and those
        of the runs that each of them takes, as `canines/frozen`, parents first.
    on_event : callable, optional
        Called with a fold's name and each of its events, a dict.

    Returns
    -------
    Estimate
        `rows` are those of `estimate.csv`, `strategies` and `pairs` what is said of them.

    Raises
    ------
    CallError
        If the call is wrong, a class has fewer images than there are folds, or Ray does not answer.
        Nothing has been written then.
    WorkError
        If a split lacks a side, or if every fold fails.

    Examples
    --------
    >>> from modnet_keras import estimate
    >>> result = estimate("canines", runs="estimated", resume=True)
    >>> frozen = [row for row in result.rows if row["strategy"] == "frozen"]
    >>> [(row["fold"], row["forgetting"]) for row in frozen]
    [(1, 0.0), (2, 0.0)]
    """
    options = Options(
        data=data,
        seed=seed,
        image_size=image_size,
        batch_size=batch_size,
        epochs=epochs,
        learning_rate=learning_rate,
        recipe=recipe,
        augment=augment,
        augment_val=augment_val,
        precision=precision,
    )
    result = estimator.estimate(
        _as_task(task, runs),
        options,
        strategies=strategies,
        folds=folds,
        repeats=repeats,
        val_fraction=val_fraction,
        runs=runs,
        jobs=jobs,
        engine=engine,
        ray_address=ray_address,
        ship=ship,
        resume=resume,
        overwrite=overwrite,
        on_plan=on_plan,
        on_event=on_event,
    )
    for metrics in (result.folder / ESTIMATE_FOLDER).glob("*/*/*/metrics.json"):
        # A damaged run is named where it fails; the others are drawn.
        if not metrics.with_name("history.png").exists():
            with contextlib.suppress(WorkError):
                draw_history(metrics.parent)
    draw_estimate(result.folder)
    return result


def measure_forgetting(
    task: str | Path | Task,
    *,
    runs: str | Path = "runs",
    strategies: str | Sequence[str] | None = None,
    data: str | Path | None = None,
    repair: bool = False,
    on_families: Callable[[list[Family]], object] | None = None,
    on_progress: Callable[[int, int], object] | None = None,
) -> Forgetting:
    """Measure what every run of a task has forgotten of its parent's task; draw the figures.

    Parameters
    ----------
    task : str, path or Task
        The child.
    runs : path
        The runs folder.
    strategies : sequence of str, or str, optional
        Only runs by these.
    data : str or path, optional
        Where the parent's images are now, if their folder was moved.
    repair : bool
        Whether to try what brings the parent back without training the child anew.
    on_families : callable, optional
        Called with the list of `Family` before anything is measured.
    on_progress : callable, optional
        Called with the images done and their number in all.

    Returns
    -------
    Forgetting
        `rows`, `attribution` and `repairs` are what the tables in `<runs>/<task>/` hold.

    Raises
    ------
    CallError
        If the task has no parent, no finished run, or none of a strategy that is asked for.
    WorkError
        If a parent's run or its images are gone, a parent was trained anew since, or weights of
        equal hashes give unequal logits.

    Examples
    --------
    >>> from modnet_keras import measure_forgetting
    >>> result = measure_forgetting("canines", runs="runs", strategies=["frozen"])
    >>> [(row["run"], row["split"], row["forgetting"]) for row in result.rows]
    [('frozen', 'val', 0.0), ('frozen', 'train', 0.0)]
    """
    result = forgetting.measure_forgetting(
        _as_task(task, runs),
        runs=runs,
        strategies=strategies,
        data=data,
        repair=repair,
        on_families=on_families,
        on_progress=on_progress,
    )
    draw_forgetting(result.folder)
    draw_attribution(result.folder)
    return result


def _as_task(task: str | Path | Task, runs: str | Path) -> Task:
    """A task by its name or file; a name that is no known spec's may be that of one with runs."""
    if isinstance(task, Task):
        return task
    if not isinstance(task, str | Path):
        raise CallError(
            f"a task is given by its name, its YAML file or what load_task gave; found {task!r}."
        )
    try:
        return load_task(task)
    except CallError:
        trained, known = find_trained_tasks(runs), find_tasks()
        if str(task) in trained:
            return trained[str(task)]
        if Path(task) != Path(Path(task).stem) or str(task) in known.errors:
            raise
        raise unknown_name("task", str(task), {*known.tasks, *known.errors, *trained}) from None
