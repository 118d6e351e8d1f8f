"""The report's figures: small SVG panels that stand in the page itself and wrap on a phone."""

import io
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import pandas as pd
import seaborn as sns
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from modnet_keras.reports.estimate_plots import SHOWN, Means, draw_splits, limit, strategies_of
from modnet_keras.studies.tables import SPLIT_NAMES

_WIDTH = 4.4
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    # Without it the names of clip paths would be other ones in each call.
    "svg.hashsalt": "modnet_keras",
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.edgecolor": "#b8bfc6",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#e6e9ec",
    "text.parse_math": False,
}
_TAG = re.compile(r"<[^>]+>")
_NAME = re.compile(r'( id="|href="#|url\(#)')
_DASHED = (0, (3, 2))
_LONGEST_NAME = 24


def run_colours(names: Sequence[str]) -> dict[str, str]:
    """A colour for each name, as `#rrggbb`; colour-blind people tell the first ten apart too."""
    palette = sns.color_palette("colorblind" if len(names) <= 10 else "husl", len(names))
    return dict(zip(names, palette.as_hex(), strict=True))


def draw_curve_panel(
    histories: Mapping[str, Sequence[Mapping[str, float]]],
    measure: str,
    colours: Mapping[str, str],
    prefix: str,
) -> Markup:
    """Draw a measure of training (dashed) and validation (whole lines) of runs, an epoch a step.

    The accuracy of a run's parent (dotted) is drawn too, where the run watched it.

    Parameters
    ----------
    histories : dict of str to list of dict
        By the run's name the rows of `history.csv`.
    measure : str
        One of `PANELS`.
    colours : dict of str to str
        By the run's name.
    prefix : str
        Begins every id in the figure, so that no two figures of a page share one.

    Returns
    -------
    Markup
        An `<svg>` element.
    """
    with _style():
        figure, axes = _panel(height=2.9)
        for name, rows in histories.items():
            epochs = [row["epoch"] for row in rows]
            lines = [(measure, _DASHED, 1.1), (f"val_{measure}", "-", 1.7)]
            if measure == "accuracy" and "parent_accuracy" in rows[0]:
                lines.append(("parent_accuracy", ":", 1.7))
            for column, dashes, width in lines:
                axes.plot(
                    epochs,
                    [row[column] for row in rows],
                    linestyle=dashes,
                    linewidth=width,
                    marker="o" if len(rows) == 1 else None,
                    color=colours[name],
                )
        unit = "cross-entropy (nats)" if measure == "loss" else "share"
        axes.set(title=f"{measure}, {unit}", xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        names = ", ".join(histories)
        return _svg(figure, prefix, f"{measure} an epoch, training and validation, of {names}")


def draw_forgetting_panel(rows: Sequence[Mapping[str, Any]], parent: str, prefix: str) -> Markup:
    """Draw forgetting with its interval, a line a run, validation above training.

    `rows` are those that `read_studies` gives; `parent` is the parent task's name.
    """
    runs = list(dict.fromkeys(row["run"] for row in rows))
    with _style():
        figure, axes = _panel(height=1.0 + 0.42 * len(runs))
        looks = {"val": ("#0b5cad", "o", -0.14), "train": ("#b45309", "s", 0.14)}
        for split, (colour, marker, shift) in looks.items():
            shown = [row for row in rows if row["split"] == split]
            values = [row["forgetting"] for row in shown]
            places = [runs.index(row["run"]) + shift for row in shown]
            axes.hlines(
                places,
                [value["low"] for value in values],
                [value["high"] for value in values],
                color=colour,
                linewidth=1.8,
            )
            axes.plot(
                [value["value"] for value in values],
                places,
                marker,
                markersize=5,
                color=colour,
                label=SPLIT_NAMES[split],
            )
        axes.axvline(0, color="#57606a", linewidth=1)
        axes.set(ylim=(len(runs) - 0.5, -0.5), xlabel=f"accuracy of {_short(parent)} lost (share)")
        axes.set_yticks(range(len(runs)), [_short(name) for name in runs])
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)
        return _svg(figure, prefix, f"forgetting of {parent} by run, with 95 % intervals")


def draw_estimate_panel(
    rows: pd.DataFrame, means: Means, measure: str, fraction: float, prefix: str
) -> Markup:
    """Draw a point a split, and the mean with its interval, a line a strategy.

    `rows` and `means` are those that `read_estimate` gives; `fraction` is that of validation.
    """
    shown = rows[rows["val_fraction"] == fraction]
    strategies = strategies_of(means)
    with _style():
        figure, axes = _panel(height=1.0 + 0.42 * len(strategies))
        draw_splits(axes, shown, means.get((fraction, measure), {}), measure, strategies)
        limit(axes, rows, means, measure)
        axes.set(title=SHOWN[measure], xlabel="share", ylabel="")
        axes.set_yticks(range(len(strategies)), [_short(name) for name in strategies])
        return _svg(figure, prefix, f"{SHOWN[measure]} by strategy, with 95 % intervals")


def _style():
    return matplotlib.rc_context({**sns.axes_style("whitegrid"), **_SETTINGS})


def _panel(height):
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    return figure, figure.add_subplot()


def _short(name):
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _svg(figure, prefix, description):
    """The figure as an element of a page: no prologue, no metadata, ids of its own."""
    text = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with warnings.catch_warnings():
        # The browser has the letters that are not in the font of which the widths are taken.
        warnings.filterwarnings("ignore", "Glyph .* missing")
        figure.savefig(text, format="svg", metadata=nothing, transparent=True)
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = _TAG.sub(lambda tag: _NAME.sub(rf"\g<1>{prefix}-", tag[0]), svg)
    label = Markup('<svg role="img" aria-label="{}"').format(description)
    return Markup(svg.replace("<svg", label, 1))
