"""The figure of an estimate: a point a fold, mean and interval a strategy."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from modnet_keras.errors import WorkError
from modnet_keras.files import read_json
from modnet_keras.reports.plots import save_figure
from modnet_keras.studies.tables import ESTIMATE, ESTIMATE_DETAILS, ESTIMATE_FIGURE

SHOWN = {"accuracy": "accuracy", "forgetting": "forgetting of the parent's task"}
Means = dict[tuple[float, str], dict[str, dict[str, Any]]]
"""By fraction and measure, from each strategy to its `mean`, `low` and `high`."""

_POINTS = {"color": "0.45", "alpha": 0.6, "size": 5, "jitter": False}
_MEANS: dict[str, Any] = {
    "fmt": "D",
    "color": "#0b5cad",
    "capsize": 4,
    "linewidth": 2,
    "markersize": 6,
    "zorder": 4,
}


def draw_estimate(task_folder: str | Path) -> None:
    """Draw `estimate.png` of a task from its `estimate.csv` and `estimate.json`.

    A row of panels for each validation fraction: accuracy, and forgetting where there is a parent.
    Grey points are folds or re-splits, thin lines join those of one; the diamond is the mean, its
    whiskers the 95 % interval with Nadeau and Bengio's correction.

    Raises
    ------
    WorkError
        If a file is missing or damaged.
    """
    task_folder = Path(task_folder)
    rows, means, _ = read_estimate(task_folder)
    fractions = list(dict.fromkeys(rows["val_fraction"]))
    measures = [measure for measure in SHOWN if rows[measure].notna().any()]
    lines = rows["strategy"].nunique()
    size = 1.5 + 5 * len(measures), 0.9 + len(fractions) * (1.0 + 0.45 * lines)
    # A figure of its own, not pyplot's: nothing is left open, and a notebook's backend untouched.
    with matplotlib.rc_context(), sns.axes_style("whitegrid"):
        figure = Figure(figsize=size, layout="constrained")
        order = strategies_of(means)
        panels = figure.subplots(
            len(fractions), len(measures), sharex="col", sharey=True, squeeze=False
        )
        for line, fraction in zip(panels, fractions, strict=True):
            for axes, measure in zip(line, measures, strict=True):
                at_fraction = rows[rows["val_fraction"] == fraction]
                of_panel = means.get((fraction, measure), {})
                draw_splits(axes, at_fraction, of_panel, measure, order)
                axes.set(title=SHOWN[measure], xlabel="share", ylabel="")
                limit(axes, rows, means, measure)
            if len(fractions) > 1:
                line[0].set_ylabel(f"{fraction:g} for validation")
        figure.suptitle(f"{task_folder.name}: every split, means and 95 % intervals")
    save_figure(figure, task_folder / ESTIMATE_FIGURE)


def read_estimate(task_folder: Path) -> tuple[pd.DataFrame, Means, dict[str, Any]]:
    """What the files of an estimate hold, for figures.

    Returns
    -------
    DataFrame
        Of `estimate.csv`.
    dict
        By fraction and measure, from each strategy to its `mean`, `low` and `high`, shares of 1.
    dict
        Of `estimate.json`.
    """
    try:
        numbers = dict.fromkeys(("val_fraction", *SHOWN), float)
        rows = pd.read_csv(task_folder / ESTIMATE, dtype={"strategy": str}).astype(numbers)
        details = read_json(task_folder / ESTIMATE_DETAILS)
        means: Means = {}
        for entry in details["strategies"]:
            at = means.setdefault((entry["val_fraction"], entry["measure"]), {})
            at[entry["strategy"]] = {
                key: entry[key] and float(entry[key]) for key in ("mean", "low", "high")
            }
        known = rows["strategy"].isin(strategies_of(means))
        twice = rows.duplicated(["strategy", "val_fraction", "repeat", "fold"])
        if rows.empty or not known.all() or twice.any():
            raise ValueError("no row, one of an unknown strategy, or one given twice")
        return rows, means, details
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise WorkError(
            f"'{task_folder / ESTIMATE}' or '{ESTIMATE_DETAILS}' beside it is not the outcome of "
            "an estimate; make it anew with estimate --resume."
        ) from error


def strategies_of(means: Means) -> list[str]:
    """The strategies of an estimate, in the order in which all its panels show them."""
    return list(dict.fromkeys(strategy for at in means.values() for strategy in at))


def draw_splits(
    axes: Axes,
    rows: pd.DataFrame,
    means: Mapping[str, Mapping[str, Any]],
    measure: str,
    order: list[str],
) -> None:
    """Draw one measure at one fraction: strategies down; points, and below them the means."""
    table = rows.assign(fold=rows["fold"].fillna(0)).pivot(
        index=["repeat", "fold"], columns="strategy", values=measure
    )
    for _, of_split in table.reindex(columns=order).iterrows():
        axes.plot(of_split, range(len(order)), color="0.75", linewidth=0.8, zorder=1)
    sns.stripplot(rows, x=measure, y="strategy", order=order, ax=axes, **_POINTS)
    for place, strategy in enumerate(order):
        found = means.get(strategy)
        if found:
            low, high = found["low"], found["high"]
            lengths = None if low is None else [[found["mean"] - low], [high - found["mean"]]]
            axes.errorbar(found["mean"], place + 0.2, xerr=lengths, **_MEANS)
    axes.set_ylim(len(order) - 0.4, -0.4)
    axes.xaxis.set_major_locator(MaxNLocator(5))


def limit(axes: Axes, rows: pd.DataFrame, means: Means, measure: str) -> None:
    """One scale for all panels of a measure; a few splits' very wide interval runs out of them."""
    values = rows[measure].dropna()
    spread = max(values.max() - values.min(), 0.01)
    ends = [
        entry[end]
        for (_, of), at in means.items()
        for entry in at.values()
        for end in ("low", "high")
        if of == measure and entry[end] is not None
    ]
    low = max(min([values.min(), *ends]), values.min() - 1.5 * spread)
    high = min(max([values.max(), *ends]), values.max() + 1.5 * spread)
    axes.set_xlim(low - 0.1 * spread, high + 0.1 * spread)
