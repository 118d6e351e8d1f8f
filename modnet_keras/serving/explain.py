"""Where in a picture an answer comes from: Grad-CAM heat maps, and the pictures that show them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw, ImageFont

from modnet_keras.serving.answers import answer, rows_of
from modnet_keras.serving.network import build_network
from modnet_keras.serving.tree import Tree

_SHOWN = 448
_CAPTION = 40
_OPACITY = 0.6
_COLOURS = "turbo"


@dataclass(frozen=True)
class Explanation:
    """A prediction and where it comes from.

    Attributes
    ----------
    row : dict
        The prediction.
    task : str
        Whose answer the heat map is of: in a tree the last task that was asked and said yes, or the
        root.
    picture : PIL image
        RGB, square: what the network saw, the middle of the whole.
    heat : float32 array [size, size]
        0 to 1: what spoke for the answer that was given, yes or no.
    """

    row: dict[str, Any]
    task: str
    picture: Image.Image
    heat: np.ndarray

    def overlay(self) -> Image.Image:
        """The picture with the heat map over it, RGB of `picture`'s size."""
        from matplotlib import colormaps

        colours = Image.fromarray((255 * colormaps[_COLOURS](self.heat)[..., :3]).astype("uint8"))
        opacity = Image.fromarray((255 * _OPACITY * self.heat).astype("uint8"))
        return Image.composite(colours, self.picture, opacity)

    def figure(self) -> Image.Image:
        """Picture and heat map side by side, with the answer below them, an RGB image."""
        page = Image.new("RGB", (2 * _SHOWN, _SHOWN + _CAPTION), "white")
        for place, image in enumerate((self.picture, self.overlay())):
            page.paste(
                image.resize((_SHOWN, _SHOWN), Image.Resampling.BICUBIC), (place * _SHOWN, 0)
            )
        write = ImageDraw.Draw(page)
        font = ImageFont.load_default(size=20)
        write.text((10, _SHOWN + 8), self._caption(), fill="black", font=font)
        return page

    def _caption(self):
        said = self.row.get("path") or self.row["label"]
        probability = self.row.get("path_probability", self.row["probability"])
        if self.row["label"] == f"not-{self.task}":
            return f"{said}   ({self.task} {probability:.3f})"
        return f"{said}   {probability:.3f}"


class Explainer:
    """The answers of a tree's networks, with heat maps.

    The heat map is Grad-CAM (Selvaraju et al., 2017, arXiv:1610.02391, section 3) on the last
    stage's output. Behind it stand a global average pool and one linear layer alone, so that the
    gradient is that layer's weight over the number of places, the same everywhere, and no gradient
    has to be taken.

    Parameters
    ----------
    tree : Tree
    load : callable
        `decode_rows` or `read_rows`: what is explained are the bytes of pictures, or their paths.
    precision : {"float32"}, optional
        As of `build_network`.
    """

    def __init__(
        self,
        tree: Tree,
        load: Callable[[tf.Tensor, int], tuple[tf.Tensor, tf.Tensor]],
        precision: str | None = None,
    ) -> None:
        self.tree = tree
        # First, for it refuses what is no network of ours.
        network = build_network(tree, precision=precision, features=True)
        self.weights = [_head_weights(run.model) for run in tree.runs]

        def see(rows):
            pictures, valid = load(rows, tree.image_size)
            outputs = network(pictures, training=False)
            answers = answer(tree, outputs["logits"][: tf.size(valid)], valid)
            return pictures, outputs, answers

        # Traced once: a dataset that is built anew for every call is never given back.
        self._see = tf.function(see, [tf.TensorSpec([None], tf.string)], autograph=False)

    def explain(self, given: Sequence[bytes]) -> list[Explanation | None]:
        """Explain the answers for a batch.

        Parameters
        ----------
        given : sequence of bytes [n]
            What `load` takes.

        Returns
        -------
        list of Explanation or None
            None where a row is no picture.
        """
        pictures, outputs, answers = self._see(tf.constant(list(given), tf.string))
        logits = outputs["logits"].numpy()
        explanations = []
        for place, row in enumerate(rows_of(answers)):
            task = self.tree.tasks.index(row["label"]) if row["label"] in self.tree.tasks else 0
            of_task = outputs["features"][task][place].numpy().astype("float32")
            sign = 1.0 if logits[place, task] > 0 else -1.0
            heat = _enlarged(
                np.maximum(sign * of_task @ self.weights[task], 0.0), pictures.shape[1]
            )
            picture = Image.fromarray(np.rint(pictures[place]).astype("uint8"))
            explanation = Explanation(row, self.tree.tasks[task], picture, heat)
            explanations.append(explanation if row["valid"] else None)
        return explanations


def _head_weights(model):
    kernel = model.get_layer("head").get_layer("head_logit").kernel
    return keras.ops.convert_to_numpy(kernel)[:, 0]


def _enlarged(heat, size):
    """A map of any size as [size, size], its highest place 1; all 0 where it is."""
    heat = np.asarray(Image.fromarray(heat).resize((size, size), Image.Resampling.BILINEAR))
    return heat / heat.max() if heat.max() > 0 else heat
