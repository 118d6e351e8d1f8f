"""From the bytes of a picture to its pixels, in TensorFlow operations.

One way for training, evaluation, prediction and serving: plain operations that work in
`tf.data.Dataset.map`, in a `tf.function` and in a SavedModel's signature, and that give the same
bits in each. JPEG (grayscale and CMYK too, turned as its EXIF orientation says), PNG, BMP, the
first frame of a GIF and still WebP are decoded; an alpha channel is dropped, whatever the format.
"""

import functools

import tensorflow as tf

from modnet_keras.data.crops import centre_window

DCT_METHOD = "INTEGER_ACCURATE"
RATIOS = (1, 2, 4, 8)
"""By how much libjpeg can scale a picture down while it decodes it."""

OTHER_WAY = len(RATIOS)
"""Beside those of RATIOS for upright JPEGs, the way that all other pictures are decoded."""

NO_JPEG = 0
"""Stands for an orientation where there is none to be told."""

PLAIN_JPEG = r"\C{4}(\x00\x10JFIF\x00\C{11})?\x00[\x43\x84]\x00\C*"
"""A JPEG whose quantisation table (67 or 132 bytes) comes first, or straight after the JFIF
segment: it has no EXIF segment. RE2 has no way to write a byte above 0x7f, hence no markers."""

PNG = r"\CPNG\r\n\x1a\n\C*"

STILL_WEBP_WITH_ALPHA = (
    r"RIFF\C{4}WEBP"
    r"(VP8X\C{4}[\x10\x14\x18\x1c\x30\x34\x38\x3c]|VP8L\C{4}/\C{3}[\x10-\x1f])\C*"
)
"""By the alpha and animation flags of the extended header, or the alpha flag of a lossless one."""

MIRRORED = [[orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)] for orientation in range(9)]
"""By EXIF orientation: whether top and bottom, left and right are swapped when a stored picture is
turned upright, after rows and columns were swapped for the orientations above 4."""


# A branch that is not taken costs a little for each operation in it, unless it is one call. What is
# rare or has many operations is therefore kept a call: it saves a third of the time on small JPEGs,
# and what never occurs is never compiled.
kept_apart = functools.partial(
    tf.function, autograph=False, experimental_attributes={"_noinline": True}
)


@tf.autograph.experimental.do_not_convert
def image_shape(contents: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Height and width of the upright picture, two int32 scalars.

    Parameters
    ----------
    contents : string scalar
        The bytes of an image file.
    """
    contents = tf.convert_to_tensor(contents, tf.string)
    shape = upright_shape(contents, exif_orientation(contents))
    return shape[0], shape[1]


@tf.autograph.experimental.do_not_convert
def decode_window(contents: tf.Tensor, window: tf.Tensor, size: int) -> tf.Tensor:
    """Decode one window of a picture and resize it.

    Bilinear, with half-pixel centres; antialiased where after libjpeg's scaling the window's
    shorter side is still twice the result's or longer.

    Parameters
    ----------
    contents : string scalar
        The bytes of an image file.
    window : int32 [4]
        Top, left, height and width in pixels of the upright picture, inside it.
    size : int
        Height and width of the result.

    Returns
    -------
    float32 [size, size, 3] : RGB, 0 to 255.

    Raises
    ------
    tf.errors.InvalidArgumentError
        When it runs, where the bytes are no picture that `check_image` lets pass.
    """
    contents = tf.convert_to_tensor(contents, tf.string)
    window = tf.convert_to_tensor(window, tf.int32)
    orientation = exif_orientation(contents)
    return decode_planned(contents, orientation, *plan_window(window, orientation, size), size)


@tf.autograph.experimental.do_not_convert
def decode_centre(contents: tf.Tensor, size: int) -> tf.Tensor:
    """The `centre_window` of a picture: `decode_window` for evaluation."""
    return decode_window(contents, centre_window(*image_shape(contents)), size)


# What `image_shape` and `decode_window` consist of, for the input pipeline: it finds out once how a
# picture is stored, and plans for many pictures at once.


@tf.autograph.experimental.do_not_convert
def exif_orientation(contents: tf.Tensor) -> tf.Tensor:
    """The EXIF orientation of a JPEG, int32 in 1..8; 1 where there is none or it is damaged.

    NO_JPEG of anything else. Source: the Exif 2.32 standard, 4.5 and 4.6 (tag 0x0112 of the zeroth
    IFD).
    """
    contents = tf.convert_to_tensor(contents, tf.string)
    return tf.cond(
        starts_as(PLAIN_JPEG, contents),
        lambda: tf.constant(1),
        lambda: _any_orientation(contents),
    )


@tf.autograph.experimental.do_not_convert
def upright_shape(contents: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Height and width of the upright picture, int32 [2]; its orientation by `exif_orientation`."""
    return tf.cond(
        orientation == 1,
        lambda: tf.io.extract_jpeg_shape(contents)[:2],
        lambda: _any_shape(contents, orientation),
    )


@tf.autograph.experimental.do_not_convert
def plan_window(
    window: tf.Tensor, orientation: tf.Tensor | int, size: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """How to decode a window of a picture to `size`: a way and a window for `decode_planned`.

    Parameters
    ----------
    window : int32 [..., 4]
        As for `decode_window`; many pictures' at once where there are leading dimensions.
    orientation : int32 [...]
        By `exif_orientation`.
    size : int

    Returns
    -------
    way : int32 [...]
        Which of RATIOS an upright JPEG is scaled down by: as far as is above the result's size.
        OTHER_WAY for all else.
    window : int32 [..., 4]
        In the scaled picture.
    """
    times_larger = tf.reduce_min(window[..., 2:], axis=-1) // size
    way = tf.raw_ops.Bucketize(input=times_larger, boundaries=RATIOS[1:])
    way = tf.where(tf.equal(orientation, 1), way, OTHER_WAY)
    ratio = tf.gather([*RATIOS, 1], way)[..., None]
    # The nearest scaled pixels of the window's edges: inside the scaled picture, whose sizes
    # are rounded up, and never fewer than the window's size by the ratio, rounded down.
    start = (window[..., :2] + ratio // 2) // ratio
    end = (window[..., :2] + window[..., 2:] + ratio // 2) // ratio
    return way, tf.concat([start, end - start], axis=-1)


@tf.autograph.experimental.do_not_convert
def decode_planned(
    contents: tf.Tensor, orientation: tf.Tensor, way: tf.Tensor, window: tf.Tensor, size: int
) -> tf.Tensor:
    """`decode_window` as `plan_window` says, for one picture; float32 [size, size, 3]."""

    def decode_otherwise():
        return tf.cond(
            way < OTHER_WAY,
            lambda: _decode_scaled(contents, way, window, size),
            lambda: _decode_other_way(contents, orientation, window, size),
        )

    # Small pictures take next to no time to decode, so the one case that they are all of stands
    # apart, at the cost of a few operations.
    pixels = tf.cond(
        way == 0,
        lambda: _resize(_decode_jpeg_window(contents, window, 1), size),
        decode_otherwise,
    )
    return tf.ensure_shape(pixels, [size, size, 3])


def starts_as(pattern: str, contents: tf.Tensor) -> tf.Tensor:
    """Whether the first bytes, up to 32 of them, are as a pattern of RE2 says; bool scalar."""
    # A pattern is matched against the whole string, so that of a large file would take a while.
    return tf.strings.regex_full_match(tf.strings.substr(contents, 0, 32), pattern)


def is_jpeg(contents: tf.Tensor) -> tf.Tensor:
    """Whether this is a JPEG by its first bytes; bool scalar."""
    return tf.strings.substr(contents, 0, 3) == b"\xff\xd8\xff"


def _decode_jpeg_window(contents, window, ratio):
    """The window of a JPEG as stored that is scaled down by `ratio`; uint8."""
    return tf.io.decode_and_crop_jpeg(
        contents, window, channels=3, ratio=ratio, dct_method=DCT_METHOD
    )


@kept_apart
def _any_shape(contents, orientation):
    return tf.cond(
        orientation == NO_JPEG,
        lambda: _other_shape(contents),
        lambda: _upright_jpeg_shape(contents, orientation),
    )


@kept_apart
def _decode_scaled(contents, way, window, size):
    """The window of an upright JPEG that is scaled down by the way's ratio."""
    return _resize_well(_decode_way(contents, way, window), size)


@kept_apart
def _decode_other_way(contents, orientation, window, size):
    """`decode_window` for what is no JPEG, or is one that is not stored upright."""
    pixels = tf.cond(
        orientation == NO_JPEG,
        lambda: _crop(_decode_other(contents), window),
        lambda: _decode_turned(contents, orientation, window, size),
    )
    return _resize_well(pixels, size)


def _decode_way(contents, way, window):
    """The window of a JPEG as stored that is scaled down by the way's ratio; uint8."""
    return tf.switch_case(
        way,
        [lambda ratio=ratio: _decode_jpeg_window(contents, window, ratio) for ratio in RATIOS],
    )


@kept_apart
def _decode_turned(contents, orientation, window, size):
    stored = _stored_window(window, _upright_jpeg_shape(contents, orientation), orientation)
    pixels = _decode_way(contents, *plan_window(stored, 1, size))
    return _turn_upright(pixels, orientation)


def _upright_jpeg_shape(contents, orientation):
    stored = tf.io.extract_jpeg_shape(contents)[:2]
    return tf.where(orientation > 4, stored[::-1], stored)


def _stored_window(window, shape, orientation):
    """Where a window of the upright picture, whose shape is given, lies in the stored one."""
    corner, extent = window[:2], window[2:]
    corner = tf.where(tf.gather(MIRRORED, orientation), shape - corner - extent, corner)
    stored = tf.stack([corner, extent])
    return tf.reshape(tf.where(orientation > 4, stored[:, ::-1], stored), [4])


def _turn_upright(pixels, orientation):
    pixels = tf.transpose(pixels, tf.where(orientation > 4, [1, 0, 2], [0, 1, 2]))
    mirrored = tf.concat([tf.gather(MIRRORED, orientation), [False]], axis=0)
    return tf.raw_ops.Reverse(tensor=pixels, dims=mirrored)


@kept_apart
def _any_orientation(contents):
    return tf.cond(
        is_jpeg(contents),
        lambda: _orientation_of_tiff(_exif_segment(contents)),
        lambda: tf.constant(NO_JPEG),
    )


def _exif_segment(contents):
    """The TIFF structure in a JPEG's first EXIF segment, before the frame header; else b''."""

    def is_exif(head):
        return (head[1] == 0xE1) & tf.reduce_all(head[4:] == list(b"Exif\0\0"))

    def is_other_metadata(position, head):
        metadata = (head[0] == 0xFF) & ((head[1] // 16 == 0xE) | (head[1] == 0xFE))
        return metadata & ~is_exif(head)

    def next_segment(position, head):
        position += 2 + 256 * head[2] + head[3]
        return position, bytes_at(contents, position, 10)

    position, head = tf.while_loop(
        is_other_metadata, next_segment, (2, bytes_at(contents, 2, 10)), maximum_iterations=100
    )
    return tf.cond(
        is_exif(head),
        lambda: tf.strings.substr(contents, position + 10, 256 * head[2] + head[3] - 8),
        lambda: tf.constant(b""),
    )


def _orientation_of_tiff(tiff):
    little_endian = tf.strings.substr(tiff, 0, 2) == b"II"
    places = tf.where(little_endian, [1, 1 << 8, 1 << 16, 1 << 24], [1 << 24, 1 << 16, 1 << 8, 1])
    short_places = tf.where(little_endian, [1, 1 << 8], [1 << 8, 1])
    start = tf.reduce_sum(bytes_at(tiff, 4, 4) * places)
    count = tf.reduce_sum(bytes_at(tiff, start, 2) * short_places)
    entries = tf.reshape(bytes_at(tiff, start + 2, 12 * tf.maximum(count, 1)), [-1, 12])
    tags = tf.reduce_sum(entries[:, :2] * short_places, axis=1)
    values = tf.reduce_sum(entries[:, 8:10] * short_places, axis=1)
    orientation = tf.reduce_max(tf.where(tags == 0x0112, values, 0))
    return tf.where((orientation >= 1) & (orientation <= 8), orientation, 1)


def bytes_at(contents: tf.Tensor, start: tf.Tensor | int, count: tf.Tensor | int) -> tf.Tensor:
    """`count` bytes from `start` on as int32 [count]; past the end of `contents`, zeros."""
    start = tf.clip_by_value(start, 0, tf.strings.length(contents))
    found = tf.strings.substr(contents, start, count)
    return tf.cast(tf.io.decode_raw(found, tf.uint8, fixed_length=count), tf.int32)


def _other_shape(contents):
    return tf.cond(
        starts_as(PNG, contents),
        lambda: tf.io.decode_raw(tf.strings.substr(contents, 16, 8), tf.int32, False)[::-1],
        lambda: tf.shape(_decode_other(contents))[:2],
    )


def _decode_other(contents):
    """The whole picture, uint8 [height, width, 3], where it is not a JPEG."""
    # TensorFlow wants to be told the number of channels that a WebP has. It must not be left to
    # find out itself (channels=0), which writes past the end of its memory on an animation; told
    # 3, it refuses an animation.
    pixels = tf.cond(
        starts_as(STILL_WEBP_WITH_ALPHA, contents),
        lambda: tf.io.decode_image(contents, channels=4, expand_animations=False)[..., :3],
        lambda: tf.io.decode_image(contents, channels=3, expand_animations=False),
    )
    return tf.ensure_shape(pixels, [None, None, 3])


def _crop(pixels, window):
    return tf.slice(pixels, tf.concat([window[:2], [0]], 0), tf.concat([window[2:], [3]], 0))


def _resize(pixels, size, antialias=False):
    return tf.image.resize(pixels, [size, size], antialias=antialias)


def _resize_well(pixels, size):
    return tf.cond(
        tf.reduce_min(tf.shape(pixels)[:2]) < 2 * size,
        lambda: _resize(pixels, size),
        lambda: _resize(pixels, size, antialias=True),
    )
