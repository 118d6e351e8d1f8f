"""Python's counterparts of the commands, where they take more than one part of the package."""

import contextlib

from modnet_keras.errors import WorkError
from modnet_keras.reports.estimate_plots import draw_estimate
from modnet_keras.reports.forgetting_plots import draw_attribution, draw_forgetting
from modnet_keras.reports.plots import draw_comparison, draw_history
from modnet_keras.studies import estimator, forgetting
from modnet_keras.training import trainer
from modnet_keras.training.plan import ESTIMATE_FOLDER


def train(task, **options):
    """Train a task, and first any ancestor that has no run; draw their figures.

    Parameters
    ----------
    task : str, path or Task
    **options
        Those of `modnet_keras.training.trainer.train`, which are those of the command: strategy,
        data, runs, name, parent, seed, val_fraction, image_size, batch_size, epochs,
        learning_rate, recipe, augment, augment_val, precision, devices, watch_parent,
        snapshot_seconds, resume, overwrite; and on_plan.

    Returns
    -------
    Run
        The task's.

    Examples
    --------
    >>> from modnet_keras import train
    >>> run = train("animals", runs="runs", resume=True)
    >>> sorted(run.metrics["val"])
    ['accuracy', 'auc', 'loss', 'n', 'sensitivity', 'specificity']
    """

    def draw(plan):
        draw_history(plan.run.folder)
        draw_comparison(plan.run.folder.parent)

    return trainer.train(task, on_finished=draw, **options)


def estimate(task, **options):
    """Train a task by several strategies on many splits of the same images; draw the figure.

    Parameters
    ----------
    task : str, path or Task
    **options
        Those of `modnet_keras.studies.estimator.estimate`: strategies, folds, repeats,
        val_fraction, runs, jobs, engine, ray_address, ship, resume, overwrite, on_plan, on_event;
        and of a training data, seed, image_size, batch_size, epochs, learning_rate, recipe,
        augment, augment_val, precision.

    Returns
    -------
    Estimate
        `rows` are those of `estimate.csv`, `strategies` and `pairs` what is said of them.

    Examples
    --------
    >>> from modnet_keras import estimate
    >>> result = estimate("canines", runs="estimated", resume=True)
    >>> frozen = [row for row in result.rows if row["strategy"] == "frozen"]
    >>> [(row["fold"], row["forgetting"]) for row in frozen]
    [(1, 0.0), (2, 0.0)]
    """
    result = estimator.estimate(task, **options)
    for metrics in (result.folder / ESTIMATE_FOLDER).glob("*/*/*/metrics.json"):
        # A damaged run is named where it fails; the others are drawn.
        if not metrics.with_name("history.png").exists():
            with contextlib.suppress(WorkError):
                draw_history(metrics.parent)
    draw_estimate(result.folder)
    return result


def measure_forgetting(task, **options):
    """Measure what every run of a task has forgotten of its parent's task; draw the figures.

    Parameters
    ----------
    task : str, path or Task
        The child.
    **options
        Those of `modnet_keras.studies.forgetting.measure_forgetting`: runs, strategies, data,
        repair, on_families, on_progress.

    Returns
    -------
    Forgetting
        `rows`, `attribution` and `repairs` are what the tables in `<runs>/<task>/` hold.

    Examples
    --------
    >>> from modnet_keras import measure_forgetting
    >>> result = measure_forgetting("canines", runs="runs", strategies=["frozen"])
    >>> [(row["run"], row["split"], row["forgetting"]) for row in result.rows]
    [('frozen', 'val', 0.0), ('frozen', 'train', 0.0)]
    """
    result = forgetting.measure_forgetting(task, **options)
    draw_forgetting(result.folder)
    draw_attribution(result.folder)
    return result
