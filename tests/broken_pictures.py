"""Pictures that are broken, or declare or hold more than they seem to, by what is wrong."""

import struct
import zlib

from test_decode import FORMATS, JPEG, PICTURE, TRANSPARENT, encode, tiff, with_segments
from test_image_check import patched

from modnet_keras.data.image_check import MAX_GIF_BLOCKS, MAX_GIF_PIECES

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
