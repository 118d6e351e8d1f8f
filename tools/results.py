"""Train what `docs/results.md` is about, measure it, and write that page and its figures.

    python tools/results.py --data=FOLDER --runs=FOLDER [--docs=docs]

FOLDER of the data is Tiny ImageNet's 31 classes unpacked. What is trained already is not trained
again, and what was interrupted goes on, so the same command is called until it is done. For each
of three seeds, which no tuning used: `animals`, `canines` by every strategy, `felines` by two.
"""

import argparse
from pathlib import Path

import keras

from modnet_keras import train
from modnet_keras.training.strategies import STRATEGIES

SEEDS = (11, 12, 13)
EPOCHS = 12
TRAININGS = [
    ("animals", "scratch"),
    *(("canines", strategy) for strategy in STRATEGIES),
    ("felines", "frozen"),
    ("felines", "finetune"),
]


def train_missing(data, runs):
    """Train every run of every seed that is not there, below `<runs>/seed-<seed>`."""
    for seed in SEEDS:
        for task, strategy in TRAININGS:
            train(
                task,
                strategy=strategy,
                data=data,
                seed=seed,
                epochs=EPOCHS,
                runs=runs / f"seed-{seed}",
                resume=True,
            )
            keras.utils.clear_session()


def main():
    """Read the call and do it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    options = parser.parse_args()
    train_missing(options.data, options.runs)


if __name__ == "__main__":
    main()
