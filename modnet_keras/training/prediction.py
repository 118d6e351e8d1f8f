"""A network in inference mode: one graph, whatever asks it."""

from collections.abc import Callable, Iterable

import keras
import numpy as np
import tensorflow as tf


def inference_graph(model: keras.Model) -> tf.types.experimental.PolymorphicFunction:
    """A network, or a part of one, as one `tf.function` of batches of any size.

    A whole network's takes pictures, float32 [b, size, size, 3], and gives logits [b, 1].

    It reads the weights as they are when it is called. On one device, whatever a training runs on:
    another would have no rows of a last batch. Keras's `predict` gives the same bits on one device,
    but traces every model that shares these weights for itself.
    """
    (batch,) = model.inputs
    signature = [tf.TensorSpec(batch.shape, batch.dtype)]
    return tf.function(lambda batch: model(batch, training=False), signature, autograph=False)


def predict_batches(
    graph: Callable[[tf.Tensor], tf.Tensor], batches: Iterable[tf.Tensor]
) -> np.ndarray:
    """Logits [n] of batches of pictures [b, size, size, 3] by the graph of a whole network."""
    return np.concatenate([graph(pictures).numpy() for pictures in batches])[:, 0]
