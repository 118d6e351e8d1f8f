"""One network that answers for many runs: what they have in common is computed once."""

from typing import Any

import keras
import numpy as np

from modnet_keras.data.input_pipeline import OFFSET, SCALE
from modnet_keras.models import copy_for_inference
from modnet_keras.serving.tree import Tree
from modnet_keras.training.run import MODEL


def build_network(
    tree: Tree, *, precision: str | None = None, fold: bool = False, features: bool = False
) -> keras.Model:
    """Join the networks of a tree's runs into one.

    Parts are computed once where they and everything before them have the same weights and
    statistics to the bit, by their hashes: all that children by `frozen` took over. What differs
    is computed for each run.

    Parameters
    ----------
    tree : Tree
    precision : {"float32"}, optional
        Everything is computed so; each run's parts as they were trained where absent.
    fold : bool
        Work batch normalizations into convolutions (`copy_for_inference`).
    features : bool
        Give what each run's head is called on too.

    Returns
    -------
    keras.Model
        From pictures, float32 [n, size, size, 3] in 0..255, to logits, float32 [n, tasks]; with
        `features` to a dict of `logits` and `features`, a list of [n, height, width, filters], a
        task each.
    """
    images = keras.Input((tree.image_size, tree.image_size, 3), name="images")
    made: dict[tuple[str, ...], Any] = {(): _normalised(images)}
    logits, seen = [], []
    for run in tree.runs:
        run.check_hashes()
        if not all(np.isfinite(weight).all() for weight in run.model.get_weights()):
            raise run.damaged(MODEL, "it holds weights that are no finite numbers")
        hashes, key = run.hashes["after"], (precision or run.config["precision"],)
        outputs = made[()]
        for part in run.model.layers[1:]:
            before, key = outputs, (*key, *hashes[part.name].values())
            if key not in made:
                name = f"{run.config['task']}_{part.name}"
                made[key] = copy_for_inference(part, before, name, precision=precision, fold=fold)
            outputs = made[key]
        logits.append(outputs)
        seen.append(before)
    joined = keras.layers.Concatenate(name="logits")(logits) if len(logits) > 1 else logits[0]
    outputs = {"logits": joined, "features": seen} if features else joined
    return keras.Model(images, outputs, name=tree.name)


def _normalised(images):
    """As the input pipeline normalises, to the same bits."""
    return keras.layers.Rescaling(SCALE.tolist(), OFFSET.tolist(), name="normalise")(images)
