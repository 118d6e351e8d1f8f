"""The figure of an estimate, from files alone."""

import json

import matplotlib
import pytest
from matplotlib.figure import Figure
from test_comparison import pairs_of, rows_of, summary_of

from modnet_keras.errors import WorkError
from modnet_keras.files import write_table
from modnet_keras.reports.estimate_plots import (
    draw_estimate,
    draw_splits,
    limit,
    read_estimate,
    strategies_of,
)
from modnet_keras.reports.report_estimate import read_estimate_section


def write_estimate(folder, rows):
    write_table(folder / "estimate.csv", rows)
    details = {"strategies": summary_of(rows), "pairs": pairs_of(rows), "failed": []}
    (folder / "estimate.json").write_text(json.dumps(details))
    return folder


def test_points_are_the_splits_and_diamonds_the_means(tmp_path):
    accuracies = {"scratch": [0.5, 0.6, 0.7], "frozen": [0.6, 0.7, 0.71]}
    write_estimate(tmp_path, rows_of(accuracies))
    rows, means, _ = read_estimate(tmp_path)
    axes = Figure().add_subplot()
    draw_splits(axes, rows, means[0.2, "accuracy"], "accuracy", list(accuracies))
    points = [sorted(each.get_offsets()[:, 0].tolist()) for each in axes.collections if
              len(each.get_offsets()) == 3]  # fmt: skip
    assert points[:2] == list(accuracies.values())
    diamonds = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "D"]
    assert diamonds == pytest.approx([0.6, 0.67])
    whiskers = [each.get_segments()[0][:, 0].tolist() for each in axes.collections
                if isinstance(each, matplotlib.collections.LineCollection)]  # fmt: skip
    ends = [[mean["low"], mean["high"]] for mean in means[0.2, "accuracy"].values()]
    assert sum(whiskers, []) == pytest.approx(sum(ends, []))


def test_every_panel_has_its_strategies_at_the_same_heights(tmp_path):
    """Where the first fold of one strategy failed, its rows begin with another."""
    rows = rows_of({"b": [0.9, 0.8]}, 0.1) + rows_of({"a": [0.2, 0.3]}, 0.1)
    rows += rows_of({"a": [0.2, 0.3], "b": [0.9, 0.8]}, 0.2)
    write_estimate(tmp_path, rows)
    table, means, _ = read_estimate(tmp_path)
    figure = Figure()
    for axes, fraction in zip(figure.subplots(2, 1, sharey=True), (0.1, 0.2), strict=True):
        shown = table[table["val_fraction"] == fraction]
        order = strategies_of(means)
        draw_splits(axes, shown, means[fraction, "accuracy"], "accuracy", order)
        heights = {line.get_ydata()[0]: line.get_xdata()[0] for line in axes.lines
                   if line.get_marker() == "D"}  # fmt: skip
        assert heights[order.index("a") + 0.2] == pytest.approx(0.25)
        assert heights[order.index("b") + 0.2] == pytest.approx(0.85)
        assert [label.get_text() for label in axes.get_yticklabels()] == order


def test_all_that_is_drawn_is_seen_but_for_a_few_splits_very_wide_interval(tmp_path):
    narrow = rows_of({"a": [0.70, 0.71, 0.72, 0.70, 0.71, 0.72]}, 0.1)
    wide = rows_of({"a": [0.6, 0.8]}, 0.3)
    rows, means, _ = read_estimate(write_estimate(tmp_path, narrow))
    axes = Figure().add_subplot()
    limit(axes, rows, means, "accuracy")
    low, high = axes.get_xlim()
    mean = means[0.1, "accuracy"]["a"]
    assert low < min(0.70, mean["low"]) and max(0.72, mean["high"]) < high
    rows, means, _ = read_estimate(write_estimate(tmp_path, narrow + wide))
    limit(axes, rows, means, "accuracy")
    assert axes.get_xlim() == pytest.approx((0.28, 1.12))


@pytest.mark.parametrize(
    "rows",
    [
        rows_of({"scratch": [0.5]}),
        rows_of({"scratch": [0.5, 0.5]}, forgetting={"scratch": [0.0, 0.0]}),
        rows_of({"a": [0.5, 0.6], "b": [0.6]}, 0.1) + rows_of({"a": [0.4, 0.7]}, 0.3),
    ],
    ids=["one split of a root", "no spread", "two fractions, a fold missing"],
)
def test_it_is_drawn_whatever_there_is(tmp_path, rows):
    draw_estimate(write_estimate(tmp_path, rows))
    assert (tmp_path / "estimate.png").read_bytes().startswith(b"\x89PNG")
    section = read_estimate_section(tmp_path, "x")
    assert section["problem"] is None
    assert len(section["fractions"]) == len({row["val_fraction"] for row in rows})


@pytest.mark.parametrize("name", ["estimate.csv", "estimate.json"])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "a,b\n1,2\n",
        "[1]",
        "strategy,val_fraction,accuracy\na,0.2,x\n",
        '{"strategies": [{}]}',
    ],
)
def test_damaged_files_are_named(tmp_path, name, text):
    write_estimate(tmp_path, rows_of({"scratch": [0.5, 0.6]}))
    (tmp_path / name).write_text(text)
    with pytest.raises(WorkError, match="is not the outcome of an estimate"):
        draw_estimate(tmp_path)
    assert "estimate" in read_estimate_section(tmp_path, "x")["problem"]
