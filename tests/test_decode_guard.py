"""The check of pictures in TensorFlow operations, held against the one in Python."""

import struct

import pytest
import tensorflow as tf
from broken_pictures import (
    BMP,
    BROKEN,
    CAN_BE_EMPTY,
    FRAME,
    GIF,
    HIDDEN,
    LABORIOUS,
    LARGEST_SIDE,
    PNG,
    THUMBNAIL,
    TOO_LARGE,
    WEBP,
    WITH_THUMBNAIL,
    gif_frame,
    of_size,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from test_decode import FORMATS, JPEG, PICTURE, TRANSPARENT, compiled, encode, tiff, with_segments
from test_image_check import READABLE, UNREADABLE

from modnet_keras.data.decode import decode_centre
from modnet_keras.data.decode_guard import is_usable
from modnet_keras.data.image_check import (
    DECODED_FRAMES,
    MAX_PIXELS,
    check_image,
)

guard = compiled(is_usable)
decode = compiled(lambda contents: decode_centre(contents, 32))


@pytest.fixture(scope="module")
def reason(tmp_path_factory):
    """Why `check_image` refuses a file of these bytes, None where it does not."""
    path = tmp_path_factory.mktemp("guard") / "picture"

    def of(contents):
        path.write_bytes(contents)
        return check_image(path)

    return of


def decodes(contents):
    try:
        decode(contents)
    except tf.errors.OpError:
        return False
    return True


def markers(contents):
    """The second bytes of a JPEG's markers before its picture data, as `check_image` reads them."""
    position = 2
    while contents[position : position + 1] == b"\xff" and position + 4 <= len(contents):
        marker = contents[position + 1]
        if marker == 0xDA:
            break
        yield marker
        length = int.from_bytes(contents[position + 2 : position + 4])
        position += 1 if marker == 0xFF else 2 + length


def is_left_to_decoding(contents, why):
    """Whether the guard need not refuse what `check_image` refuses, because decoding raises."""
    if contents.startswith(b"\x89PNG"):
        return why.startswith(("damaged PNG: wrong", "damaged PNG: a chunk", "damaged PNG: no"))
    return contents.startswith(b"\xff\xd8\xff") and (
        sum(marker in DECODED_FRAMES for marker in markers(contents)) > 1
    )


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_usable_until_its_first_bytes_are_not(kind, reason):
    assert guard(FORMATS[kind])
    assert reason(FORMATS[kind]) is None
    broken = b"?" + FORMATS[kind][1:]
    assert not guard(broken)
    assert reason(broken) is not None


@pytest.mark.parametrize("kind", READABLE)
def test_what_the_check_lets_pass_is_usable(kind):
    assert guard(READABLE[kind])


@pytest.mark.parametrize(
    "contents",
    [
        JPEG + b"more" * 20,
        JPEG + bytes(5000),
        JPEG[:20] + b"\xff" * 7 + JPEG[20:],
        WITH_THUMBNAIL,
        WITH_THUMBNAIL + b"more",
        with_segments(JPEG, (0xE1, bytes(65_000)), (0xE2, bytes(65_000)), (0xFE, b"note")),
        with_segments(JPEG, *[(0xFE, bytes(500))] * 3, at=FRAME),
        encode(PICTURE, "JPEG", optimize=True, quality=30),
        encode(PICTURE, "JPEG", restart_marker_blocks=1),
        encode(PICTURE.resize((1, 1)), "JPEG"),
        PNG + b"more" * 2000,
        FORMATS["animated GIF"][:-20],
        GIF[:-1],
        GIF[:-1] + gif_frame(7000, 7000) * 4,
        GIF[:-1] + gif_frame(60_000, 60_000)[:9],
        encode(PICTURE.quantize(64), "GIF", comment=bytes(range(1, 200)) * 9),
        BMP[:22] + struct.pack("<i", -96) + BMP[26:],
        WEBP + b"more",
    ],
)
def test_curious_pictures_are_usable(contents, reason):
    assert reason(contents) is None
    assert guard(contents)
    assert decodes(contents)


USUAL = (0xFF0000, 0xFF00, 0xFF)
# The last mask's zeros, and pixels within the masks.
CUT_OFF = b"BM" + struct.pack("<IIIIiiHHI", 63, 0, 59, 40, 1, 1, 1, 32, 3) + bytes(20)
CUT_OFF += struct.pack("<III", *USUAL)[:9]


def test_bit_fields_are_usable_where_they_are_the_usual_ones(reason):
    pixels = bytes(4 * 3 * 2)
    for masks, usable in ((USUAL, True), (USUAL[::-1], False)):
        rest = struct.pack("<IIIIII", len(pixels), 0, 0, 0, 0, 0)[:20] + struct.pack("<III", *masks)
        header = struct.pack("<IiiHHI", 40, 3, 2, 1, 32, 3) + rest
        size = 14 + len(header) + len(pixels)
        contents = b"BM" + struct.pack("<III", size, 0, 14 + len(header)) + header + pixels
        assert bool(guard(contents)) == (reason(contents) is None) == usable
    assert len(CUT_OFF) == 63 and reason(CUT_OFF) is not None and not guard(CUT_OFF)


@pytest.mark.parametrize("kind", BROKEN | UNREADABLE)
def test_what_is_broken_does_not_pass(kind, reason):
    contents = (BROKEN | UNREADABLE)[kind]
    usable, why = bool(guard(contents)), reason(contents)
    assert not usable or not decodes(contents)
    assert usable or why is not None
    assert not usable or why is None or is_left_to_decoding(contents, why)


@pytest.mark.parametrize("kind", TOO_LARGE | HIDDEN)
def test_what_is_too_large_is_not_even_decoded(kind, reason):
    contents = (TOO_LARGE | HIDDEN)[kind]
    assert reason(contents) is not None
    assert not guard(contents)


def test_what_takes_the_guard_too_long_is_not_decoded_either(reason):
    assert reason(LABORIOUS) is None
    assert not guard(LABORIOUS)


@pytest.mark.parametrize("kind", LARGEST_SIDE)
def test_sizes_are_refused_as_the_check_refuses_them(kind, reason):
    largest = LARGEST_SIDE[kind]
    least = 0 if kind in CAN_BE_EMPTY else 1
    wide = [(side, MAX_PIXELS // side + more) for side in (1000, 3052, 16_000) for more in (0, 1)]
    square = [(side, side) for side in (6911, 6912, 7071, 7072, 46_341, 65_536)]
    edges = [(least, 1), (1, least), (1, largest), (largest, 1), (largest, largest), (255, 256)]
    answers = set()
    for width, height in [*wide, *square, *edges]:
        if max(width, height) > largest:
            continue
        contents = of_size(kind, width, height)
        usable = bool(guard(contents))
        assert usable == (reason(contents) is None), (width, height)
        answers.add(usable)
    # A BMP of another size is of a wrong length.
    assert answers == ({False} if kind == "BMP" else {True, False})


SMALL = PICTURE.resize((24, 18))
SMALL_TRANSPARENT = TRANSPARENT.resize((24, 18))
SMALL_ANIMATION = {"save_all": True, "append_images": [SMALL.rotate(180), SMALL.rotate(90)]}
SEEDS = [
    encode(SMALL, "JPEG"),
    encode(SMALL, "JPEG", progressive=True),
    encode(SMALL.convert("L"), "JPEG"),
    encode(SMALL.convert("CMYK"), "JPEG"),
    encode(SMALL, "JPEG", optimize=True, restart_marker_blocks=1) + b"more",
    with_segments(encode(SMALL, "JPEG"), THUMBNAIL, at=20),
    encode(SMALL, "PNG"),
    encode(SMALL_TRANSPARENT, "PNG"),
    encode(SMALL.quantize(32), "PNG"),
    encode(SMALL, "BMP"),
    encode(SMALL_TRANSPARENT, "BMP"),
    encode(SMALL.quantize(32), "GIF", comment=b"note"),
    encode(SMALL, "GIF", **SMALL_ANIMATION),
    encode(SMALL, "WEBP"),
    encode(SMALL, "WEBP", lossless=True),
    encode(SMALL_TRANSPARENT, "WEBP", exif=tiff(1)),
    encode(SMALL_TRANSPARENT, "WEBP", lossless=True),
    encode(SMALL, "WEBP", **SMALL_ANIMATION),
]
TELLING = st.sampled_from([0x00, 0x01, 0x2C, 0x3B, 0xC0, 0xC3, 0xD8, 0xD9, 0xDA, 0xFF])


@st.composite
def damaged(draw):
    """A picture after some bytes were changed, cut out or put in."""
    contents = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, draw(st.sampled_from([40, 700, len(contents)]))))
        before, after = contents[:place], contents[place:]
        change = draw(st.sampled_from(["byte", "bit", "end", "cut", "put in", "splice"]))
        if change == "byte":
            after = bytes([draw(TELLING | st.integers(0, 255))]) + after[1:]
        elif change == "bit" and after:
            after = bytes([after[0] ^ 1 << draw(st.integers(0, 7))]) + after[1:]
        elif change == "end":
            after = b""
        elif change == "cut":
            after = after[draw(st.integers(1, 50)) :]
        elif change == "put in":
            after = bytes(draw(st.lists(TELLING, min_size=1, max_size=20))) + after
        elif change == "splice":
            other = draw(st.sampled_from(SEEDS))
            start = draw(st.integers(0, len(other)))
            piece = other[start : start + draw(st.sampled_from([2, 20, 300, 5000]))]
            after = piece + after[draw(st.sampled_from([0, 20, 1000])) :]
        contents = before + after
    return contents


@settings(deadline=None, max_examples=200)
@given(damaged() | st.binary(max_size=100))
def test_guard_and_decoding_refuse_what_the_check_refuses(reason, contents):
    usable, why = bool(guard(contents)), reason(contents)
    if why is not None and usable:
        assert is_left_to_decoding(contents, why)
        assert not decodes(contents)
    assert usable or why is not None


@settings(deadline=None, max_examples=200)
@given(st.sampled_from([contents[:26] for contents in SEEDS]), st.binary(max_size=300))
def test_nothing_makes_the_guard_raise(head, rest):
    for length in (3, 6, 12, 16, 26):
        assert guard(head[:length] + rest).dtype == tf.bool


def test_the_answers_are_the_same_eager_in_a_dataset_and_exported(tmp_path):
    rows = [*FORMATS.values(), *UNREADABLE.values(), WITH_THUMBNAIL]
    answers = [bool(guard(row)) for row in rows]
    module = tf.Module()
    module.is_usable = guard
    tf.saved_model.save(module, tmp_path)
    exported = tf.saved_model.load(tmp_path)
    dataset = tf.data.Dataset.from_tensor_slices(rows).map(is_usable, num_parallel_calls=2)
    assert [bool(answer) for answer in dataset] == answers
    assert [bool(exported.is_usable(row)) for row in rows] == answers
    assert [bool(is_usable(row)) for row in rows] == answers
