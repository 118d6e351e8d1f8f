"""What brings a forgotten parent back without training the child anew."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from modnet_keras.models import copy_part, weights_of


def restore_statistics(parent: keras.Model, tapped: keras.Model) -> tuple[keras.Model, ...]:
    """The tapped child with its parent's own batch-norm statistics: a tuple of parts."""
    restored = []
    for part in tapped.layers[1:]:
        own = parent.get_layer(part.name)
        copy = copy_part(part)
        for variable, value in zip(
            weights_of(copy, "statistics"), weights_of(own, "statistics"), strict=True
        ):
            variable.assign(value)
        restored.append(copy)
    return tuple(restored)


def estimate_statistics(
    networks: Sequence[Sequence[keras.Model]],
    dataset: tf.data.Dataset,
    on_batch: Callable[[int], object] | None = None,
) -> list[tuple[keras.Model, ...]]:
    """Estimate networks' batch-norm statistics anew, as the mean over the batches of a dataset.

    Each layer normalises by the batch while the statistics are gathered (Wu and Johnson, 2021,
    arXiv:2105.07576, call it the population statistics; PyTorch's `update_bn` does the same).

    Parameters
    ----------
    networks : list of tuple of keras.Model
        Their own weights stay as they are.
    dataset : tf.data.Dataset
        Of (pictures, labels), classes mixed within a batch.
    on_batch : callable, optional
        Called with the number of pictures of each batch that is done.

    Returns
    -------
    list of tuple of keras.Model
    """
    copies = [tuple(copy_part(part) for part in parts) for parts in networks]
    layers = [layer for parts in copies for part in parts for layer in _normalizations(part)]
    for layer in layers:
        layer.trainable = True
    momenta = [layer.momentum for layer in layers]
    for step, (pictures, _) in enumerate(dataset):
        for layer in layers:
            # The moving mean of this momentum is the mean of all batches so far.
            layer.momentum = step / (step + 1)
        for parts in copies:
            values = pictures
            for part in parts[:-1]:
                values = part(values, training=True)
        if on_batch:
            on_batch(len(pictures))
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    return copies


def _normalizations(part):
    return [layer for layer in part.layers if isinstance(layer, keras.layers.BatchNormalization)]


def fit_head(features: np.ndarray, labels: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Fit a new head, logistic regression, on the pooled outputs of a tap.

    Parameters
    ----------
    features : array [n, filters]
        Of the parent's training images.
    labels : array of int [n]

    Returns
    -------
    callable
        From features [m, filters] to logits [m].
    """
    head = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return head.fit(features, labels).decision_function
