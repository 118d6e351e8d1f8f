"""Draw docs/demo.jpg, the picture of the README: demo pictures under the tasks that they belong to.

Usage: python tools/draw_readme_picture.py docs/demo.jpg
"""

import sys
from collections import defaultdict

from matplotlib.figure import Figure
from PIL import Image

import modnet_keras

ROWS = {"animals": 1, "not-animals": 0, "canines": 1, "not-canines": 0, "wolf": 1, "not-wolf": 0}
COLUMNS = 12


def main(target):
    """Draw a row of pictures a side, for each task of the way from animals to wolf."""
    figure = Figure(figsize=(COLUMNS * 0.8, len(ROWS) * 0.86), layout="constrained")
    for row, (name, label) in enumerate(ROWS.items()):
        pictures = pick(name.removeprefix("not-"), label)
        for column, path in enumerate(pictures):
            axes = figure.add_subplot(len(ROWS), COLUMNS, row * COLUMNS + column + 1)
            axes.imshow(Image.open(path))
            axes.set(xticks=[], yticks=[])
            if column == 0:
                axes.set_ylabel(name.replace("not-", "not\n"), rotation=0, ha="right", va="center")
    figure.savefig(target, dpi=100, pil_kwargs={"quality": 88})


def pick(task, label):
    """One picture of each class in turn, until a row is full."""
    manifest = modnet_keras.build_manifest(modnet_keras.load_task(task), "demo")
    by_class = defaultdict(list)
    for path, cls, of in zip(manifest.path, manifest.image_class, manifest.label, strict=True):
        if of == label:
            by_class[cls].append(manifest.root / path)
    turns = [paths[turn] for turn in range(COLUMNS) for paths in by_class.values()]
    return turns[:COLUMNS]


if __name__ == "__main__":
    main(sys.argv[1])
