"""Python's counterparts of the commands, where they take more than one part of the package."""

from modnet_keras.reports.plots import draw_comparison, draw_history
from modnet_keras.training import trainer


def train(task, *, on_plan=None, **options):
    """Train a task, and first any ancestor that has no run; draw their figures.

    Parameters
    ----------
    task : str, path or Task
    on_plan : callable, optional
        Called with the plan of each run before it is trained.
    **options
        Those of `modnet_keras.training.trainer.train`, which are those of the command: strategy,
        data, runs, name, parent, seed, val_fraction, image_size, batch_size, epochs,
        learning_rate, recipe, augment, augment_val, precision, resume, overwrite.

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
    plans = []

    def collect(plan):
        plans.append(plan)
        if on_plan:
            on_plan(plan)

    run = trainer.train(task, on_plan=collect, **options)
    for plan in plans:
        draw_history(plan.run.folder)
        draw_comparison(plan.run.folder.parent)
    return run
