"""Learn a semantic hierarchy one task at a time: networks that grow out of their parents.

The same as the commands, from Python. TensorFlow is loaded only when one of these is used.
"""

from modnet_keras.convolutions import choose_onednn
from modnet_keras.lazy import lazy_names

choose_onednn()

_MODULES = {
    "build_dataset": "modnet_keras.data.input_pipeline",
    "build_manifest": "modnet_keras.data.manifest",
    "build_model": "modnet_keras.models",
    "compile_model": "modnet_keras.training",
    "estimate": "modnet_keras.api",
    "evaluate": "modnet_keras.training",
    "export": "modnet_keras.serving.export",
    "grow": "modnet_keras.models",
    "load_run": "modnet_keras.training",
    "load_task": "modnet_keras.tasks",
    "load_tree": "modnet_keras.serving.tree",
    "measure_forgetting": "modnet_keras.api",
    "predict": "modnet_keras.serving.predictor",
    "steps_per_epoch": "modnet_keras.data.input_pipeline",
    "tap": "modnet_keras.models",
    "train": "modnet_keras.api",
}

__all__ = sorted(_MODULES)
__getattr__ = lazy_names(_MODULES)


def __dir__():
    return __all__
