"""Layers that Keras does not have."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="modnet_keras")
class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Keras's batch normalization, computed by TensorFlow's fused kernel.

    Same weights and, within 1e-5 in float32, same results as `keras.layers.BatchNormalization` on
    the channels of `[batch, height, width, channels]`, with scale and shift. Keras 3 composes it
    of elementwise operations on TensorFlow, which is slower. Under bfloat16 the activations stay in
    bfloat16 and the statistics are float32.

    As in Keras, `trainable = False` runs the layer in inference mode and fixes its statistics.

    Examples
    --------
    >>> import numpy as np
    >>> layer = FusedBatchNormalization(momentum=0.9, epsilon=1e-5)
    >>> layer(np.ones((2, 4, 4, 3), "float32"), training=True).shape
    TensorShape([2, 4, 4, 3])
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Refuse what the fused kernel cannot do, then make the weights."""
        plain = self.scale and self.center and not (self.renorm or self.synchronized)
        if not plain or self.axis not in (-1, 3):
            raise ValueError(
                "the fused layer normalizes the last axis, with scale and center, without renorm "
                "and synchronized; use keras.layers.BatchNormalization for the rest. "
                f"Received: {self.get_config()}"
            )
        super().build(input_shape)

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Normalize [batch, height, width, channels] by the batch, or by the moving statistics."""
        by_batch = bool(training and self.trainable)
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=tf.convert_to_tensor(self.gamma),
            offset=tf.convert_to_tensor(self.beta),
            mean=[] if by_batch else tf.convert_to_tensor(self.moving_mean),
            variance=[] if by_batch else tf.convert_to_tensor(self.moving_variance),
            epsilon=self.epsilon,
            is_training=by_batch,
        )
        if by_batch:
            self._update_statistics(mean, variance, rows=tf.size(inputs) // inputs.shape[-1])
        return outputs

    def _update_statistics(self, mean, unbiased_variance, rows):
        # The kernel divides by n - 1 where Keras divides by n.
        n = tf.cast(rows, "float32")
        variance = unbiased_variance * ((n - 1.0) / n)
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + batch * (1.0 - self.momentum))
