"""Residual networks of any number of stages, as functional Keras models of named parts.

A task of level L has a `stem`, `stage_1` ... `stage_<L + 1>` and a `head`, each a functional model
of its own inside the whole, so that a part can be taken out, shared or frozen by its name. Layers
are named in full (`stage_2_block_1_conv_1`), so that a weight's path says where it is.

Source: ModNet, which is ResNet-18 (He et al., 2016, arXiv:1512.03385) cut after L + 1 stages.
"""

import hashlib
import math

import keras
import tensorflow as tf
from keras import layers

from modnet_keras.models.layers import FusedBatchNormalization
from modnet_keras.tasks import Task

STEM_FILTERS = 64
BLOCKS_PER_STAGE = 2
BOTTLENECK_EXPANSION = 2


def build_model(
    task: Task | int,
    image_size: int = 64,
    *,
    block: str = "basic",
    seed: int = 0,
    precision: str = "float32",
) -> keras.Model:
    """Build the network of a task, with new weights.

    Parameters
    ----------
    task : Task or int
        The task, or its level: 1 gives two stages (64 and 128 filters), every level one more of
        twice the filters.
    image_size : int
        Height and width of the pictures, in pixels.
    block : {"basic", "bottleneck"}
        Two 3x3 convolutions, or 1x1, 3x3, 1x1 with half the filters within (ModNet's expansion 2).
    seed : int
        Fixes the initial weights: each layer draws from (seed, its name).
    precision : {"float32", "bfloat16"}
        bfloat16 is mixed: activations in bfloat16, weights and the logit in float32.

    Returns
    -------
    keras.Model
        From normalised pictures, float32 [batch, image_size, image_size, 3], to logits, float32
        [batch, 1]. Not compiled.

    Examples
    --------
    >>> model = build_model(1, image_size=32)
    >>> [part.name for part in model.layers]
    ['images', 'stem', 'stage_1', 'stage_2', 'head']
    >>> model.output_shape
    (None, 1)
    """
    level = task if isinstance(task, int) else task.level
    if level < 1:
        raise ValueError(f"the level of a task is 1 or more. Received: {level}")
    if block not in _BLOCKS:
        raise ValueError(f"block must be one of {sorted(_BLOCKS)}. Received: {block!r}")
    parts = _Parts(seed, _policy(precision), block)
    images = keras.Input((image_size, image_size, 3), name="images")
    outputs = parts.stem(images)
    for number in range(1, level + 2):
        outputs = parts.stage(outputs, number)
    logits = parts.head(outputs)
    name = f"level_{level}" if isinstance(task, int) else task.name
    return keras.Model(images, logits, name=name)


def level_of(model: keras.Model) -> int:
    """Level of the task that a model was built for: its number of stages less one."""
    return sum(part.name.startswith("stage_") for part in model.layers) - 1


def compute_flops(model: keras.Model) -> int:
    """Multiply-adds of one picture's forward pass through the convolutions and the head.

    Batch normalization, activations and pooling are left out.
    """
    return sum(
        math.prod(layer.output.shape[1:3]) * math.prod(layer.kernel.shape)
        for part in model.layers
        for layer in getattr(part, "layers", ())
        if isinstance(layer, (layers.Conv2D, layers.Dense))
    )


def _policy(precision):
    policies = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
    if precision not in policies:
        raise ValueError(f"precision must be one of {sorted(policies)}. Received: {precision!r}")
    return keras.DTypePolicy(policies[precision])


class _Parts:
    """Makes the parts of one network: all share a seed, a dtype policy and a kind of block."""

    def __init__(self, seed, policy, block):
        self.seed = seed
        self.policy = policy
        self.block = _BLOCKS[block]

    def stem(self, inputs):
        def layers_of(x):
            x = self.convolution(x, STEM_FILTERS, 7, "stem_conv", strides=2)
            x = self.normalization(x, "stem_norm")
            x = self.activation(x, "stem_relu")
            return layers.MaxPooling2D(3, 2, "same", name="stem_pool", dtype=self.policy)(x)

        return _as_part("stem", inputs, layers_of)

    def stage(self, inputs, number):
        name = f"stage_{number}"
        filters = STEM_FILTERS * 2 ** (number - 1)

        def layers_of(x):
            for index in range(1, BLOCKS_PER_STAGE + 1):
                strides = 2 if index == 1 and number > 1 else 1
                x = self.block(self, x, filters, strides, f"{name}_block_{index}")
            return x

        return _as_part(name, inputs, layers_of)

    def head(self, inputs):
        def layers_of(x):
            # Pooled and weighed in float32: a logit in bfloat16 has two decimals.
            x = layers.GlobalAveragePooling2D(name="head_pool", dtype="float32")(x)
            # U(-1/sqrt(n), 1/sqrt(n)), as torch's linear layer has it and so ModNet's.
            initial = keras.initializers.VarianceScaling(
                1 / 3, "fan_in", "uniform", seed=_layer_seed(self.seed, "head_logit")
            )
            return layers.Dense(1, name="head_logit", kernel_initializer=initial, dtype="float32")(
                x
            )

        return _as_part("head", inputs, layers_of)

    def convolution(self, inputs, filters, kernel_size, name, strides=1):
        # ModNet's: He normal by fan-out, not truncated.
        initial = keras.initializers.VarianceScaling(
            2.0, "fan_out", "untruncated_normal", seed=_layer_seed(self.seed, name)
        )
        return layers.Conv2D(
            filters,
            kernel_size,
            strides,
            "same",
            use_bias=False,
            kernel_initializer=initial,
            name=name,
            dtype=self.policy,
        )(inputs)

    def normalization(self, inputs, name):
        settings = {"momentum": 0.9, "epsilon": 1e-5, "name": name, "dtype": self.policy}
        if tf.distribute.get_strategy().num_replicas_in_sync > 1:
            return layers.BatchNormalization(synchronized=True, **settings)(inputs)
        return FusedBatchNormalization(**settings)(inputs)

    def activation(self, inputs, name):
        return layers.ReLU(name=name, dtype=self.policy)(inputs)

    def basic_block(self, inputs, filters, strides, name):
        x = self.convolution(inputs, filters, 3, f"{name}_conv_1", strides)
        x = self.normalization(x, f"{name}_norm_1")
        x = self.activation(x, f"{name}_relu_1")
        x = self.convolution(x, filters, 3, f"{name}_conv_2")
        x = self.normalization(x, f"{name}_norm_2")
        return self.joined(inputs, x, strides, name)

    def bottleneck_block(self, inputs, filters, strides, name):
        width = filters // BOTTLENECK_EXPANSION
        x = inputs
        for index, (size, step) in enumerate(((1, 1), (3, strides)), start=1):
            x = self.convolution(x, width, size, f"{name}_conv_{index}", step)
            x = self.normalization(x, f"{name}_norm_{index}")
            x = self.activation(x, f"{name}_relu_{index}")
        x = self.convolution(x, filters, 1, f"{name}_conv_3")
        x = self.normalization(x, f"{name}_norm_3")
        return self.joined(inputs, x, strides, name)

    def joined(self, shortcut, x, strides, name):
        if strides != 1 or shortcut.shape[-1] != x.shape[-1]:
            shortcut = self.convolution(shortcut, x.shape[-1], 1, f"{name}_shortcut_conv", strides)
            shortcut = self.normalization(shortcut, f"{name}_shortcut_norm")
        x = layers.Add(name=f"{name}_add", dtype=self.policy)([shortcut, x])
        return self.activation(x, f"{name}_relu")


_BLOCKS = {"basic": _Parts.basic_block, "bottleneck": _Parts.bottleneck_block}


def _as_part(name, inputs, layers_of):
    """Call `layers_of` inside a functional model called `name`, and that model on `inputs`."""
    entry = keras.Input(inputs.shape[1:], name=f"{name}_input", dtype=inputs.dtype)
    return keras.Model(entry, layers_of(entry), name=name)(inputs)


def _layer_seed(seed, name):
    # hashlib, not hash(): Python salts the latter anew in every process.
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:4], "big") >> 1
