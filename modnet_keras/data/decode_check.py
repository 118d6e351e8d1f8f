"""The long look at image files: decode them all."""

import os
from collections.abc import Callable, Sequence

import tensorflow as tf

from modnet_keras.data.decode import decode_window, image_shape

WORKERS = 2
SIZE = 32
"""Pixels a side of what is made of each: little, though the whole file is decoded for it."""
FILES_A_BATCH = 100


def find_undecodable(
    paths: Sequence[str], progress: Callable[[int], object] | None = None
) -> list[str]:
    """Decode whole picture files and name those of which that fails.

    Parameters
    ----------
    paths : sequence of str [n]
        They have passed `check_image`, which protects from what should not be decoded at all.
    progress : callable, optional
        Called now and then with the number of files that were decoded.

    Returns
    -------
    list of str
        In the order of `paths`: also what cannot be read any more.
    """
    files = tf.constant([os.fsencode(path) for path in paths], tf.string)

    def decode(place):
        contents = tf.io.read_file(files[place])
        height, width = image_shape(contents)
        picture = decode_window(contents, tf.stack([0, 0, height, width]), SIZE)
        # What nobody asks for is not decoded: TensorFlow takes it out of the graph.
        return place, picture[0, 0, 0]

    decoded = tf.data.Dataset.range(len(paths)).map(decode, num_parallel_calls=WORKERS)
    options = tf.data.Options()
    # Nothing is left to tune, and the tuner's thread would hold up the end.
    options.autotune.enabled = False
    left = dict(enumerate(paths))
    for places, _ in decoded.ignore_errors().batch(FILES_A_BATCH).with_options(options):
        for place in places.numpy().tolist():
            del left[place]
        if progress:
            progress(int(places[-1]) + 1)
    return list(left.values())
