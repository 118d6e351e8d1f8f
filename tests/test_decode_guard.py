"""The check of pictures in TensorFlow operations, held against the one in Python."""

import struct
import zlib

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from test_decode import FORMATS, JPEG, PICTURE, TRANSPARENT, compiled, encode, tiff, with_segments
from test_image_check import READABLE, UNREADABLE, patched

from modnet_keras.data.decode import decode_centre
from modnet_keras.data.decode_guard import is_usable
from modnet_keras.data.image_check import (
    DECODED_FRAMES,
    MAX_GIF_BLOCKS,
    MAX_GIF_PIECES,
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


PNG, BMP, GIF, WEBP = (FORMATS[kind] for kind in ("PNG", "BMP", "GIF", "WebP"))
LOSSLESS_WEBP, EXTENDED_WEBP = FORMATS["lossless WebP"], FORMATS["WebP with metadata"]
FRAME = JPEG.index(b"\xff\xc0")
SCAN = JPEG.index(b"\xff\xda")
GIF_FRAME = GIF.index(b",\0\0\0\0")
THUMBNAIL = (0xE1, b"Exif\0\0" + tiff(1) + encode(PICTURE.resize((16, 12)), "JPEG"))
WITH_THUMBNAIL = with_segments(JPEG, THUMBNAIL)
JPEGS = {
    "JPEG": JPEG,
    "optimised JPEG": encode(PICTURE, "JPEG", optimize=True),
    "JPEG with metadata": WITH_THUMBNAIL,
    "JPEG with fill bytes": JPEG[:20] + b"\xff" + JPEG[20:],
}
LARGE_JPEG = encode(PICTURE.resize((640, 480)), "JPEG", quality=90)


def chunk(name, contents):
    checksum = struct.pack(">I", zlib.crc32(name + contents))
    return struct.pack(">I", len(contents)) + name + contents + checksum


def gif_frame(width, height):
    """A frame whose data are whole, though they are not of so many pixels."""
    return b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x4c\x01\x00"


def of_size(kind, width, height):
    """A picture whose header declares another size; what follows is as it was."""
    if kind in JPEGS:
        place = JPEGS[kind].rindex(b"\xff\xc0") + 5
        return patched(JPEGS[kind], place, struct.pack(">HH", height, width))
    if kind == "PNG":
        header = struct.pack(">II", width, height) + PNG[24:29]
        return PNG[:8] + chunk(b"IHDR", header) + PNG[33:]
    if kind == "BMP":
        return patched(BMP, 18, struct.pack("<II", width, height))
    if kind == "GIF":
        return patched(GIF, 6, struct.pack("<HH", width, height))
    if kind == "GIF by its first frame":
        small = patched(GIF, 6, struct.pack("<HH", min(width, 1), min(height, 1)))
        return patched(small, GIF_FRAME + 5, struct.pack("<HH", width, height))
    if kind == "WebP":
        return patched(WEBP, 26, struct.pack("<HH", width, height))
    if kind == "lossless WebP":
        bits = (width - 1) | (height - 1) << 14
        return patched(LOSSLESS_WEBP, 21, struct.pack("<I", bits))
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return patched(EXTENDED_WEBP, 24, sides)


LARGEST_SIDE = {
    **dict.fromkeys(JPEGS, 65535),
    "PNG": 2**32 - 1,
    "BMP": 2**32 - 1,
    "GIF": 65535,
    "GIF by its first frame": 65535,
    "WebP": 16383,
    "lossless WebP": 16384,
    "extended WebP": 2**24,
}
# A WebP whose header is not of the oldest kind says its sides less one.
CAN_BE_EMPTY = [kind for kind in LARGEST_SIDE if kind not in ("lossless WebP", "extended WebP")]


def hidden(marker):
    """A JPEG whose size stands in a comment for one, and before that for libjpeg.

    One takes the marker for a segment that ends inside the comment, libjpeg for a marker alone.
    """
    frame = JPEG[FRAME : FRAME + 19]
    huge = patched(frame, 5, struct.pack(">HH", 60_000, 60_000))
    decoy = frame + b"\xff\xda\0\2\xff\xd9"
    passed = JPEG[2:FRAME] + huge + b"\xff\xfe" + struct.pack(">H", 2 + len(decoy))
    alone = b"\xff" + bytes([marker]) + struct.pack(">H", 2 + len(passed))
    return JPEG[:2] + alone + passed + decoy + JPEG[FRAME + 19 :]


BROKEN = {
    "nothing": b"",
    "one byte": b"\xff",
    "zeros": bytes(3000),
    "text": b"no picture at all",
    "HTML": b"<html><body>404</body></html>",
    "a PDF": b"%PDF-1.7\n" + bytes(100),
    "a TIFF": encode(PICTURE, "TIFF"),
    "an icon": encode(PICTURE.resize((16, 16)), "ICO"),
    "the magic of a JPEG": b"\xff\xd8\xff",
    "the magic of a PNG": PNG[:8],
    "the magic of a GIF": b"GIF89a",
    "the magic of a BMP": b"BM",
    "the magic of a WebP": b"RIFF\0\0\0\0WEBP",
    "a PNG but for its first byte": b"?" + PNG[1:],
    "a GIF of another version": b"GIF88a" + GIF[6:],
    "a WebP of another kind": patched(WEBP, 12, b"VP8?"),
    "a palette BMP": encode(PICTURE.quantize(64), "BMP"),
    "a BMP within its header": b"BM"
    + struct.pack("<IIIIiiHHI", 53, 0, 49, 40, 1, 1, 1, 24, 0)
    + bytes(19),
    "a BMP with a byte more": BMP + b"?",
    "a BMP with a byte less": BMP[:-1],
    "a BMP of 16 bits": patched(BMP, 28, b"\x10"),
    "a BMP of OS/2": patched(BMP, 14, b"\x0c"),
    "a compressed BMP": patched(BMP, 30, b"\x01"),
    "a BMP of unusual bit fields": patched(FORMATS["BMP with alpha"], 30, b"\x03"),
    "an animated WebP": encode(PICTURE, "WEBP", save_all=True, append_images=[PICTURE.rotate(9)]),
    "an animated WebP with alpha": encode(
        TRANSPARENT, "WEBP", save_all=True, append_images=[TRANSPARENT.rotate(9)]
    ),
    "a WebP that is said to be longer": patched(WEBP, 4, struct.pack("<I", len(WEBP))),
    "a WebP of a header alone": patched(LOSSLESS_WEBP[:28], 4, struct.pack("<I", 20)),
    "a WebP of another canvas": of_size("extended WebP", 127, 96),
    "a PNG with a wrong checksum of its header": patched(PNG, 30, b"\0\0"),
    "a PNG with a wrong depth": PNG[:8] + chunk(b"IHDR", patched(PNG[16:29], 8, b"\3")) + PNG[33:],
    "a PNG of another compression": PNG[:8]
    + chunk(b"IHDR", patched(PNG[16:29], 10, b"\1"))
    + PNG[33:],
    "a PNG with a wrong IDAT": patched(PNG, 90, b"\xff\0\xff"),
    "a PNG with a wrong checksum of its IDAT": patched(PNG, len(PNG) - 16, b"\0\0\0\0"),
    "a PNG with a wrong chunk at its end": PNG[:-12] + chunk(b"ABCD", b"")[:-4] + PNG[-16:],
    "a PNG without IDAT": PNG[:33] + PNG[-12:],
    "a PNG without IEND": PNG[:-12],
    "a PNG without palette": PNG[:8] + chunk(b"IHDR", patched(PNG[16:29], 9, b"\3")) + PNG[33:],
    "a PNG whose chunk is too long": PNG[:33] + b"\0\1\0\0tEXt" + PNG[33:],
    "a PNG whose end mark is another chunk's": PNG[:33] + chunk(b"teXt", PNG[-8:]) + PNG[33:-12],
    "a GIF without frames": GIF[:GIF_FRAME] + b";",
    "a GIF with a broken header": GIF[:12],
    "a GIF with a block of another kind": GIF[:GIF_FRAME] + b"?" + GIF[GIF_FRAME + 1 :],
    "a GIF with broken data": patched(GIF, GIF_FRAME + 300, b"\xff" * 40),
    "a lossless JPEG": patched(JPEG, FRAME, b"\xff\xc3"),
    "a JPEG with a lossless frame, too": with_segments(
        JPEG, (0xC3, JPEG[FRAME + 4 : FRAME + 19]), at=FRAME
    ),
    "a hierarchical JPEG": patched(JPEG, FRAME, b"\xff\xc5"),
    "a JPEG of 12 bits": patched(JPEG, FRAME + 4, b"\x0c"),
    "an extended JPEG of 12 bits": patched(patched(JPEG, FRAME, b"\xff\xc1"), FRAME + 4, b"\x0c"),
    "a JPEG of 2 channels": patched(JPEG, FRAME + 9, b"\x02"),
    "a JPEG without frame": JPEG[:FRAME] + JPEG[FRAME + 19 :],
    "a JPEG with two frames": JPEG[:FRAME] + JPEG[FRAME : FRAME + 19] + JPEG[FRAME:],
    "a JPEG with bytes between its segments": JPEG[:20] + b"junk" + JPEG[20:],
    "a JPEG with bytes behind its frame": JPEG[: FRAME + 19] + b"junk" + JPEG[FRAME + 19 :],
    "a JPEG with bytes before its picture data": JPEG[:SCAN] + b"junk" + JPEG[SCAN:],
    "a JPEG without its end": JPEG[:-2],
    "a JPEG with half its end": JPEG[:-1],
    "a JPEG with other bytes for its end": JPEG[:-2] + bytes(90_000),
    "a large JPEG without its last rows": LARGE_JPEG[: len(LARGE_JPEG) * 98 // 100],
    "a JPEG that ends after its thumbnail": WITH_THUMBNAIL[: 10 + len(THUMBNAIL[1])],
    "a JPEG with a thumbnail and half a picture": WITH_THUMBNAIL[: -len(JPEG) // 2],
    "a JPEG whose only end is its thumbnail's": WITH_THUMBNAIL[:-2],
    "a JPEG whose only end is in a comment": with_segments(JPEG[:-2], (0xFE, b"\xff\xd9"), at=20),
    "a JPEG whose only end is behind its tables": with_segments(
        WITH_THUMBNAIL[:-2], (0xFE, b"\xff\xd9"), at=WITH_THUMBNAIL.rindex(b"\xff\xc0")
    ),
    "a JPEG of metadata alone": JPEG[:2] + b"\xff\xe0\0\2" * 5000,
    "a JPEG of fill bytes alone": JPEG[:2] + b"\xff" * 20_000,
    **{
        f"{percent} % of a {kind}": contents[: len(contents) * percent // 100]
        for kind, contents in FORMATS.items()
        for percent in (10, 50, 90, 99)
        # Of an animated GIF, the first frame is half.
        if kind != "animated GIF" or percent < 50
    },
}

TOO_LARGE = {
    **{f"a {kind} of 20,000 x 20,000": of_size(kind, 20_000, 20_000) for kind in LARGEST_SIDE},
    **{f"a {kind} without width": of_size(kind, 0, 96) for kind in CAN_BE_EMPTY},
    **{f"a {kind} without height": of_size(kind, 128, 0) for kind in CAN_BE_EMPTY},
    "a GIF of a frame far off": patched(GIF, GIF_FRAME + 1, struct.pack("<HH", 9000, 9000)),
    "a WebP of 16,000 x 16,000": of_size("WebP", 16_000, 16_000),
    "a lossless WebP of 16,000 x 16,000": of_size("lossless WebP", 16_000, 16_000),
}
# What has fewer bits for a side cannot declare that many.
for kind in ("WebP", "lossless WebP"):
    del TOO_LARGE[f"a {kind} of 20,000 x 20,000"]

HIDDEN = {
    **{f"a JPEG behind the marker {m:02x}": hidden(m) for m in (0x00, 0x01, 0xD0, 0xD5, 0xD7)},
    "a GIF with a large frame": GIF[:-1] + gif_frame(8000, 8000) + b";",
    "a GIF with a large frame, broken": GIF[:-1] + gif_frame(8000, 8000)[:-1],
    "a GIF with a wide and a high frame": GIF[:-1] + gif_frame(9000, 1) + gif_frame(1, 9000),
    "a GIF of many large frames": GIF[:-1] + gif_frame(7000, 7000) * 5 + b";",
    "a GIF of endless blocks": GIF[:-1] + b"!\xfe\0" * MAX_GIF_BLOCKS + b";",
    "a GIF of endless data": GIF[:-1] + b"!\xfe" + b"\1a" * MAX_GIF_PIECES + b"\0;",
}
"""What declares another size than its header's to TensorFlow, or more, or takes for ever."""

LABORIOUS = GIF[:-1] + b"!\xfe" + b"\1a\2ab" * 20_000 + b"\0;"
"""What the check in Python takes the time for, and the one in TensorFlow does not."""


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
