"""Functions of each number by itself, to the same bits whatever stands beside it."""

from collections.abc import Callable

import tensorflow as tf

LANES = 16
"""Float32 numbers in the largest vector of a processor, AVX512's."""


def in_whole_vectors(function: Callable[[tf.Tensor], tf.Tensor], numbers: tf.Tensor) -> tf.Tensor:
    """Apply `tf.exp`, `tf.sigmoid` or another function of each number by itself.

    TensorFlow computes as many numbers at once as the processor's vectors hold, and those left over
    at the end one by one, by other code that can give another last bit. Filled up, none is left
    over.

    Parameters
    ----------
    function : callable
        From a tensor to one of the same shape.
    numbers : float32 [..., m]
        m known when the graph is built.

    Returns
    -------
    float32 [..., m]
    """
    count = numbers.shape[-1]
    padding = [[0, 0]] * (numbers.shape.rank - 1) + [[0, -count % LANES]]
    return function(tf.pad(numbers, padding))[..., :count]
