"""Where a picture is cut: windows as int32 (top, left, height, width), in TensorFlow operations."""

import math

import tensorflow as tf

ATTEMPTS = 10
"""Candidates drawn before the fallback is taken, as in torchvision."""


@tf.autograph.experimental.do_not_convert
def random_resized_window(height, width, seed, area=(0.08, 1.0), aspect=(3 / 4, 4 / 3)):
    """A random window by the definition of torchvision's `RandomResizedCrop`.

    The target area is uniform in `area` times the picture's, the aspect ratio (width by height)
    log-uniform in `aspect`, the position uniform. The first of ten candidates that fits is taken;
    where none does, the centre of the picture with its aspect ratio clamped to `aspect`.

    Parameters
    ----------
    height, width : int32 scalars
        The picture's, in pixels.
    seed : int [2]
        The same seed gives the same window.
    area, aspect : (float, float)
        Least and greatest.

    Returns
    -------
    int32 [4] : top, left, height, width; inside the picture, height and width at least 1.
    """
    shape = tf.stack([height, width])
    edges = tf.cast(shape, tf.float32)[:, None]
    # One small operation costs about what one such vector does: everything is drawn at once, by the
    # operation below `tf.random.stateless_uniform`, and every candidate is worked out.
    drawn = tf.raw_ops.StatelessRandomUniform(shape=[2, ATTEMPTS + 1], seed=seed)
    least = [[area[0]], [0.5 * math.log(aspect[0])]]
    span = [[area[1] - area[0]], [0.5 * math.log(aspect[1] / aspect[0])]]
    areas, half_logs = tf.unstack(drawn[:, :ATTEMPTS] * span + least)
    scale = tf.sqrt(areas * tf.reduce_prod(edges))
    candidates = tf.round(tf.exp(half_logs * [[-1.0], [1.0]]) * scale)
    clamped = tf.round(edges[::-1] * [[1 / aspect[0]], [aspect[1]]])
    candidates = tf.concat([candidates, tf.clip_by_value(clamped, 1.0, edges)], axis=1)
    fits = tf.reduce_all((candidates > 0) & (candidates <= edges), axis=0)
    chosen = tf.argmax(tf.cast(fits, tf.uint8), output_type=tf.int32)
    window = tf.cast(tf.gather(candidates, chosen, axis=1), tf.int32)
    room = shape - window
    anywhere = tf.cast(drawn[:, ATTEMPTS] * tf.cast(room + 1, tf.float32), tf.int32)
    corner = tf.where(chosen < ATTEMPTS, tf.minimum(anywhere, room), room // 2)
    return tf.concat([corner, window], axis=0)


@tf.autograph.experimental.do_not_convert
def centre_window(height, width):
    """The centre square whose edge is 7/8 of the picture's shorter side, int32 [4].

    As resizing to 256 and cutting 224 out of the middle does. Random crops show things larger than
    the whole picture does; a network that was trained on them and sees whole pictures takes them
    for something smaller (Touvron et al., 2019, arXiv:1906.06423). On Tiny ImageNet `animals` went
    from 0.866 with whole pictures to 0.903.
    """
    edge = (7 * tf.minimum(height, width) + 4) // 8
    return tf.stack([(height - edge) // 2, (width - edge) // 2, edge, edge])
