"""From many pictures to one batch, where some are none: one broken row never hurts the others."""

from collections.abc import Sequence

import tensorflow as tf

from modnet_keras.data.decode import decode_centre
from modnet_keras.data.decode_guard import is_usable

WORKERS = 2
"""Pictures decoded at a time."""


@tf.autograph.experimental.do_not_convert
def decode_rows(contents: tf.Tensor | Sequence[bytes], size: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Decode the centre of every picture of a batch, in TensorFlow operations.

    Each row is an element of a dataset inside the graph, in which an error takes out that element
    alone; the others are then put where they belong. (A dataset a row, with a fallback behind it,
    costs more than three times as much.)

    Parameters
    ----------
    contents : string [n]
        The bytes of image files, or anything else; n may be 0.
    size : int
        Height and width of the results.

    Returns
    -------
    pictures : float32 [max(n, 1), size, size, 3]
        RGB, 0 to 255; zeros for what is no picture, and one row of zeros where there is no row,
        for a convolution needs one.
    valid : bool [n]
        Whether a row is a picture, by `is_usable` and because it could be decoded.
    """
    contents = tf.convert_to_tensor(contents, tf.string)
    return _load_rows(tf.size(contents), lambda row: contents[row], size)


@tf.autograph.experimental.do_not_convert
def read_rows(paths: tf.Tensor | Sequence[bytes], size: int) -> tuple[tf.Tensor, tf.Tensor]:
    """`decode_rows` of files, string [n]; what cannot be read is no picture."""
    paths = tf.convert_to_tensor(paths, tf.string)
    return _load_rows(tf.size(paths), lambda row: tf.io.read_file(paths[row]), size)


def _load_rows(count, load, size):
    def decode(number):
        row = tf.cast(number, tf.int32)
        contents = load(row)
        usable = tf.debugging.Assert(is_usable(contents), ["no picture"])
        with tf.control_dependencies([usable]):
            return row, decode_centre(tf.identity(contents), size)

    rows = tf.data.Dataset.range(tf.cast(count, tf.int64))
    decoded = rows.map(decode, num_parallel_calls=WORKERS).ignore_errors()
    # A row past the end, dropped below: a dataset without elements could not be batched.
    past_the_end = tf.data.Dataset.from_tensors((count, tf.zeros([size, size, 3])))
    batch = decoded.concatenate(past_the_end).batch(tf.cast(count, tf.int64) + 1)
    options = tf.data.Options()
    # A dataset that lives for one batch has nothing to tune.
    options.autotune.enabled = False
    places, pictures = batch.with_options(options).get_single_element()
    pictures = tf.scatter_nd(places[:, None], pictures, tf.stack([count + 1, size, size, 3]))
    valid = tf.scatter_nd(places[:, None], tf.ones_like(places, tf.bool), count[None] + 1)
    return pictures[: tf.maximum(count, 1)], valid[:count]
