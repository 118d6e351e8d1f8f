"""This machine's GPUs and processors: how they are used, what they compute, how many train."""

import contextlib
import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modnet_keras.errors import WorkError

if TYPE_CHECKING:
    import tensorflow as tf

INTRA_OP_THREADS = 2


def configure_devices() -> int:
    """Have the same call give the same bits; give the number of threads that share an operation.

    Another number of threads sums in another order and so gives other bits. Once TensorFlow has
    started, in a notebook for instance, it stays as it is: 0 there means all cores.

    A GPU's sums are in any order unless TensorFlow is told otherwise, which holds for all that the
    process does from then on; and a process would take all of its memory, where several may share
    it.
    """
    import tensorflow as tf

    with contextlib.suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(INTRA_OP_THREADS)
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        tf.config.experimental.enable_op_determinism()
    for gpu in gpus:
        with contextlib.suppress(RuntimeError, ValueError):
            tf.config.experimental.set_memory_growth(gpu, True)
    return tf.config.threading.get_intra_op_parallelism_threads() or os.cpu_count() or 1


def computes_bfloat16() -> bool:
    """Whether the GPU, or else the processor, computes bfloat16 natively."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
        return details.get("compute_capability", (0, 0)) >= (8, 0)
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(flags)


def is_device_count(value: Any) -> bool:
    """Whether a value is a number of devices."""
    return type(value) is int and value >= 1


def count_devices(devices: str) -> int:
    """How many devices "one" or "all" stands for: the GPUs, or where there is none the CPUs.

    Of those TensorFlow shows one, whatever its cores, unless it was told otherwise.
    """
    return 1 if devices == "one" else len(_all_devices())


def distribution(count: int) -> "tf.distribute.Strategy":
    """The `tf.distribute` strategy of a training on so many devices.

    Variables are mirrored, gradients summed, and batch norm is synchronised: the steps are those of
    one device with the same batch, to rounding. `MultiWorkerMirroredStrategy`, for several
    machines, does not work with Keras 3's `fit` (https://github.com/keras-team/keras/issues/20585).

    Raises
    ------
    WorkError
        If this machine has fewer.
    """
    import tensorflow as tf

    if count == 1:
        return tf.distribute.get_strategy()
    found = _all_devices()
    if len(found) < count:
        raise WorkError(
            f"the training takes {count} devices, and this machine has {len(found)}; go on where "
            "there are as many, or train anew with --overwrite."
        )
    return _mirrored(tuple(found[:count]))


@functools.cache
def _mirrored(devices):
    """One for all trainings of a process.

    Each new one would number its sums from the start, under numbers that TensorFlow's runtime has
    noted with the shapes of the last training's.
    """
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(devices)


def _all_devices():
    import tensorflow as tf

    found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return [device.name for device in found]
