"""Python's counterparts of the commands, where they take more than one part of the package."""

from modnet_keras.reports.plots import draw_comparison, draw_history
from modnet_keras.training import trainer


def train(task, **options):
    """Train a task, and first any ancestor that has no run; draw their figures.

    Parameters
    ----------
    task : str, path or Task
    **options
        Those of `modnet_keras.training.trainer.train`, which are those of the command: strategy,
        data, runs, name, parent, seed, val_fraction, image_size, batch_size, epochs,
        learning_rate, recipe, augment, augment_val, precision, resume, overwrite; and on_plan.

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
