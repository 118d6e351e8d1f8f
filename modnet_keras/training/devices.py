"""Which devices of this machine a training runs on, each with a part of every batch."""

import functools

import tensorflow as tf

from modnet_keras.errors import WorkError


def count_devices(devices):
    """How many devices "one" or "all" stands for: the GPUs, or where there is none the CPUs."""
    return 1 if devices == "one" else len(_all_devices())


@functools.cache
def distribution(count):
    """The `tf.distribute` strategy of a training on so many devices, one for all trainings.

    Each new one would number its sums from the start, under numbers that TensorFlow's runtime has
    noted with the shapes of the last training's.

    Variables are mirrored, gradients summed, and batch norm is synchronised: the steps are those of
    one device with the same batch, to rounding. `MultiWorkerMirroredStrategy`, for several
    machines, does not work with Keras 3's `fit` (https://github.com/keras-team/keras/issues/20585).

    Raises
    ------
    WorkError
        If this machine has fewer.
    """
    if count == 1:
        return tf.distribute.get_strategy()
    found = _all_devices()
    if len(found) < count:
        raise WorkError(
            f"the training takes {count} devices, and this machine has {len(found)}; go on where "
            "there are as many, or train anew with --overwrite."
        )
    return tf.distribute.MirroredStrategy(found[:count])


def _all_devices():
    found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return [device.name for device in found]
