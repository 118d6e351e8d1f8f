"""Figures of trainings: loss, accuracy, sensitivity and specificity (ModNet's Figures 1 to 3)."""

import contextlib
import io
from pathlib import Path

import matplotlib
import pandas as pd
import seaborn as sns
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from modnet_keras.errors import WorkError
from modnet_keras.files import write_whole
from modnet_keras.training.measures import TRAINED

PANELS = TRAINED
SPLITS = {"": "training", "val_": "validation"}


def draw_history(run_folder: str | Path) -> None:
    """Draw `history.png` of a run from its `history.csv`: training and validation, an epoch a step.

    Training figures are of augmented pictures while the weights change, validation figures of the
    whole split after the epoch. A run that watched its parent has the parent's accuracy too.
    """
    run_folder = Path(run_folder)
    rows = _read_history(run_folder)
    figure = _draw_panels(rows, f"{run_folder.parent.name} / {run_folder.name}", hue="split")
    _add_parent(figure.axes[PANELS.index("accuracy")], run_folder)
    save_figure(figure, run_folder / "history.png")


def _add_parent(axes, run_folder):
    history = pd.read_csv(run_folder / "history.csv")
    if "parent_accuracy" not in history:
        return
    axes.plot(
        history["epoch"],
        history["parent_accuracy"],
        color="black",
        linestyle="--",
        marker="o" if len(history) == 1 else None,
        label="parent, validation sample",
    )
    axes.legend(title=axes.get_legend().get_title().get_text())


def draw_comparison(task_folder: str | Path) -> None:
    """Draw `comparison.png` of all finished runs of a task, as soon as there are two."""
    task_folder = Path(task_folder)
    histories = []
    for file in sorted(task_folder.glob("*/metrics.json")):
        # A damaged run is named by the commands that are asked for it; the others are drawn.
        with contextlib.suppress(WorkError):
            histories.append(_read_history(file.parent))
    if len(histories) < 2:
        return
    rows = pd.concat(histories, ignore_index=True)
    figure = _draw_panels(rows, task_folder.name, hue="run", style="split")
    save_figure(figure, task_folder / "comparison.png")


def _read_history(run_folder):
    """A row an epoch, split and measure: columns run, epoch, split, measure, value."""
    file = run_folder / "history.csv"
    try:
        history = pd.read_csv(file)
        parts = [
            pd.DataFrame(
                {
                    "run": run_folder.name,
                    "epoch": history["epoch"],
                    "split": split,
                    "measure": measure,
                    "value": history[prefix + measure],
                }
            )
            for prefix, split in SPLITS.items()
            for measure in PANELS
        ]
    except (OSError, ValueError, KeyError) as error:
        raise WorkError(
            f"'{file}' is not the history of a run; train it anew with --overwrite."
        ) from error
    return pd.concat(parts, ignore_index=True)


def _draw_panels(rows, title, **semantics):
    # A figure of its own, not pyplot's: nothing is left open, and a notebook's backend untouched.
    with matplotlib.rc_context(), sns.axes_style("whitegrid"):
        figure = Figure(figsize=(10, 7), layout="constrained")
        for place, measure in enumerate(PANELS):
            axes = figure.add_subplot(2, 2, place + 1)
            sns.lineplot(
                rows[rows["measure"] == measure],
                x="epoch",
                y="value",
                ax=axes,
                legend="brief" if place == 1 else False,
                marker="o" if rows["epoch"].nunique() == 1 else None,
                errorbar=None,
                **semantics,
            )
            axes.set(title=measure, ylabel="cross-entropy (nats)" if measure == "loss" else "share")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            if measure != "loss":
                axes.set_ylim(0, 1.01)
        figure.suptitle(title)
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure to a PNG file, whole or not at all."""
    image = io.BytesIO()
    figure.dpi = 100
    # What `savefig` comes to, which goes through everything that is to be drawn once more before.
    FigureCanvasAgg(figure).print_png(image)
    write_whole(path, image.getvalue())
