"""How it learns: strategies, recipes, runs and the trainer.

TensorFlow is loaded when a name of this package is first used, not before: strategies, recipes
and plans are read for help texts too.
"""

from modnet_keras.lazy import lazy_names

__getattr__ = lazy_names(
    {
        "Run": "modnet_keras.training.run",
        "compile_model": "modnet_keras.training.optimizers",
        "compute_metrics": "modnet_keras.training.metrics",
        "evaluate": "modnet_keras.training.trainer",
        "load_run": "modnet_keras.training.run",
        "train": "modnet_keras.training.trainer",
    }
)
