"""The formats that a model is exported in, and how each is written."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modnet_keras.errors import CallError, unknown_name
from modnet_keras.quiet import stderr_dropped

if TYPE_CHECKING:
    from modnet_keras.serving.servable import Servable

WARM_UP_ROWS = (1, 8)


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes
    ----------
    summary : str
        What it is for, in a line.
    file : str
        A file that every model of this format has in its version's folder.
    write : callable
        Takes a `Servable` and the version's folder, which is there and empty.
    needs : tuple of str
        Modules that writing and checking take and that are no dependencies of the package.
    """

    summary: str
    file: str
    write: Callable[["Servable", Path], None]
    needs: tuple[str, ...] = ()


def get_format(name: str) -> Format:
    """A format by its name, once what it needs is known to be installed.

    >>> get_format("onxn")
    Traceback (most recent call last):
    ...
    modnet_keras.errors.CallError: format 'onxn' is not known (did you mean 'onnx'?); known are \
litert, onnx, saved_model.
    """
    if name not in FORMATS:
        raise unknown_name("format", name, FORMATS)
    missing = [module for module in FORMATS[name].needs if importlib.util.find_spec(module) is None]
    if missing:
        raise CallError(
            f"--format={name} needs {' and '.join(missing)}; install what is missing with "
            f"pip install 'modnet-keras[{name}]'."
        )
    return FORMATS[name]


def _write_saved_model(servable, folder):
    import keras

    # The network is not tracked: what endpoints use is saved anyway, and else would be twice.
    archive = keras.export.ExportArchive()
    archive.add_endpoint("serving_default", servable.of_bytes, servable.bytes_signature)
    archive.add_endpoint("serving_images", servable.of_images, servable.images_signature)
    archive.write_out(str(folder), verbose=False)
    _write_warm_up(servable, folder / "assets.extra" / "tf_serving_warmup_requests")


def _write_warm_up(servable, file):
    """Requests that TensorFlow Serving answers before it lets the model be asked.

    Source: https://www.tensorflow.org/tfx/serving/saved_model_warmup.
    """
    import tensorflow as tf
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    file.parent.mkdir(exist_ok=True)
    size = servable.tree.image_size
    with tf.io.TFRecordWriter(str(file)) as records:
        for rows in WARM_UP_ROWS:
            for signature, name, values in (
                ("serving_default", "image_bytes", servable.probes[:rows]),
                ("serving_images", "images", tf.zeros([rows, size, size, 3])),
            ):
                log = PredictionLog()
                request = log.predict_log.request
                request.model_spec.name = servable.name
                request.model_spec.signature_name = signature
                request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
                records.write(log.SerializeToString())


def _write_onnx(servable, folder):
    with stderr_dropped():
        servable.probability_network().export(
            str(folder / "model.onnx"), format="onnx", verbose=False
        )


def _write_litert(servable, folder):
    with stderr_dropped():
        servable.probability_network().export(
            str(folder / "model.tflite"), format="litert", verbose=False
        )


FORMATS = {
    "saved_model": Format(
        "for TensorFlow Serving; takes the bytes of image files",
        "saved_model.pb",
        _write_saved_model,
    ),
    "onnx": Format(
        "for ONNX Runtime; takes float32 pictures",
        "model.onnx",
        _write_onnx,
        ("tf2onnx", "onnxruntime"),
    ),
    "litert": Format(
        "for phones and other small devices; takes float32 pictures",
        "model.tflite",
        _write_litert,
        ("ai_edge_litert",),
    ),
}
