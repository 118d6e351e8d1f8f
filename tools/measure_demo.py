"""Measure that the demo data is told apart by shapes, not by colours, places or the split.

On `animals`, `canines` and `felines`, balanced, a fifth of the images for validation, it must
hold that

- a linear classifier on the pixels, and one on a 3x3 grid of colour histograms, stay below 0.75
  validation accuracy, the best of several regularisations counting,
- a network trained on shuffled labels stays at 0.5 +- 0.05 on validation.

Prints a table; ends with 1 where a bound is broken, else with 0.

    python tools/measure_demo.py
"""

import sys

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table
from sklearn.linear_model import RidgeClassifier
from sklearn.preprocessing import StandardScaler

import modnet_keras as mk

TASKS = ("animals", "canines", "felines")
REGULARISATIONS = (1e2, 1e3, 1e4, 1e5)
LINEAR_BOUND = 0.75
CHANCE_BOUND = 0.05
SHUFFLES = 3
EPOCHS = 4


def pixels(image: Image.Image, size: int) -> np.ndarray:
    """The picture at a smaller size as one row."""
    small = image.resize((size, size), Image.Resampling.BOX)
    return np.asarray(small, np.float32).ravel() / 255


def grid_histograms(image: Image.Image) -> np.ndarray:
    """Colour histograms of 4x4x4 bins in a 3x3 grid; square roots, as suits a linear classifier."""
    bins = np.asarray(image.reduce(2)) // 64 @ np.array([16, 4, 1])
    cells = [cell for rows in np.array_split(bins, 3) for cell in np.array_split(rows, 3, axis=1)]
    counts = [np.bincount(cell.ravel(), minlength=64) / cell.size for cell in cells]
    return np.sqrt(np.concatenate(counts))


FEATURES = {
    "pixels, 16 x 16": lambda image: pixels(image, 16),
    "pixels, 32 x 32": lambda image: pixels(image, 32),
    "3 x 3 colour histograms": grid_histograms,
}


def read_images(manifest, split: str) -> list[Image.Image]:
    """Every picture of a split, as RGB."""
    return [Image.open(path).convert("RGB") for path in manifest.paths(split)]


def linear_accuracy(feature, images: dict, labels: dict) -> float:
    """Best validation accuracy of ridge classifiers on a feature."""
    rows = {split: np.stack([feature(image) for image in images[split]]) for split in images}
    scaler = StandardScaler().fit(rows["train"])
    rows = {split: scaler.transform(rows[split]) for split in rows}
    return max(
        RidgeClassifier(alpha=alpha)
        .fit(rows["train"], labels["train"])
        .score(rows["val"], labels["val"])
        for alpha in REGULARISATIONS
    )


def shuffled_accuracy(images: dict, labels: dict) -> float:
    """Validation accuracy of small networks trained on shuffled labels, mean over shuffles.

    A validation split of some hundred images alone scatters by more than the bound.
    """
    import keras

    inputs = {
        split: np.stack([np.asarray(image.resize((32, 32))) for image in images[split]])
        for split in images
    }
    scores = []
    for seed in range(SHUFFLES):
        keras.utils.set_random_seed(seed)
        network = keras.Sequential(
            [
                keras.layers.Rescaling(1 / 127.5, offset=-1),
                keras.layers.Conv2D(32, 5, strides=2, activation="relu"),
                keras.layers.Conv2D(64, 3, strides=2, activation="relu"),
                keras.layers.GlobalAveragePooling2D(),
                keras.layers.Dense(1),
            ]
        )
        network.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True))
        shuffled = np.random.default_rng(seed).permutation(labels["train"])
        network.fit(inputs["train"], shuffled, batch_size=64, epochs=EPOCHS, verbose=0)
        guesses = network.predict(inputs["val"], verbose=0)[:, 0] > 0
        scores.append(np.mean(guesses == labels["val"]))
    return float(np.mean(scores))


def measure(task_name: str) -> list[tuple[str, int, float, bool]]:
    """What was measured on a task, of how many images, how much, and whether that is in bounds."""
    manifest = mk.build_manifest(mk.load_task(task_name), data="demo", seed=1, val_fraction=0.2)
    images = {split: read_images(manifest, split) for split in ("train", "val")}
    labels = {split: np.asarray(manifest.labels(split)) for split in images}
    count = len(labels["train"]) + len(labels["val"])
    rows = []
    for name, feature in FEATURES.items():
        accuracy = linear_accuracy(feature, images, labels)
        rows.append((f"linear, {name}", count, accuracy, accuracy < LINEAR_BOUND))
    accuracy = shuffled_accuracy(images, labels)
    within = abs(accuracy - 0.5) <= CHANCE_BOUND
    rows.append(("network, shuffled labels", count, accuracy, within))
    return rows


def main() -> int:
    """Measure every task, print the table, and say by the exit status whether all bounds hold."""
    table = Table("task", "classifier", "images", "validation accuracy", "bound", "holds")
    all_hold = True
    for task_name in TASKS:
        for name, count, accuracy, holds in measure(task_name):
            bound = f"< {LINEAR_BOUND}" if "linear" in name else f"0.5 +- {CHANCE_BOUND}"
            verdict = "yes" if holds else "NO"
            table.add_row(task_name, name, str(count), f"{accuracy:.3f}", bound, verdict)
            all_hold &= holds
    Console().print(table)
    return 0 if all_hold else 1


if __name__ == "__main__":
    sys.exit(main())
