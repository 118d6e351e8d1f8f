"""Whether the bytes of a picture may be decoded: `check_image`, in TensorFlow operations.

A served model has no Python to look at what it is sent. Here, too, headers, sizes and end marks are
read and the pixels are not. What decoding refuses by itself is left to it.
"""

import math

import numpy as np
import tensorflow as tf

from modnet_keras.data.decode import bytes_at, is_jpeg, kept_apart, starts_as
from modnet_keras.data.image_check import (
    ALONE,
    BGRA_MASKS,
    DECODED_FRAMES,
    MAX_GIF_BLOCKS,
    MAX_GIF_PIXELS,
    MAX_PIXELS,
    OTHER_FRAMES,
    PNG_BIT_DEPTHS,
    PNG_END,
    TAIL_BYTES,
)

JPEG_START, JPEG_END = b"\xff\xd8", b"\xff\xd9"
JPEG_CHANNELS = (1, 3, 4)

MAX_SEGMENTS = 1000
"""Of a JPEG's metadata, and of what follows it before the picture data."""

SAFE_SIDE_BYTE = math.isqrt(MAX_PIXELS) // 256 - 1
"""A square is not too large if its side's high byte is no more than this."""

USUAL_JPEG = {
    0: b"\xff\xd8\xff\xe0\x00\x10",
    20: b"\xff\xdb\x00\x43",
    89: b"\xff\xdb\x00\x43",
    158: b"\xff\xc0\x00\x11\x08",
    167: b"\x03",
    177: b"\xff\xc4\x00\x1f",
    210: b"\xff\xc4\x00\xb5",
    393: b"\xff\xc4\x00\x1f",
    426: b"\xff\xc4\x00\xb5",
    609: b"\xff\xda",
}
"""Where libjpeg, left to itself, puts the segments of a JPEG in colour: JFIF, two quantisation
tables, the frame with its precision and number of channels, four Huffman tables, the scan."""

PLAIN_BYTES = 640
"""Where the tables are in another order or of another length, the scan starts before this, too."""

PLAIN_SEGMENT = 418
"""The length of libjpeg's four Huffman tables in one segment."""

MAX_GIF_LOOKS = 10_000
"""Runs of equally long pieces of data in all blocks together."""


def _any_of(values):
    return "[" + "".join(rf"\x{value:02x}" for value in values) + "]"


PNG_HEADER = (
    r"\CPNG\r\n\x1a\n\x00\x00\x00\x0dIHDR\C{8}("
    + "|".join(rf"{_any_of(depths)}\x{colour:02x}" for colour, depths in PNG_BIT_DEPTHS.items())
    + r")\x00\x00[\x00\x01]\C*"
)


def _plain_jpeg():
    """A pattern of a JPEG up to its picture data, with a character for each byte."""
    byte = r"[\x00-\xff]"
    # After a marker comes a length, and after that so many bytes. No pattern counts, but nested
    # ones do: the longest segment's length and, around it, one byte more or a length one less.
    lengths = [r"\x{:02x}\x{:02x}".format(*divmod(n, 256)) for n in range(PLAIN_SEGMENT, 1, -1)]
    segment = lengths[0]
    for length in lengths[1:]:
        segment = f"(?:{segment}{byte}|{length})"
    tables_and_metadata = rf"(?:\xff[\xc4\xcc\xdb\xdd\xe0-\xef\xfe]{segment})*"
    side = rf"(?:\x00[\x01-\xff]|[\x01-\x{SAFE_SIDE_BYTE:02x}]{byte})"
    frames = "|".join(
        rf"\x00\x{8 + 3 * channels:02x}\x08{side}{side}\x{channels:02x}{byte}{{{3 * channels}}}"
        for channels in JPEG_CHANNELS
    )
    frame = rf"\xff{_any_of(DECODED_FRAMES)}(?:{frames})"
    return rf"\xff\xd8{tables_and_metadata}{frame}{tables_and_metadata}\xff\xda{byte}*"


PLAIN_JPEG = _plain_jpeg()


def _usual_bytes():
    """Places in a JPEG, the least byte that belongs at each, and how much more it may be."""
    bounds = {
        place + k: (byte, byte) for place, part in USUAL_JPEG.items() for k, byte in enumerate(part)
    }
    # Height and width: the high byte, and a low one that is not 0 even where the high one is.
    bounds |= {163: (0, SAFE_SIDE_BYTE), 164: (1, 255), 165: (0, SAFE_SIDE_BYTE), 166: (1, 255)}
    least, most = np.array(list(bounds.values()), np.uint8).T
    return np.array(list(bounds), np.int32), least, most - least


USUAL_PLACES, LEAST, MORE = _usual_bytes()

# By a marker's second byte.
PASSED_OVER = np.ones(256, bool)
PASSED_OVER[[*OTHER_FRAMES, *ALONE, 0xDA]] = False
METADATA = np.zeros(256, bool)
METADATA[[*range(0xE0, 0xF0), 0xFE]] = True
IS_FRAME = np.zeros(256, bool)
IS_FRAME[[*DECODED_FRAMES]] = True


@tf.autograph.experimental.do_not_convert
def is_usable(contents: tf.Tensor) -> tf.Tensor:
    """Whether `check_image` would let a picture pass; never raises.

    It is stricter where looking would take up too much: more segments of a JPEG, or lengths of a
    GIF's pieces of data, than the limits above.

    It is laxer where decoding raises: a PNG's checksums and chunks are not looked at, nor more than
    the last of a JPEG's frame headers, of which there may be but one.

    Parameters
    ----------
    contents : string scalar
        The bytes of an image file, or anything else.

    Returns
    -------
    bool scalar
    """
    contents = tf.convert_to_tensor(contents, tf.string)
    last_two = tf.strings.substr(contents, tf.maximum(tf.strings.length(contents) - 2, 0), 2)
    ends = last_two == JPEG_END
    # What most pictures are is found out in a few operations.
    return tf.cond(
        _starts_as_usual_jpeg(contents) & ends,
        lambda: tf.constant(True),
        lambda: tf.cond(
            _starts_as_plain_jpeg(tf.strings.substr(contents, 0, PLAIN_BYTES)) & ends,
            lambda: tf.constant(True),
            lambda: _is_usable_after_all(contents),
        ),
    )


def _starts_as_usual_jpeg(contents):
    length = int(USUAL_PLACES.max()) + 1
    head = tf.strings.substr(contents, 0, length)
    found = tf.gather(tf.io.decode_raw(head, tf.uint8, fixed_length=length), USUAL_PLACES)
    # Below the least, the difference starts again from 255.
    return tf.reduce_all(found - LEAST <= MORE)


def _starts_as_plain_jpeg(head):
    # RE2 reads UTF-8, in which no byte above 0x7f stands for itself.
    head = tf.strings.unicode_transcode(head, "ISO-8859-1", "UTF-8")
    return tf.strings.regex_full_match(head, PLAIN_JPEG)


@kept_apart
def _is_usable_after_all(contents):
    return tf.cond(
        is_jpeg(contents), lambda: _is_usable_jpeg(contents), lambda: _is_usable_other(contents)
    )


@kept_apart
def _is_usable_other(contents):
    return tf.case(
        [
            (starts_as(PNG_HEADER, contents), lambda: _is_usable_png(contents)),
            (starts_as(r"GIF8[79]a\C*", contents), lambda: _is_usable_gif(contents)),
            (starts_as(r"BM\C*", contents), lambda: _is_usable_bmp(contents)),
            (starts_as(r"RIFF\C{4}WEBP\C*", contents), lambda: _is_usable_webp(contents)),
        ],
        default=lambda: tf.constant(False),
    )


def _has_size(width, height):
    # The product could be too large for an int64.
    return (width > 0) & (height > 0) & (height <= MAX_PIXELS // tf.maximum(width, 1))


def _is_in(contents, mark, start):
    """Whether `mark` stands anywhere from `start` on."""
    length = tf.strings.length(contents)
    rest = tf.strings.substr(contents, tf.minimum(start, length), length)
    return tf.size(tf.raw_ops.StringSplitV2(input=[rest], sep=mark, maxsplit=1).values) > 1


def _is_in_tail(contents, mark, start):
    return _is_in(contents, mark, tf.maximum(start, tf.strings.length(contents) - TAIL_BYTES))


def _ends_with(contents, mark, after):
    return tf.cond(
        _is_in_tail(contents, mark, after),
        lambda: tf.constant(True),
        lambda: _is_in(contents, mark, after),
    )


def _is_usable_jpeg(contents):
    position, segment, _ = _pass_segments(contents, METADATA, 2, bytes_at(contents, 2, 10))
    # Behind its metadata a JPEG is as plain as most.
    start = tf.minimum(position, tf.strings.length(contents))
    head = tf.strings.join([JPEG_START, tf.strings.substr(contents, start, PLAIN_BYTES - 2)])
    return tf.cond(
        _starts_as_plain_jpeg(head) & _is_in_tail(contents, JPEG_END, start + PLAIN_BYTES),
        lambda: tf.constant(True),
        lambda: _has_usable_segments(contents, position, segment),
    )


@kept_apart
def _has_usable_segments(contents, position, segment):
    position, segment, frame = _pass_segments(contents, PASSED_OVER, position, segment)
    height, width = tf.unstack(_pairs(frame, 5, 9, [256, 1]))
    return (
        tf.reduce_all(segment[:2] == [0xFF, 0xDA])
        & (frame[4] == 8)
        & tf.reduce_any(frame[9] == JPEG_CHANNELS)
        & _has_size(width, height)
        & _ends_with(contents, JPEG_END, position)
    )


def _pass_segments(contents, passed_over, position, segment):
    """Go on from a JPEG's segment to the first whose marker is not to be passed over.

    Gives its position, its first ten bytes, and those of the last frame header on the way.
    """

    def is_passed_over(position, segment, frame):
        return (segment[0] == 0xFF) & tf.gather(passed_over, segment[1])

    def next_segment(position, segment, frame):
        frame = tf.where(tf.gather(IS_FRAME, segment[1]), segment, frame)
        is_fill_byte = segment[1] == 0xFF
        position += tf.where(is_fill_byte, 1, 2 + 256 * segment[2] + segment[3])
        return position, bytes_at(contents, position, 10), frame

    return tf.while_loop(
        is_passed_over,
        next_segment,
        (position, segment, tf.zeros([10], tf.int32)),
        maximum_iterations=MAX_SEGMENTS,
    )


def _pairs(found, start, end, places):
    """Numbers of two bytes each, int64."""
    return tf.cast(tf.reduce_sum(tf.reshape(found[start:end], [-1, 2]) * places, 1), tf.int64)


@kept_apart
def _is_usable_png(contents):
    head = tf.cast(bytes_at(contents, 0, 24), tf.int64)
    sides = tf.reshape(head[16:], [2, 4]) * [1 << 24, 1 << 16, 1 << 8, 1]
    width, height = tf.unstack(tf.reduce_sum(sides, axis=1))
    return (head[0] == 0x89) & _has_size(width, height) & _ends_with(contents, PNG_END, 33)


@kept_apart
def _is_usable_gif(contents):
    header = bytes_at(contents, 0, 13)
    screen = _pairs(header, 6, 10, [1, 256])

    def next_block(position, _, frames, canvas, pixels, looks):
        block = bytes_at(contents, position, 10)
        is_frame = (block[0] == ord(",")) & (position + 10 <= tf.strings.length(contents))
        corner, extent = tf.split(_pairs(block, 1, 9, [1, 256]), 2)
        # TensorFlow's canvas is as wide as the widest frame and as high as the highest.
        canvas = tf.where(is_frame, tf.maximum(canvas, corner + extent), canvas)
        pixels += tf.where(is_frame, tf.reduce_prod(extent), 0)
        data = position + tf.where(is_frame, 11 + _palette_bytes(block[9]), 2)
        position, looks = _end_of_gif_data(contents, data, looks)
        is_whole = (position < tf.strings.length(contents)) & (is_frame | (block[0] == ord("!")))
        frames += tf.cast(is_frame & is_whole, tf.int32)
        return position + 1, is_whole & (looks < MAX_GIF_LOOKS), frames, canvas, pixels, looks

    _, goes_on, frames, canvas, pixels, looks = tf.while_loop(
        lambda position, goes_on, *_: goes_on,
        next_block,
        (
            13 + _palette_bytes(header[10]),
            tf.constant(True),
            tf.constant(0),
            screen,
            tf.constant(0, tf.int64),
            tf.constant(0),
        ),
        maximum_iterations=MAX_GIF_BLOCKS,
    )
    return (
        ~goes_on
        & (looks < MAX_GIF_LOOKS)
        & (frames > 0)
        & tf.reduce_all(screen > 0)
        & _has_size(canvas[0], canvas[1])
        & (pixels <= MAX_GIF_PIXELS)
    )


def _palette_bytes(flags):
    return tf.where(flags >= 0x80, tf.bitwise.left_shift(3, flags % 8 + 1), 0)


def _end_of_gif_data(contents, position, looks):
    """Where the empty piece is that ends the data starting at a position, and `looks` so far.

    A piece is a byte of length and so many others. Nearly all of them are equally long, so runs of
    such are passed at once.
    """

    def next_run(position, length, looks):
        span = 1 + length
        window = tf.io.decode_raw(tf.strings.substr(contents, position, 256 * span), tf.uint8)
        lengths = tf.cast(window[::span], tf.int32)
        run = tf.reduce_sum(tf.math.cumprod(tf.cast(lengths == length, tf.int32)))
        position += run * span
        return position, bytes_at(contents, position, 1)[0], looks + 1

    position, _, looks = tf.while_loop(
        lambda position, length, looks: (length > 0) & (looks < MAX_GIF_LOOKS),
        next_run,
        (position, bytes_at(contents, position, 1)[0], looks),
    )
    return position, looks


def _number(found, start, count):
    """The little-endian number of `count` bytes."""
    return tf.reduce_sum(found[start : start + count] * 256 ** np.arange(count))


@kept_apart
def _is_usable_bmp(contents):
    length = tf.strings.length(contents)
    head = tf.cast(bytes_at(contents, 0, 66), tf.int64)
    start, header, width = (_number(head, at, 4) for at in (10, 14, 18))
    # A negative height, in two's complement, says that the top row comes first.
    height = tf.minimum(_number(head, 22, 4), 2**32 - _number(head, 22, 4))
    depth, compression = _number(head, 28, 2), _number(head, 30, 4)
    masks_are_usual = tf.reduce_all(head[54:] == list(BGRA_MASKS)) & (length >= 66)
    has_bit_fields = (compression == 3) & (depth == 32) & masks_are_usual
    row_bytes = (width * depth // 8 + 3) // 4 * 4
    return (
        (length >= 54)
        & (header >= 40)
        & ((depth == 24) | (depth == 32))
        & ((compression == 0) | has_bit_fields)
        & _has_size(width, height)
        & (tf.cast(length, tf.int64) == start + row_bytes * height)
    )


@kept_apart
def _is_usable_webp(contents):
    length = tf.cast(tf.strings.length(contents), tf.int64)
    head = tf.cast(bytes_at(contents, 0, 30), tf.int64)

    def is_at(place, mark):
        return tf.reduce_all(head[place : place + len(mark)] == list(mark))

    is_animated = head[20] // 2 % 2 == 1
    bits = _number(head, 21, 4)
    extended = _has_size(1 + _number(head, 24, 3), 1 + _number(head, 27, 3))
    lossless = _has_size(1 + bits % (1 << 14), 1 + bits // (1 << 14) % (1 << 14))
    lossy = _has_size(_number(head, 26, 2) % (1 << 14), _number(head, 28, 2) % (1 << 14))
    has_usable_picture = (
        (is_at(12, b"VP8X") & ~is_animated & extended)
        | (is_at(12, b"VP8L") & is_at(20, b"\x2f") & lossless)
        | (is_at(12, b"VP8 ") & is_at(23, b"\x9d\x01\x2a") & lossy)
    )
    return (length >= 30) & (8 + _number(head, 4, 4) <= length) & has_usable_picture
