"""What learns: residual networks that grow by one stage a level.

Importing this package registers its layers with Keras, which `keras.models.load_model` needs.
"""

from modnet_keras.models.inference import copy_for_inference
from modnet_keras.models.layers import FusedBatchNormalization
from modnet_keras.models.modnet import grow, tap
from modnet_keras.models.resnet import build_model, compute_flops, level_of
from modnet_keras.models.weights import KINDS, copy_part, hash_parts, weights_of

__all__ = [
    "FusedBatchNormalization",
    "KINDS",
    "build_model",
    "compute_flops",
    "copy_for_inference",
    "copy_part",
    "grow",
    "hash_parts",
    "level_of",
    "tap",
    "weights_of",
]
