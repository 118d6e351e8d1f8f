"""A quick look at an image file, without TensorFlow: would it decode?

The format goes by the first bytes, not by the suffix. Headers, sizes and end marks are read, the
pixels are not: what passes is whole and of a kind that `modnet_keras.data.decode` reads right.
"""

import os
import stat
import struct
import zlib

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp"})
"""In lower case; a file's suffix counts whatever its case."""

MAX_PIXELS = 50_000_000
"""Height times width; a larger picture would take more memory than a worker should."""

HEAD_BYTES = 1 << 16
"""How much of a file is read at once. A smaller file is checked whole."""

READ_BYTES = 1 << 12
"""How much is read at once elsewhere in a file."""

SEARCH_BYTES = 1 << 20
"""And where all of it is searched."""

TAIL_BYTES = 1 << 12
"""Where the end mark of a larger file is looked for first: cameras and editors append to files."""

DECODED_FRAMES = (0xC0, 0xC1, 0xC2, 0xC9, 0xCA)
"""JPEG's baseline, extended and progressive frames, the latter two arithmetic-coded as well."""

OTHER_FRAMES = (0xC3, 0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF)

ALONE = (0x00, 0x01, *range(0xD0, 0xDA))
"""By their second byte, JPEG's markers without a length. Before the picture data they have no
business; what follows them would be one thing here and another to libjpeg."""

MAX_GIF_BLOCKS = 4000
"""A frame mostly takes two, one of them for how long it is shown."""

MAX_GIF_PIECES = 3_000_000
"""Of data, at most 255 bytes each, in all blocks together."""

MAX_GIF_PIXELS = 4 * MAX_PIXELS
"""Of all frames together. TensorFlow unpacks every frame, a byte a pixel, to take the first."""

PNG_BIT_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
PNG_END = b"IEND\xaeB`\x82"
BGRA_MASKS = struct.pack("<III", 0xFF0000, 0xFF00, 0xFF)


class _Unreadable(Exception):
    """Carries the reason."""


def check_image(path: str | os.PathLike[str], size: int | None = None) -> str | None:
    """Why a file is no usable picture, as a short phrase; None where it is one.

    Parameters
    ----------
    path : str or path-like
        The file. Nothing but a regular file is opened, so a pipe cannot hang the check.
    size : int, optional
        The length in bytes of what the caller knows to be a regular file; saves looking it up.
    """
    try:
        if size is None:
            status = os.stat(path)
            if not stat.S_ISREG(status.st_mode):
                return "not a regular file"
            size = status.st_size
        if size == 0:
            return "empty file"
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            _check(_File(descriptor, size))
        finally:
            os.close(descriptor)
    except OSError as error:
        return f"cannot be opened: {error.strerror}"
    except _Unreadable as reason:
        return str(reason)
    return None


class _File:
    """An open file whose first bytes are at hand.

    It is read and never mapped: who cuts off a mapped file ends the process that looks at it.
    """

    def __init__(self, descriptor, size):
        self.descriptor = descriptor
        self.size = size
        self.head = os.read(descriptor, HEAD_BYTES)
        self.read, self.read_from = self.head, 0

    def at(self, start, count):
        """`count` bytes from `start` on, fewer at the end of the file."""
        if start + count <= len(self.head) or self.size <= len(self.head):
            return self.head[start : start + count]
        if not self.read_from <= start <= self.read_from + len(self.read) - count:
            self.read = os.pread(self.descriptor, max(count, READ_BYTES), start)
            self.read_from = start
        return self.read[start - self.read_from :][:count]

    def ends_with(self, mark, after):
        """Whether `mark` stands behind `after`: near the end, else anywhere."""
        if self.size <= len(self.head):
            return self.head.find(mark, after) >= 0
        if mark in self.at(max(after, self.size - TAIL_BYTES), TAIL_BYTES):
            return True
        while piece := os.pread(self.descriptor, SEARCH_BYTES, after):
            if mark in piece:
                return True
            if len(piece) < len(mark):
                return False
            # The mark may lie across two pieces.
            after += len(piece) - len(mark) + 1
        return False


def _check(file):
    head = file.head
    if head.startswith(b"\xff\xd8\xff"):
        _check_jpeg(file)
    elif head.startswith(b"\x89PNG\r\n\x1a\n"):
        _check_png(file)
    elif head.startswith((b"GIF87a", b"GIF89a")):
        _check_gif(file)
    elif head.startswith(b"BM"):
        _check_bmp(file)
    elif head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        _check_webp(file)
    else:
        raise _Unreadable(f"not an image of a known format (starts with {head[:8]!r})")


def _check_size(width, height):
    if width < 1 or height < 1:
        raise _Unreadable(f"an image without pixels ({width} x {height})")
    if width * height > MAX_PIXELS:
        megapixels = MAX_PIXELS // 1_000_000
        raise _Unreadable(f"over {megapixels} megapixels ({width} x {height})")


def _check_jpeg(file):
    position, frame_seen = 2, False
    while True:
        segment = file.at(position, 10)
        if len(segment) < 4:
            raise _Unreadable("truncated JPEG: no picture data")
        if segment[0] != 0xFF:
            raise _Unreadable("damaged JPEG: no marker where one belongs")
        marker = segment[1]
        if marker == 0xFF:
            position += 1
            continue
        if marker == 0xDA:
            break
        if marker in DECODED_FRAMES:
            _check_jpeg_frame(segment)
            frame_seen = True
        elif marker in OTHER_FRAMES:
            raise _Unreadable("a lossless or hierarchical JPEG")
        elif marker in ALONE:
            raise _Unreadable(f"damaged JPEG: marker {marker:02X} before the picture data")
        position += 2 + (segment[2] << 8 | segment[3])
    if not frame_seen:
        raise _Unreadable("damaged JPEG: no frame header")
    if not file.ends_with(b"\xff\xd9", after=position):
        raise _Unreadable("truncated JPEG: no end marker")


def _check_jpeg_frame(segment):
    if len(segment) < 10:
        raise _Unreadable("truncated JPEG: no picture data")
    precision, height, width, components = struct.unpack(">BHHB", segment[4:])
    if precision != 8:
        raise _Unreadable(f"a JPEG of {precision} bits a channel")
    if components not in (1, 3, 4):
        raise _Unreadable(f"a JPEG of {components} channels")
    _check_size(width, height)


def _check_png(file):
    header = file.at(8, 25)
    if len(header) < 25:
        raise _Unreadable("truncated PNG: no header")
    length, name, width, height, depth, colour, compression, filtering, interlace, checksum = (
        struct.unpack(">I4sIIBBBBBI", header)
    )
    if (length, name) != (13, b"IHDR") or zlib.crc32(header[4:21]) != checksum:
        raise _Unreadable("damaged PNG: wrong header")
    if depth not in PNG_BIT_DEPTHS.get(colour, ()) or compression or filtering or interlace > 1:
        raise _Unreadable("damaged PNG: a header without meaning")
    _check_size(width, height)
    if not file.ends_with(PNG_END, after=33):
        raise _Unreadable("truncated PNG: no end mark")
    if file.size <= len(file.head):
        _check_png_chunks(file.head, colour)


def _check_png_chunks(contents, colour):
    position, names = 33, set()
    while b"IEND" not in names:
        length, name = struct.unpack_from(">I4s", contents.ljust(position + 8, b"\0"), position)
        end = position + 8 + length
        if end + 4 > len(contents):
            raise _Unreadable("damaged PNG: a chunk past the end of the file")
        # An upper-case first letter marks the chunks that a reader must understand.
        if name[:1].isupper() and zlib.crc32(contents[position + 4 : end]) != int.from_bytes(
            contents[end : end + 4]
        ):
            raise _Unreadable(f"damaged PNG: wrong checksum of {name.decode('ascii', 'replace')}")
        names.add(name)
        position = end + 4
    if b"IDAT" not in names or (colour == 3 and b"PLTE" not in names):
        raise _Unreadable("damaged PNG: no picture data")


def _check_gif(file):
    head = file.at(0, 13)
    if len(head) < 13:
        raise _Unreadable("truncated GIF: no header")
    width, height, flags = struct.unpack_from("<HHB", head, 6)
    _check_size(width, height)
    position, frames, pixels = 13 + _palette_bytes(flags), 0, 0
    pieces = iter(range(MAX_GIF_PIECES))
    for _ in range(MAX_GIF_BLOCKS):
        block = file.at(position, 10)
        if block[:1] == b"!":
            position = _end_of_gif_data(file, position + 2, pieces)
        elif block[:1] == b"," and len(block) == 10:
            left, top, frame_width, frame_height, flags = struct.unpack("<HHHHB", block[1:])
            # TensorFlow's canvas is as wide as the widest frame and as high as the highest.
            width, height = max(width, left + frame_width), max(height, top + frame_height)
            pixels += frame_width * frame_height
            _check_gif_size(width, height, pixels)
            position = _end_of_gif_data(file, position + 11 + _palette_bytes(flags), pieces)
            frames += position is not None
        else:
            break
        if position is None:
            break
    else:
        raise _Unreadable(f"a GIF of over {MAX_GIF_BLOCKS} blocks")
    # What is cut off after the first frame is no loss: TensorFlow decodes it, and takes that one.
    if not frames:
        raise _Unreadable("truncated GIF: no picture data")


def _check_gif_size(width, height, pixels):
    _check_size(width, height)
    if pixels > MAX_GIF_PIXELS:
        megapixels = MAX_GIF_PIXELS // 1_000_000
        raise _Unreadable(f"a GIF whose frames have over {megapixels} megapixels together")


def _palette_bytes(flags):
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _end_of_gif_data(file, position, pieces):
    """Where the next block of a GIF starts; None where the file ends before."""
    for _ in pieces:
        length = file.at(position, 1)
        if not length:
            return None
        position += 1 + length[0]
        if not length[0]:
            return position
    raise _Unreadable(f"a GIF of over {MAX_GIF_PIECES} pieces of data")


def _check_bmp(file):
    head = file.at(0, 66)
    if len(head) < 54:
        raise _Unreadable("truncated BMP: no header")
    start, header, width, height, _, depth, compression = struct.unpack_from("<IIiiHHI", head, 10)
    if header < 40:
        raise _Unreadable("a BMP of OS/2")
    if depth <= 8:
        raise _Unreadable("palette BMP")
    bit_fields = compression == 3 and depth == 32 and head[54:66] == BGRA_MASKS
    if depth not in (24, 32) or (compression != 0 and not bit_fields):
        raise _Unreadable(f"a BMP of {depth} bits, compression {compression}")
    _check_size(width, abs(height))
    expected = start + (width * depth // 8 + 3) // 4 * 4 * abs(height)
    if file.size != expected:
        raise _Unreadable(f"damaged BMP: {file.size} bytes where {expected} belong")


def _check_webp(file):
    head = file.at(0, 30)
    if len(head) < 30 or 8 + int.from_bytes(head[4:8], "little") > file.size:
        raise _Unreadable("truncated WebP")
    kind = head[12:16]
    if kind == b"VP8X":
        if head[20] & 2:
            raise _Unreadable("animated WebP")
        width, height = (1 + int.from_bytes(head[at : at + 3], "little") for at in (24, 27))
    elif kind == b"VP8L" and head[20] == 0x2F:
        bits = int.from_bytes(head[21:25], "little")
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    elif kind == b"VP8 " and head[23:26] == b"\x9d\x01\x2a":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", head, 26))
    else:
        raise _Unreadable("damaged WebP: no picture data")
    _check_size(width, height)
