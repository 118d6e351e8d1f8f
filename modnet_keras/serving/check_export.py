"""A program that loads an exported model as its users will, and answers some pictures with it.

    python check_export.py FORMAT VERSION_FOLDER PROBES.npz ANSWERS.npz

It imports nothing of modnet_keras, for an exported model must do without.
"""

import gc
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np


def main(kind: str, folder: str, probes: str, answers: str) -> None:
    """Answer the pictures in one file and write `probability` [n, tasks] to the other."""
    # As `modnet_keras.loading` has it: nothing is garbage before the process ends.
    gc.disable()
    with np.load(probes) as arrays:
        found: dict[str, Any] = ANSWERERS[kind](Path(folder), dict(arrays))
    np.savez(answers, **found)
    gc.freeze()


def answer_by_saved_model(folder: Path, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Answers of both signatures; every warm-up request is run as well."""
    import tensorflow as tf

    signatures = tf.saved_model.load(str(folder)).signatures
    contents = np.split(arrays["contents"], np.cumsum(arrays["lengths"])[:-1])
    image_bytes = tf.constant([part.tobytes() for part in contents])
    of_bytes = signatures["serving_default"](image_bytes=image_bytes)
    of_images = signatures["serving_images"](images=tf.constant(arrays["pictures"]))
    for name, inputs in read_warmup(folder):
        signatures[name](**inputs)
    return {
        "probability": of_bytes["probability"].numpy(),
        "valid": of_bytes["valid"].numpy(),
        "probability_of_images": of_images["probability"].numpy(),
    }


def read_warmup(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the signature and the inputs, a dict of tensors, of every warm-up request."""
    import tensorflow as tf
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    file = folder / "assets.extra" / "tf_serving_warmup_requests"
    for record in tf.data.TFRecordDataset(str(file)):
        request = PredictionLog.FromString(record.numpy()).predict_log.request
        inputs = {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
        yield request.model_spec.signature_name, {k: tf.constant(v) for k, v in inputs.items()}


def answer_by_onnx(folder: Path, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Answers of ONNX Runtime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(
        str(folder / "model.onnx"), providers=["CPUExecutionProvider"]
    )
    (probability,) = session.run(["probability"], {"images": arrays["pictures"]})
    return {"probability": probability}


def answer_by_litert(folder: Path, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Answers of the LiteRT interpreter."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(str(folder / "model.tflite")).get_signature_runner("serving_default")
    return {"probability": runner(images=arrays["pictures"])["probability"]}


ANSWERERS = {
    "saved_model": answer_by_saved_model,
    "onnx": answer_by_onnx,
    "litert": answer_by_litert,
}

if __name__ == "__main__":
    main(*sys.argv[1:])
