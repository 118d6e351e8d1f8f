"""Draw the figures of `docs/concepts.md` and others from the package's own networks and tables.

    python tools/draw_docs_figures.py [--to=docs/figures]

Names, shapes and multipliers are read from networks that are built, from the strategies' tables,
the shipped specs and the demo's manifests; none is written here by hand. The same versions draw
the same bytes. The ground is white, so that they can be read on a dark page too.
"""

import argparse
import functools
import math
from collections import defaultdict
from pathlib import Path

# Before TensorFlow, which reads once what this sets.
import modnet_keras as mk

# isort: split
import matplotlib
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Patch, Rectangle

from modnet_keras.data.splits import rank
from modnet_keras.tasks import REST_OF_PARENT, find_synset, find_tasks, synset_name
from modnet_keras.training.optimizers import assign_rates
from modnet_keras.training.strategies import FROZEN, STATISTICS, STRATEGIES

CHAIN = ("animals", "canines", "wolf")
SHOWN_STRATEGY = "frozen"
FROZEN_COLOUR, NEW_COLOUR, HEAD_COLOUR = "#b8cfe6", "#8fd19e", "#f4b183"
LINE, TEXT, FAINT = "#33414e", "#1b242c", "#8a949c"
TRAIN_COLOUR, VAL_COLOUR, OUT_COLOUR = "#9ecae1", "#e6550d", "#eeeeee"
SHOWN_CLASSES = ("n02099601", "n02114367", "n02123045", "n02132136", "n12267677", "n02793495")


def draw_growth(file):
    """Each task of the chain as a row of parts: what it takes over and what is new."""
    tasks = [mk.load_task(name) for name in CHAIN]
    models = [mk.build_model(tasks[0])]
    for task in tasks[1:]:
        models.append(mk.grow(models[-1], task))
    figure, axes = _canvas(11, 4.4, (0, 15.2), (-1.1, 5.3))
    for row, (task, model) in enumerate(zip(tasks, models, strict=True)):
        top = 4 - 2 * row
        axes.text(0, top + 0.5, f"{task.name}\nlevel {task.level}", color=TEXT, va="center")
        rates = assign_rates(model, STRATEGIES[SHOWN_STRATEGY].table(task.level))
        for column, part in enumerate(model.layers[1:]):
            learns = row == 0 or any(rates[weight.path] != FROZEN for weight in part.weights)
            place = (1.8 + 2.25 * column, top)
            _draw_part(axes, place, part, learns)
            if column:
                _arrow(axes, (place[0] - 0.35, top + 0.5), (place[0], top + 0.5))
            if row and not learns:
                _arrow(axes, (place[0] + 0.95, top + 2), (place[0] + 0.95, top + 1), dashed=True)
    legend = [
        Patch(color=NEW_COLOUR, label="learns"),
        Patch(color=HEAD_COLOUR, label="head of the task's own, learns"),
        Patch(color=FROZEN_COLOUR, label=f"taken over; by {SHOWN_STRATEGY} it stays as it is"),
    ]
    axes.legend(handles=legend, loc="lower left", ncols=3, frameon=False, bbox_to_anchor=(0, -0.02))
    _save(figure, file)


def draw_tap(file):
    """The child's network, and the parent's head where `tap` puts it."""
    parent_task, child_task = (mk.load_task(name) for name in CHAIN[:2])
    parent = mk.build_model(parent_task)
    child = mk.grow(parent, child_task)
    tapped = mk.tap(child, parent)
    shared = [part for part in tapped.layers[1:] if part in child.layers]
    figure, axes = _canvas(10, 3.2, (-0.1, 13.4), (-0.4, 3.5))
    for column, part in enumerate(child.layers[1:]):
        left = 0.2 + 2.25 * column
        _draw_part(axes, (left, 2), part, part not in shared, head_of=child_task.name)
        if column:
            _arrow(axes, (left - 0.35, 2.5), (left, 2.5))
    last = 0.2 + 2.25 * (len(shared) - 1)
    head = parent.get_layer("head")
    assert tapped.layers[-1] is head
    _draw_part(axes, (last + 2.25, 0.1), head, True, head_of=parent_task.name)
    _arrow(axes, (last + 0.95, 2), (last + 2.25, 0.6), bend="angle,angleA=90,angleB=180,rad=6")
    axes.text(
        last + 0.75, 0.55, f"the tap: behind {shared[-1].name}", ha="right", va="center", color=TEXT
    )
    title = f"network of {child_task.name}; blue: the stages that the tap runs through"
    axes.text(0.2, 3.25, title, color=TEXT)
    _save(figure, file)


def draw_hierarchy(file):
    """The shipped tasks as a tree, each with its entries for yes and no."""
    tasks = find_tasks().tasks
    order = _depth_first(tasks)
    figure, axes = _canvas(10, 0.9 * len(order) + 0.3, (0, 14), (-len(order) + 0.3, 1))
    rows = {}
    for row, name in enumerate(order):
        task = tasks[name]
        left = 1.1 * (task.level - 1) + 0.1
        rows[name] = (left, -row)
        if task.parent:
            above = rows[task.parent.name]
            axes.plot(
                [above[0] + 0.4, above[0] + 0.4, left],
                [above[1] - 0.28, -row, -row],
                color=LINE, linewidth=1.2,
            )  # fmt: skip
        _box(axes, (left, -row - 0.28), 1.8, 0.56, FROZEN_COLOUR)
        axes.text(left + 0.9, -row, name, ha="center", va="center", color=TEXT, weight="bold")
        axes.text(4.5, -row + 0.18, f"yes: {_entries(task.spec.positive)}", va="center", color=TEXT)
        axes.text(4.5, -row - 0.18, f"no:  {_entries(task.spec.negative)}", va="center", color=LINE)
    _save(figure, file)


def draw_rates(file, level=3):
    """A table of strategy and part: the multiplier of the weights, and what the statistics do."""
    model = mk.build_model(level, image_size=32)
    parts = model.layers[1:]
    figure, axes = _canvas(
        10, 0.62 * len(STRATEGIES) + 1.3, (-2.6, 2 * len(parts)), (len(STRATEGIES) + 1.1, -0.9)
    )
    colours = matplotlib.colormaps["YlGn"]
    for column, part in enumerate(parts):
        axes.text(2 * column + 0.95, -0.35, part.name, ha="center", va="center", color=TEXT)
    for row, (name, strategy) in enumerate(STRATEGIES.items()):
        axes.text(-0.2, row + 0.45, name, ha="right", va="center", color=TEXT)
        rates = assign_rates(model, strategy.table(level))
        for column, part in enumerate(parts):
            weights, statistics = _rates_of(part, rates)
            is_parents = part.name not in (f"stage_{level + 1}", "head")
            shade = FROZEN_COLOUR if weights == FROZEN else colours(0.12 + 0.4 * weights)
            axes.add_patch(
                Rectangle((2 * column, row), 1.9, 0.9, facecolor=shade, edgecolor="white")
            )
            if strategy.takes_over and is_parents:
                axes.add_patch(Rectangle((2 * column, row + 0.82), 1.9, 0.08, facecolor=LINE))
            axes.text(
                2 * column + 0.95, row + 0.43, _rate_text(weights, statistics), ha="center",
                va="center", color=TEXT, fontsize=9,
            )  # fmt: skip
    legend = [
        Patch(facecolor=FROZEN_COLOUR, label="weights fixed"),
        Patch(facecolor=colours(0.52), label="learns, at this multiple of the learning rate"),
        Patch(facecolor=LINE, label="underlined: taken over from the parent"),
    ]
    axes.legend(handles=legend, loc="lower left", ncols=3, frameon=False, bbox_to_anchor=(0, -0.03))
    _save(figure, file)


def draw_split(file):
    """Pictures of some demo classes in the order of the split: what two tasks do with each.

    Raises if a child trains on a picture that its parent is tested on.
    """
    manifests = {name: mk.build_manifest(mk.load_task(name), "demo") for name in CHAIN[:2]}
    used = {name: _used(manifest) for name, manifest in manifests.items()}
    parent, child = (used[name] for name in CHAIN[:2])
    crossed = [path for path, split in child.items() if parent.get(path, split) != split]
    if crossed:
        raise ValueError(f"on both sides of the split: {crossed}")
    root = manifests[CHAIN[0]].root
    bottom = -1.1 * len(SHOWN_CLASSES) - 0.3
    figure, axes = _canvas(10, 0.62 * len(SHOWN_CLASSES) + 0.4, (-27, 72), (bottom, 0.6))
    for row, cls in enumerate(SHOWN_CLASSES):
        paths = [str(path.relative_to(root)) for path in (root / cls / "images").iterdir()]
        paths.sort(key=functools.partial(rank, 0, cls))
        for line, name in enumerate(CHAIN[:2]):
            y = -1.1 * row - 0.45 * line
            axes.text(-0.8, y + 0.2, name, ha="right", va="center", color=LINE, fontsize=8)
            for place, path in enumerate(paths):
                colour = {"train": TRAIN_COLOUR, "val": VAL_COLOUR}.get(
                    used[name].get(path), OUT_COLOUR
                )
                axes.add_patch(Rectangle((place, y), 0.85, 0.4, facecolor=colour))
        axes.text(-26.5, -1.1 * row, synset_name(cls), va="center", color=TEXT)
    legend = [
        Patch(color=VAL_COLOUR, label="validation"),
        Patch(color=TRAIN_COLOUR, label="training"),
        Patch(color=OUT_COLOUR, label="not taken: of no side of the task, or over after balancing"),
    ]
    axes.legend(handles=legend, loc="lower left", ncols=3, frameon=False, bbox_to_anchor=(0, -0.02))
    _save(figure, file)


def _draw_part(axes, place, part, learns, head_of=None):
    """A box with the name of a part, its filters and the size of what it gives."""
    colour = FROZEN_COLOUR if not learns else NEW_COLOUR
    lines = [part.name]
    if part.name == "head":
        colour = HEAD_COLOUR
        lines = [f"head of {head_of}"] if head_of else lines
        lines.append(f"{math.prod(part.output_shape[1:])} logit")
    else:
        _, height, width, filters = part.output_shape
        lines += [f"{filters} filters", f"{height} x {width}"]
    _box(axes, place, 1.9, 1, colour)
    axes.text(
        place[0] + 0.95, place[1] + 0.5, "\n".join(lines), ha="center", va="center", color=TEXT,
        fontsize=8.5,
    )  # fmt: skip


def _rates_of(part, rates):
    """Multiplier of a part's weights, and that of its statistics or None; each must be one."""
    found = defaultdict(set)
    for weight in part.weights:
        is_statistic = weight.path.rsplit("/", 1)[-1] in STATISTICS.strip("()").split("|")
        found["statistics" if is_statistic else "weights"].add(rates[weight.path])
    (weights,) = found["weights"]
    statistics = found.get("statistics")
    return weights, statistics.pop() if statistics else None


def _rate_text(weights, statistics):
    if weights != FROZEN:
        return f"x {weights:g}"
    return "fixed" if statistics == FROZEN else "weights fixed,\nstatistics drift"


def _used(manifest):
    return dict(zip(manifest.path.tolist(), manifest.split.tolist(), strict=True))


def _entries(entries):
    if entries == REST_OF_PARENT:
        return "the rest of what the parent says yes to"
    return ", ".join(synset_name(find_synset(entry) or entry) for entry in entries)


def _depth_first(tasks, parent=None):
    order = []
    for name, task in tasks.items():
        if (task.parent and task.parent.name) == parent:
            order += [name, *_depth_first(tasks, name)]
    return order


def _canvas(width, height, x_limits, y_limits):
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    axes.set(xlim=x_limits, ylim=y_limits)
    axes.set_axis_off()
    return figure, axes


def _box(axes, place, width, height, colour):
    style = "round,pad=0,rounding_size=0.12"
    axes.add_patch(
        FancyBboxPatch(place, width, height, boxstyle=style, facecolor=colour, edgecolor=LINE)
    )


def _arrow(axes, start, end, dashed=False, bend=None):
    axes.add_patch(
        FancyArrowPatch(
            start, end, arrowstyle="-|>", mutation_scale=11, color=FAINT if dashed else LINE,
            linestyle="--" if dashed else "-", shrinkA=0, shrinkB=0, connectionstyle=bend,
        )
    )  # fmt: skip


def _save(figure, file):
    # Neither a date nor random ids, so that what has not changed stays the same file.
    with matplotlib.rc_context({"svg.hashsalt": file.name, "font.family": "DejaVu Sans"}):
        figure.savefig(file, metadata={"Date": None})


FIGURES = {
    "growth.svg": draw_growth,
    "hierarchy.svg": draw_hierarchy,
    "rates.svg": draw_rates,
    "split.svg": draw_split,
    "tap.svg": draw_tap,
}


def main():
    """Read the call and draw every figure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--to", type=Path, default=Path("docs/figures"))
    folder = parser.parse_args().to
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in FIGURES.items():
        draw(folder / name)


if __name__ == "__main__":
    main()
