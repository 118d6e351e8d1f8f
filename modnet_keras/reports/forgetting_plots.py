"""Figures of the forgetting test: what runs kept of the parent's task, and what lost it."""

from pathlib import Path

import matplotlib
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from modnet_keras.errors import WorkError
from modnet_keras.files import read_json
from modnet_keras.reports.plots import save_figure
from modnet_keras.studies.tables import (
    ALL_STAGES,
    ATTRIBUTION,
    DETAILS,
    KIND_NAMES,
    MEASURES,
    SPLIT_NAMES,
)

# Figure 4 of ModNet's readme, by our names of its strategies: accuracy, sensitivity and
# specificity of the task animals, before and after its network went on to learn canines.
MODNET_FIGURE_4 = {
    "baseline": (0.974, 0.97, 0.98),
    "frozen-weights": (0.90, 0.81, 0.99),
    "finetune": (0.81, 0.65, 0.96),
    "layerwise": (0.75, 0.57, 0.94),
}
MODNET_TASKS = ("canines", "animals")
BLUE, ORANGE = sns.color_palette("colorblind", 2)
# How each set of values is drawn: its height within a line, so that none hides another, and looks.
SERIES = {
    "val": (-0.22, {"fmt": "o", "color": BLUE, "markersize": 6, "label": "validation images"}),
    "train": (0.0, {"fmt": "s", "color": ORANGE, "markersize": 4, "label": "training images"}),
    "modnet": (
        0.22,
        {
            "fmt": "D",
            "color": "0.2",
            "markersize": 5,
            "markerfacecolor": "none",
            "label": "ModNet's Figure 4 (ImageNet, training and test images together)",
        },
    ),
}
LONGEST_NAME = 24
FORGETTING_CAPTION = """\
Bars: 95 % intervals, images resampled (paired bootstrap). Intervals and tests hold for these \
trained models, not for the strategies: another training gives other models.
Validation is what counts; the training images are those that the parent learnt from. \
Dashed: the parent on validation.
*  accuracy on validation differs from the parent's (McNemar's exact test, p < 0.05 after Holm's \
correction over the runs).
(identical)  all of the parent's weights and statistics are in the run as they were, bit for bit."""
ATTRIBUTION_CAPTION = """\
Cost: the parent's accuracy on its own task minus its accuracy with the child's weights of this \
kind and stage in place of its own,
and nothing else swapped, in percentage points (red: the swap costs accuracy; 0: exactly \
nothing). "all" swaps this kind in every stage at once."""


def draw_forgetting(task_folder: str | Path) -> None:
    """Draw `forgetting.png` of a task from its `forgetting.json`.

    The counterpart of ModNet's Figure 4: accuracy, sensitivity and specificity of the parent's
    task and forgetting, with their intervals; a line for each parent and, below it, for each run
    that grew out of it. Canines grown out of animals are shown beside ModNet's published values.

    Raises
    ------
    WorkError
        If the file is missing or damaged.
    """
    task_folder = Path(task_folder)
    rows, task, parent_task = _read_forgetting(task_folder / DETAILS)
    save_figure(_draw_lines(rows, task, parent_task), task_folder / "forgetting.png")


def draw_attribution(task_folder: str | Path) -> None:
    """Draw `attribution.png` of a task from its `forgetting_attribution.csv`.

    A heat map for each split and kind of weights, runs by stages: what the parent's accuracy loses
    when it is given the child's weights of that kind and stage.

    Raises
    ------
    WorkError
        If the file is missing or damaged.
    """
    task_folder = Path(task_folder)
    costs = _read_attribution(task_folder / ATTRIBUTION)
    save_figure(_draw_costs(costs, task_folder.name), task_folder / "attribution.png")


def _read_forgetting(file):
    """A row a line of the figure, split and measure; the task; its parent."""
    try:
        found = read_json(file)
        rows = []
        for entry in found["baselines"]:
            label = f"before: {_shorten(entry['run'])}"
            rows += _measure_rows(entry, MEASURES, (entry["run"], ""), "baseline", label)
        marks = {entry["run"]: _mark(entry) for entry in found["runs"] if entry["split"] == "val"}
        for entry in found["runs"]:
            run, strategy = entry["run"], entry["strategy"]
            label = _label(run, strategy, marks.get(run, ""))
            line = (entry["parent_run"], run)
            rows += _measure_rows(entry, (*MEASURES, "forgetting"), line, strategy, label)
        task, parent_task = found["task"], found["parent_task"]
        if (task, parent_task) == MODNET_TASKS:
            rows += _published_rows(rows)
        return _place_lines(pd.DataFrame(rows)), task, parent_task
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WorkError(
            f"'{file}' is not the outcome of a forgetting test; measure it anew with forget."
        ) from error


def _measure_rows(entry, measures, line, strategy, label):
    return [
        {
            "line": line,
            "strategy": strategy,
            "label": label,
            "split": entry["split"],
            "measure": measure,
            **{end: float(entry[measure][end]) for end in ("value", "low", "high")},
        }
        for measure in measures
        # A split without images of the class has no sensitivity, one without others no specificity.
        if entry[measure] is not None
    ]


def _published_rows(rows):
    lines = {row["line"]: row for row in rows if row["strategy"] in MODNET_FIGURE_4}
    return [
        row | {"split": "modnet", "measure": measure, "value": value, "low": None, "high": None}
        for row in lines.values()
        for measure, value in zip(MEASURES, MODNET_FIGURE_4[row["strategy"]], strict=True)
    ]


def _mark(entry):
    if entry["identical"]:
        return " (identical)"
    return " *" if entry["p_holm"] < 0.05 else ""


def _label(run, strategy, mark=""):
    return _shorten(run) + mark + ("" if strategy == run else f"\n{_shorten(strategy)}")


def _shorten(name):
    """A name with its middle left out where it is long: names often differ at the end alone."""
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[:13]}…{name[-10:]}"


def _place_lines(rows):
    """Give every line its height: a parent, its runs below it, a gap, the next parent."""
    heights, height = {}, 0.0
    lines = rows["line"].unique()
    for parent in dict.fromkeys(line[0] for line in lines):
        for line in lines:
            if line[0] == parent:
                heights[line] = height
                height += 1
        height += 0.4
    return rows.assign(height=rows["line"].map(heights))


def _draw_lines(rows, task, parent_task):
    size = 12, 2.3 + 0.46 * (rows["height"].max() + 1)
    # A figure of its own, not pyplot's: nothing is left open, and a notebook's backend untouched.
    with matplotlib.rc_context(), sns.axes_style("whitegrid"):
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(1, 4, sharey=True)
        for axes, measure in zip(panels, (*MEASURES, "forgetting"), strict=True):
            shown = rows[rows["measure"] == measure]
            _draw_measure(axes, shown)
            if shown.empty:
                axes.text(0.5, 0.5, "no image to count", ha="center", transform=axes.transAxes)
            axes.set(title=measure, xlabel="share")
            axes.xaxis.set_major_locator(MaxNLocator(4))
        _draw_parents(panels, rows)
        _set_limits(panels, rows)
        _name_lines(panels[0], rows)
        figure.legend(
            *panels[0].get_legend_handles_labels(),
            title=f"{parent_task} before and after learning {task}",
            title_fontsize=12,
            loc="outside upper center",
            ncols=len(SERIES),
            frameon=False,
        )
        figure.supxlabel(FORGETTING_CAPTION, x=0.01, ha="left", fontsize=8)
    return figure


def _draw_measure(axes, rows):
    for split, (offset, looks) in SERIES.items():
        shown = rows[rows["split"] == split]
        # A percentile interval may leave its value outside; a negative length is refused.
        lengths = [
            (shown["value"] - shown["low"]).clip(lower=0),
            (shown["high"] - shown["value"]).clip(lower=0),
        ]
        if len(shown):
            axes.errorbar(
                shown["value"], shown["height"] + offset, xerr=lengths, capsize=2, **looks
            )


def _draw_parents(panels, rows):
    """Dashed lines to read the runs against: their parent's values, and no forgetting."""
    looks = {"color": "0.4", "linestyle": "--", "linewidth": 1, "zorder": 1}
    panels[-1].axvline(0, **looks)
    heights = rows.groupby(rows["line"].str[0])["height"]
    parents = rows[(rows["strategy"] == "baseline") & (rows["split"] == "val")]
    for axes, measure in zip(panels, MEASURES, strict=False):
        for _, parent in parents[parents["measure"] == measure].iterrows():
            group = heights.get_group(parent["line"][0])
            axes.vlines(parent["value"], group.min() - 0.4, group.max() + 0.4, **looks)


def _set_limits(panels, rows):
    """One scale for the three measures; one of its own, never a pinpoint, for forgetting."""
    measured = rows[rows["measure"] != "forgetting"]
    lowest = measured[["value", "low"]].min().min()
    margin = 0.04 * (1 - lowest) + 0.002
    for axes in panels[:-1]:
        axes.set_xlim(lowest - margin, 1 + margin)
    forgetting = rows.loc[rows["measure"] == "forgetting", ["value", "low", "high"]]
    low, high = min(forgetting.min().min(), -0.01), max(forgetting.max().max(), 0.01)
    panels[-1].set_xlim(low - 0.05 * (high - low), high + 0.05 * (high - low))
    panels[-1].set_xlabel("accuracy before - after")


def _name_lines(axes, rows):
    lines = rows.drop_duplicates("line")
    axes.set_yticks(lines["height"], lines["label"])
    axes.set_ylim(rows["height"].max() + 0.6, -0.6)
    for tick, strategy in zip(axes.get_yticklabels(), lines["strategy"], strict=True):
        tick.set_fontweight("bold" if strategy == "baseline" else "normal")


def _read_attribution(file):
    try:
        text = {"run": str, "strategy": str}
        costs = pd.read_csv(file, dtype=text, keep_default_na=False).astype({"cost": float})
        known = costs["kind"].isin(KIND_NAMES) & costs["split"].isin(SPLIT_NAMES)
        twice = costs.duplicated(["run", "strategy", "split", "stage", "kind"])
        if costs.empty or not known.all() or twice.any():
            raise ValueError("no cost, one of an unknown kind or split, or one given twice")
        return costs
    except (OSError, ValueError, KeyError) as error:
        raise WorkError(
            f"'{file}' is not the outcome of a forgetting test; measure it anew with forget."
        ) from error


def _draw_costs(costs, task):
    lines = costs[["run", "strategy"]].drop_duplicates()
    splits = [split for split in SPLIT_NAMES if split in set(costs["split"])]
    columns = [*(stage for stage in costs["stage"].unique() if stage != ALL_STAGES), ALL_STAGES]
    limit = max(100 * costs["cost"].abs().max(), 0.1)
    size = 3.2 + 1.65 * len(columns), 2.0 + len(splits) * (0.4 + 0.36 * len(lines))
    with matplotlib.rc_context(), sns.axes_style("white"):
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(
            len(splits), len(KIND_NAMES), sharex=True, sharey=True, squeeze=False
        )
        for row, split in zip(panels, splits, strict=True):
            for axes, kind in zip(row, KIND_NAMES, strict=True):
                shown = costs[(costs["split"] == split) & (costs["kind"] == kind)]
                table = shown.pivot(index=["run", "strategy"], columns="stage", values="cost")
                table = table.reindex(index=pd.MultiIndex.from_frame(lines), columns=columns)
                _draw_heat_map(axes, 100 * table, limit)
            row[0].set_ylabel(f"{SPLIT_NAMES[split]}\nimages", fontsize=8)
        for axes, name in zip(panels[0], KIND_NAMES.values(), strict=True):
            axes.set_title(name, fontsize=10)
        figure.suptitle(f"{task}: the parent with weights of the child swapped in")
        figure.supxlabel(ATTRIBUTION_CAPTION, x=0.01, ha="left", fontsize=8)
        figure.colorbar(panels[0, 0].collections[0], ax=panels, fraction=0.025, label="cost")
    return figure


def _draw_heat_map(axes, table, limit):
    sns.heatmap(
        table,
        ax=axes,
        vmin=-limit,
        vmax=limit,
        cmap="vlag",
        cbar=False,
        # Only what is exactly 0 is shown as "0".
        annot=table.map(lambda cost: f"{cost:z.1f}" if cost else "0"),
        fmt="",
        annot_kws={"fontsize": 7},
        linewidths=1,
        yticklabels=[_label(*line) for line in table.index],
    )
    # Sets "all", the last column, apart.
    axes.axvline(table.shape[1] - 1, color="white", linewidth=6)
    axes.set(xlabel="", ylabel="")
    axes.tick_params(axis="y", rotation=0, labelsize=7)
    axes.tick_params(axis="x", rotation=0, labelsize=8)
