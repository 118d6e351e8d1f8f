import copy
import io
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from modnet_keras.errors import WorkError
from modnet_keras.reports.forgetting_plots import draw_attribution, draw_forgetting

PARENTS = ("animals/scratch", "animals/scratch-long")


def interval(value):
    return {"value": value, "low": value - 0.01, "high": value + 0.01}


def measures(split, lost=0.0):
    return {
        "split": split,
        "n": 2200,
        "accuracy": interval(0.9 - lost),
        "sensitivity": interval(0.85 - lost),
        "specificity": interval(0.95 - lost),
    }


def forgetting_test(strategies, task="canines", parents=PARENTS[:1]):
    """What `forget` writes of runs that are called as their strategies are."""
    test = {"lost": 30, "gained": 8, "p_value": 0.1, "p_holm": 0.2, "forgetting": interval(0.02)}
    test |= {"identical": False, "identical_parts": ["stem"]}
    return {
        "task": task,
        "parent_task": "animals",
        "baselines": [{"run": run} | measures(x) for run in parents for x in ("val", "train")],
        "runs": [
            {"run": name, "strategy": name, "parent_run": parents[place % len(parents)]}
            | measures(split, 0.02)
            | copy.deepcopy(test)
            for place, name in enumerate(strategies)
            for split in ("val", "train")
        ],
    }


@pytest.fixture
def draw(tmp_path):
    """Draw the outcome of a forgetting test; gives the picture."""

    def picture(details):
        (tmp_path / "forgetting.json").write_text(json.dumps(details))
        draw_forgetting(tmp_path)
        return opened(tmp_path / "forgetting.png")

    return picture


@pytest.fixture
def draw_costs(tmp_path):
    """Draw an attribution from (run, split, stage, kind, cost); gives the picture."""

    def picture(rows):
        lines = [f"{run},finetune,{x},{stage},{kind},0.5,{c}" for run, x, stage, kind, c in rows]
        header = "run,strategy,split,stage,kind,accuracy,cost"
        (tmp_path / "forgetting_attribution.csv").write_text("\n".join([header, *lines]))
        draw_attribution(tmp_path)
        return opened(tmp_path / "attribution.png")

    return picture


def opened(file):
    assert file.stat().st_size < 200_000
    image = Image.open(io.BytesIO(file.read_bytes())).convert("L")
    assert len(image.getcolors(100_000)) > 10
    pixels = np.asarray(image)
    edges = pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]
    assert all((edge == 255).all() for edge in edges), "something is cut off"
    return pixels


def costs(runs, stages=("stem", "stage_1", "stage_2", "all")):
    return [
        (run, split, stage, kind, round(0.013 * number - 0.02, 4))
        for run in runs
        for split in ("val", "train")
        for number, stage in enumerate(stages)
        for kind in ("statistics", "scale_shift", "convolutions")
    ]


@pytest.mark.parametrize("count", [1, 4, 10])
def test_every_run_has_its_line(draw, count):
    names = [f"a-run-whose-name-is-rather-long-{number}" for number in range(count)]
    heights = [len(draw(forgetting_test(names[:n]))) for n in (count, count - 1) if n]
    assert heights == sorted(set(heights), reverse=True)
    draw(forgetting_test(names, parents=PARENTS))


def test_the_figure_shows_each_figure(draw):
    details = forgetting_test(["finetune"])
    first = draw(details)
    for place, measure in enumerate(("accuracy", "sensitivity", "specificity", "forgetting")):
        changed = copy.deepcopy(details)
        changed["runs"][place % 2][measure] = interval(0.05 if measure == "forgetting" else 0.86)
        assert (draw(changed) != first).any(), measure
    assert (draw(details) == first).all()


def test_a_change_that_the_test_finds_on_validation_is_marked(draw):
    details = forgetting_test(["finetune"])
    unmarked = draw(details)
    for place, marked in ((1, False), (0, True)):
        changed = copy.deepcopy(details)
        changed["runs"][place]["p_holm"] = 0.049
        found = draw(changed)
        assert (found.shape != unmarked.shape or (found != unmarked).any()) == marked


def test_identical_runs_are_marked(draw):
    details = forgetting_test(["frozen"])
    unmarked = draw(details)
    for run in details["runs"]:
        run["identical"] = True
    assert (draw(details) != unmarked).any()


@pytest.mark.parametrize(
    ("task", "strategy", "shown"),
    [
        ("canines", "frozen", 1),
        ("canines", "frozen-weights", 2),
        ("canines", "finetune", 2),
        ("canines", "layerwise", 2),
        ("felines", "finetune", 0),
    ],
)
def test_published_values_stand_beside_what_they_compare_with(
    draw, monkeypatch, task, strategy, shown
):
    from matplotlib.axes import Axes

    drawn = []
    errorbar = Axes.errorbar

    def remember(axes, x, *arguments, label, **options):
        if "ModNet" in label:
            drawn.append(list(x))
        return errorbar(axes, x, *arguments, label=label, **options)

    monkeypatch.setattr(Axes, "errorbar", remember)
    draw(forgetting_test([strategy], task=task))
    assert [len(values) for values in drawn] == ([shown] * 3 if shown else [])
    if shown:
        assert [values[0] for values in drawn] == [0.974, 0.97, 0.98]


def test_a_split_without_the_class_has_no_sensitivity(draw):
    details = forgetting_test(["finetune"], task="felines")
    for entry in details["baselines"] + details["runs"]:
        entry["sensitivity"] = None
    draw(details)


@pytest.mark.parametrize("count", [1, 4, 10])
def test_attribution_has_a_line_for_every_run(draw_costs, count):
    names = [f"a-run-whose-name-is-rather-long-{number}" for number in range(count)]
    heights = [len(draw_costs(costs(names[:n]))) for n in (count, count - 1) if n]
    assert heights == sorted(set(heights), reverse=True)


def test_attribution_shows_each_cost_and_its_sign(draw_costs):
    rows = costs(["finetune"])
    first = draw_costs(rows)
    # One of each split, stage and kind.
    for place in (0, 4, 20, 17):
        *cell, cost = rows[place]
        changed = rows[:place] + [(*cell, -cost)] + rows[place + 1 :]
        assert (draw_costs(changed) != first).any(), cell


def test_attribution_without_any_cost(draw_costs):
    draw_costs([(*row[:-1], 0.0) for row in costs(["frozen"])])


def test_attribution_of_validation_alone(draw_costs):
    rows = costs(["finetune", "layerwise"])
    alone = [row for row in rows if row[1] == "val"]
    assert len(draw_costs(alone)) < len(draw_costs(rows))


@pytest.mark.parametrize("contents", [None, "", "[]", '{"task": "canines"}', '{"task": '])
def test_a_damaged_forgetting_test_is_named(tmp_path, contents):
    if contents is not None:
        (tmp_path / "forgetting.json").write_text(contents)
    with pytest.raises(WorkError, match="forgetting.json"):
        draw_forgetting(tmp_path)
    assert not (tmp_path / "forgetting.png").exists()


@pytest.mark.parametrize("damage", [{"accuracy": 0.5}, {"accuracy": {"value": "x"}}, {"run": []}])
def test_a_damaged_run_in_a_forgetting_test_is_named(draw, damage):
    details = forgetting_test(["finetune"])
    details["runs"][0] |= damage
    with pytest.raises(WorkError, match="forgetting.json"):
        draw(details)


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [("frozen", "val", "stem", "paint", 0.1)],
        [("frozen", "test", "stem", "statistics", 0.1)],
        [("frozen", "val", "stem", "statistics", "much")],
        [("frozen", "val", "stem", "statistics", 0.1)] * 2,
    ],
)
def test_a_damaged_attribution_is_named(draw_costs, tmp_path, rows):
    with pytest.raises(WorkError, match="forgetting_attribution.csv"):
        draw_costs(rows)
    (tmp_path / "forgetting_attribution.csv").unlink()
    with pytest.raises(WorkError, match="forgetting_attribution.csv"):
        draw_attribution(tmp_path)


def test_tensorflow_is_not_loaded():
    check = "import modnet_keras.reports.forgetting_plots, sys"
    check += "; assert not {'tensorflow', 'keras'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)
