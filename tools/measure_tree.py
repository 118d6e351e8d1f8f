"""Time a tree as one model against its runs one by one, in one run, alternately.

    python tools/measure_tree.py --tree=animals --runs=runs [--batch=64] [--rounds=15]

Both are the networks that are exported: float32, batch norm folded. What is timed is the answer for
one batch of pictures; decoding is left out, which a tree does once and separate models each.
"""

import statistics
import time

# Before TensorFlow, which reads once what this sets.
import modnet_keras  # noqa: F401

# isort: split
import fire
import numpy as np
import tensorflow as tf

from modnet_keras import load_run, load_tree
from modnet_keras.serving.servable import Servable
from modnet_keras.serving.tree import as_tree


def measure(tree="animals", runs="runs", pick=(), batch=64, rounds=15):
    """Print the medians and their ratio."""
    pick = (pick,) if isinstance(pick, str) else pick
    whole = load_tree(tree, runs=runs, pick=pick)
    size = whole.image_size
    images = np.random.default_rng(0).uniform(0, 255, (batch, size, size, 3)).astype("float32")
    images = tf.constant(images)
    joined = _function(Servable(whole))
    alone = [_function(Servable(as_tree(load_run(run.folder)))) for run in whole.runs]
    seconds = {"tree": [], "separate": []}
    for number in range(rounds + 2):
        for name, functions in (("tree", [joined]), ("separate", alone)):
            start = time.perf_counter()
            for function in functions:
                function(images)["probability"].numpy()
            # The first rounds trace and warm up.
            if number >= 2:
                seconds[name].append(time.perf_counter() - start)
    ratios = [a / b for a, b in zip(seconds["tree"], seconds["separate"], strict=True)]
    print(f"{', '.join(whole.tasks)}; {size} px")
    for name, values in seconds.items():
        milliseconds = [1000 * value for value in values]
        print(
            f"{name}: {statistics.median(milliseconds):.1f} ms a batch of {batch} "
            f"({min(milliseconds):.1f} to {max(milliseconds):.1f})"
        )
    print(f"ratio: {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")


def _function(servable):
    return tf.function(servable.of_images, servable.images_signature, autograph=False)


if __name__ == "__main__":
    fire.Fire(measure)
