"""A model as it is shipped: from the bytes of pictures to answers, in one TensorFlow graph."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from modnet_keras.data.decode_rows import decode_rows
from modnet_keras.serving.answers import answer, rows_of
from modnet_keras.serving.explain import Explainer, Explanation
from modnet_keras.serving.network import build_network
from modnet_keras.serving.probes import probe_pictures
from modnet_keras.serving.tree import Tree
from modnet_keras.training.devices import configure_devices

FOLDING_TOLERANCE = 1e-5
"""Batch norm stays folded where no probability of a probe changes by more."""


class Servable:
    """The networks of a tree between the two signatures that are shipped.

    Everything is computed in float32, whatever the runs were trained in, with batch norm folded
    into the convolutions where that changes no probability of some pictures by more than 1e-5.

    Parameters
    ----------
    tree : Tree

    Attributes
    ----------
    network, exact : keras.Model
        From pictures in 0..255 to logits: as it is shipped, and as it was trained, unfolded.
    is_folded : bool
    probes : list of bytes
        Image files that the two were compared on.
    pictures : float32 [32, size, size, 3]
        The same, in 0..255.
    """

    def __init__(self, tree: Tree) -> None:
        configure_devices()
        self.tree = tree
        self.probes, self.pictures = probe_pictures(tree)
        self.exact = build_network(tree, precision="float32")
        folded = build_network(tree, precision="float32", fold=True)
        of_folded, of_exact = folded(self.pictures), self.exact(self.pictures)
        differences = tf.sigmoid(of_folded) - tf.sigmoid(of_exact)
        self.is_folded = bool(tf.reduce_max(tf.abs(differences)) <= FOLDING_TOLERANCE)
        self.network = folded if self.is_folded else self.exact
        self.signature = tf.function(self.of_bytes, self.bytes_signature, autograph=False)
        self.explainer: Explainer | None = None

    @property
    def name(self) -> str:
        """The task's, or that of the tree's root."""
        return self.tree.name

    @property
    def tasks(self) -> tuple[str, ...]:
        """The names of the tasks, the root's first; a tuple."""
        return self.tree.tasks

    @property
    def parents(self) -> tuple[str | None, ...]:
        """For each task its parent's name, None for the root; a tuple."""
        return self.tree.parents

    @property
    def bytes_signature(self) -> list[tf.TensorSpec]:
        """What `of_bytes` takes."""
        return [tf.TensorSpec([None], tf.string, name="image_bytes")]

    @property
    def images_signature(self) -> list[tf.TensorSpec]:
        """What `of_images` takes."""
        size = self.tree.image_size
        return [tf.TensorSpec([None, size, size, 3], tf.float32, name="images")]

    def of_bytes(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        """Answers (`answer`) for the bytes of image files, string [n]; n may be 0."""
        pictures, valid = decode_rows(image_bytes, self.tree.image_size)
        logits = self.network(pictures, training=False)
        return answer(self.tree, logits[: tf.size(valid)], valid)

    def of_images(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Answers for pictures, float32 [n, size, size, 3] in 0..255; n may be 0.

        A picture that holds what is no finite number is not valid.
        """
        valid = tf.reduce_all(tf.math.is_finite(images), axis=[1, 2, 3])
        images = tf.where(valid[:, None, None, None], images, 0.0)
        # A convolution needs a row.
        missing = 1 - tf.minimum(tf.size(valid), 1)
        padded = tf.pad(images, [[0, missing], [0, 0], [0, 0], [0, 0]])
        logits = self.network(padded, training=False)
        return answer(self.tree, logits[: tf.size(valid)], valid)

    def probability_network(self) -> keras.Model:
        """A Keras model from `images`, as `of_images` takes them, to a dict of `probability`.

        Of shape [n] for a single run, else [n, tasks]. It needs at least one picture.
        """
        probability = keras.ops.sigmoid(self.network.output)
        if self.tree.is_single:
            probability = keras.ops.squeeze(probability, axis=1)
        network = keras.Model(self.network.input, {"probability": probability}, name=self.name)
        # Keras exports only what was called once.
        network(tf.zeros([1, *self.network.input_shape[1:]]))
        return network

    def warm_up(self) -> None:
        """Trace and build now what the first calls of `predict` and `explain` would."""
        self.predict(self.probes[:1])
        self.explain(self.probes[0])

    def predict(self, contents: Sequence[bytes]) -> list[dict[str, Any]]:
        """Answers for the bytes of image files, a list of dicts of Python's own values."""
        answers = self.signature(tf.constant(list(contents), tf.string, [len(contents)]))
        return rows_of(answers)

    def explain(self, contents: bytes) -> Explanation | None:
        """The answer for one image file's bytes with a heat map; None where it is no picture."""
        if self.explainer is None:
            self.explainer = Explainer(self.tree, decode_rows, precision="float32")
        return self.explainer.explain([contents])[0]
