"""Whose convolutions TensorFlow takes: its own or oneDNN's."""

import os
import platform
import sys
import warnings

SETTING = "TF_ENABLE_ONEDNN_OPTS"


def choose_onednn() -> None:
    """Have TensorFlow take oneDNN's convolutions on x86, unless the environment says otherwise.

    Left alone it takes them only on processors with AVX512-VNNI or better; on others a training
    step takes 1.6 times as long. It reads the setting once, when it is loaded.
    """
    if SETTING in os.environ or platform.machine() not in ("x86_64", "AMD64"):
        return
    if "tensorflow" not in sys.modules:
        os.environ[SETTING] = "1"
    elif not computes_with_onednn():
        warnings.warn(
            "TensorFlow was loaded before modnet_keras and does without oneDNN on this processor: "
            "training takes longer, and its last bits differ from the commands'. Import "
            f"modnet_keras first, or set {SETTING} to 1 (or to 0, to keep it so).",
            stacklevel=3,
        )


def computes_with_onednn() -> bool:
    """Whether TensorFlow's convolutions are oneDNN's, which sum in another order than its own."""
    # No public name says it.
    from tensorflow.python.util import _pywrap_util_port

    return bool(_pywrap_util_port.IsMklEnabled())
