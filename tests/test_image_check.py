import io
import os
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from modnet_keras.data import image_check
from modnet_keras.data.image_check import IMAGE_SUFFIXES, check_image

ROWS, COLUMNS = np.mgrid[0:40, 0:56]
PIXELS = np.stack([COLUMNS * 4, ROWS * 6, (ROWS + COLUMNS) * 2], -1).astype(np.uint8)
PICTURE = Image.fromarray(PIXELS)
TRANSPARENT = PICTURE.copy()
TRANSPARENT.putalpha(Image.fromarray((COLUMNS * 4).astype(np.uint8)))
TURNED = PICTURE.rotate(90)


def encode(picture, kind, **options):
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def patched(contents, offset, replacement):
    return contents[:offset] + replacement + contents[offset + len(replacement) :]


JPEG = encode(PICTURE, "JPEG")
FRAME = JPEG.index(b"\xff\xc0")
PNG = encode(PICTURE, "PNG")
BMP = encode(PICTURE, "BMP")
GIF = encode(PICTURE.quantize(16), "GIF")
GIF_ANIMATION = encode(
    PICTURE.quantize(16), "GIF", save_all=True, append_images=[TURNED.quantize(16)]
)

READABLE = {
    "JPEG": JPEG,
    "grayscale JPEG": encode(PICTURE.convert("L"), "JPEG"),
    "CMYK JPEG": encode(PICTURE.convert("CMYK"), "JPEG"),
    "progressive JPEG": encode(PICTURE, "JPEG", progressive=True),
    "JPEG and a little more": JPEG + b"more" * 20,
    "JPEG and a film": JPEG + bytes(200_000),
    "JPEG after long metadata": JPEG[:2] + (b"\xff\xe5\xfd\xea" + bytes(65000)) * 2 + JPEG[2:],
    "JPEG with fill bytes": JPEG[:20] + b"\xff\xff" + JPEG[20:],
    "PNG": PNG,
    "16-bit PNG": encode(Image.fromarray((COLUMNS * 1000).astype(np.uint16)), "PNG"),
    "RGBA PNG": encode(TRANSPARENT, "PNG"),
    "LA PNG": encode(TRANSPARENT.convert("LA"), "PNG"),
    "palette PNG": encode(PICTURE.quantize(16), "PNG", transparency=bytes(range(16))),
    "1-bit PNG": encode(PICTURE.convert("1"), "PNG"),
    "large PNG": encode(Image.effect_noise((400, 300), 90), "PNG"),
    "BMP": BMP,
    "BMP with alpha": encode(TRANSPARENT, "BMP"),
    "BMP of odd width": encode(PICTURE.crop((0, 0, 55, 40)), "BMP"),
    "GIF": GIF,
    "animated GIF": GIF_ANIMATION,
    "animated GIF without its end": GIF_ANIMATION[:-20],
    "large GIF": encode(Image.effect_noise((400, 300), 90), "GIF"),
    "WebP": encode(PICTURE, "WEBP"),
    "lossless WebP": encode(PICTURE, "WEBP", lossless=True),
    "WebP with alpha": encode(TRANSPARENT, "WEBP"),
    "lossless WebP with alpha": encode(TRANSPARENT, "WEBP", lossless=True),
    "WebP with a profile": encode(PICTURE, "WEBP", icc_profile=b"profile" * 20),
    "one pixel": encode(PICTURE.crop((0, 0, 1, 1)), "JPEG"),
    "one column": encode(PICTURE.resize((1, 5000)), "JPEG"),
}

UNREADABLE = {
    "empty file": b"",
    "not an image of a known format (starts with b'<html><b')": b"<html><body>no",
    "not an image of a known format (starts with b'\\x00\\x00')": bytes(2),
    "truncated JPEG: no end marker": JPEG[:-2],
    "truncated JPEG: no picture data": JPEG[:100],
    "damaged JPEG: no marker where one belongs": patched(JPEG, 20, b"??"),
    "damaged JPEG: no frame header": JPEG[:FRAME] + JPEG[FRAME + 19 :],
    "a lossless or hierarchical JPEG": patched(JPEG, FRAME, b"\xff\xc3"),
    "a JPEG of 12 bits a channel": patched(JPEG, FRAME + 4, b"\x0c"),
    "a JPEG of 2 channels": patched(JPEG, FRAME + 9, b"\x02"),
    "over 50 megapixels (20000 x 20000)": patched(JPEG, FRAME + 5, b"\x4e\x20\x4e\x20"),
    "an image without pixels (0 x 40)": patched(JPEG, FRAME + 7, bytes(2)),
    "damaged JPEG: marker D0 before the picture data": JPEG[:20] + b"\xff\xd0" + JPEG[20:],
    "truncated PNG: no header": PNG[:20],
    "truncated PNG: no end mark": PNG[:-12],
    "damaged PNG: wrong header": patched(PNG, 20, b"\xff"),
    "damaged PNG: wrong checksum of IDAT": patched(PNG, 60, b"\xff\x00"),
    "damaged PNG: no picture data": PNG[:33] + PNG[-12:],
    "palette BMP": encode(PICTURE.quantize(16), "BMP"),
    "truncated BMP: no header": BMP[:50],
    "damaged BMP: 6775 bytes where 6774 belong": BMP + b"?",
    "a BMP of 16 bits, compression 0": patched(BMP, 28, b"\x10"),
    "truncated GIF: no header": GIF[:12],
    "truncated GIF: no picture data": GIF[:-10],
    "truncated WebP": READABLE["WebP"][:-1],
    "damaged WebP: no picture data": patched(READABLE["WebP"], 12, b"????"),
    "animated WebP": encode(PICTURE, "WEBP", save_all=True, append_images=[TURNED]),
}


@pytest.mark.parametrize("kind", READABLE)
def test_a_usable_picture_passes_whatever_its_name(tmp_path, kind):
    (tmp_path / "picture.txt").write_bytes(READABLE[kind])
    assert check_image(tmp_path / "picture.txt") is None
    assert check_image(str(tmp_path / "picture.txt"), size=len(READABLE[kind])) is None


@pytest.mark.parametrize("reason", UNREADABLE)
def test_what_is_no_usable_picture_is_named(tmp_path, reason):
    (tmp_path / "picture.jpg").write_bytes(UNREADABLE[reason])
    assert check_image(tmp_path / "picture.jpg") == reason


@pytest.mark.parametrize("kind", [kind for kind in READABLE if " and " not in kind])
def test_a_truncated_picture_does_not_pass(tmp_path, kind):
    contents = READABLE[kind]
    # Of an animated GIF the first frame is used, so that much is enough.
    whole = len(GIF) // 2 if "animated" in kind else len(contents)
    for tenths in range(10):
        (tmp_path / "picture").write_bytes(contents[: whole * tenths // 10])
        assert check_image(tmp_path / "picture") is not None, tenths


def test_a_thumbnail_s_end_marker_does_not_pass_for_the_picture_s(tmp_path):
    thumbnail = encode(PICTURE.resize((8, 6)), "JPEG")
    segment = b"\xff\xe1" + struct.pack(">H", 2 + len(thumbnail)) + thumbnail
    (tmp_path / "picture.jpg").write_bytes(JPEG[:2] + segment + JPEG[2:-20])
    assert check_image(tmp_path / "picture.jpg") == "truncated JPEG: no end marker"


@pytest.mark.parametrize("cut", [0, 1, 2])
def test_an_end_marker_far_before_a_long_tail_is_found(tmp_path, monkeypatch, cut):
    """Also where it lies across two of the pieces that are searched one by one."""
    film = bytes(range(250)) * 40
    monkeypatch.setattr(image_check, "HEAD_BYTES", 700)
    monkeypatch.setattr(image_check, "SEARCH_BYTES", 10)
    for start in range(20):
        contents = JPEG[:-2] + bytes(start) + JPEG[len(JPEG) - 2 : len(JPEG) - cut] + film
        (tmp_path / "picture").write_bytes(contents)
        reason = "truncated JPEG: no end marker" if cut else None
        assert check_image(tmp_path / "picture") == reason


def test_a_file_that_is_cut_off_while_it_is_looked_at_is_truncated(tmp_path, monkeypatch):
    (tmp_path / "picture").write_bytes(JPEG[:-2] + bytes(100_000))
    real_open = os.open

    def cut_off(path, *others):
        descriptor = real_open(path, *others)
        os.truncate(path, 70_000)
        return descriptor

    monkeypatch.setattr(os, "open", cut_off)
    assert check_image(tmp_path / "picture") == "truncated JPEG: no end marker"


def test_what_cannot_be_opened_is_named(tmp_path, monkeypatch):
    assert check_image(tmp_path / "none.jpg") == "cannot be opened: No such file or directory"
    assert check_image(tmp_path) == "not a regular file"
    os.mkfifo(tmp_path / "pipe.jpg")
    assert check_image(tmp_path / "pipe.jpg") == "not a regular file"

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "locked.jpg").write_bytes(JPEG)
    monkeypatch.setattr(os, "open", refuse)
    assert check_image(tmp_path / "locked.jpg") == "cannot be opened: Permission denied"


@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from([JPEG, PNG, BMP, GIF, READABLE["WebP"], READABLE["lossless WebP"]]),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=6),
    st.integers(0, 2000),
)
def test_damage_gives_a_reason_or_none_and_never_an_exception(
    tmp_path_factory, contents, changes, length
):
    damaged = bytearray(contents[:length])
    for position, value in changes:
        if position < len(damaged):
            damaged[position] = value
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(damaged)
    reason = check_image(path)
    assert reason is None or 5 < len(reason) < 80


def test_suffixes_are_lower_case_and_dotted():
    assert {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp"} == IMAGE_SUFFIXES
