import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from modnet_keras.data.decode import (
    NO_JPEG,
    decode_centre,
    decode_window,
    exif_orientation,
    image_shape,
)

ROWS, COLUMNS = np.mgrid[0:96, 0:128]
SMOOTH = np.stack([COLUMNS * 1.9, ROWS * 2.6, 120 + 60 * np.sin(ROWS / 9) - COLUMNS / 3], -1)
PICTURE = Image.fromarray(SMOOTH.astype(np.uint8))
TRANSPARENT = PICTURE.copy()
TRANSPARENT.putalpha(Image.fromarray(COLUMNS.astype(np.uint8)))
PALETTE = PICTURE.quantize(64)


def encode(picture, kind, **options):
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def upright(contents):
    """Pillow's reading of a picture: turned upright, without alpha."""
    return ImageOps.exif_transpose(Image.open(io.BytesIO(contents))).convert("RGB")


def tiff(orientation, order="<", before=0):
    """An EXIF structure with the orientation after so many other entries."""
    others = [struct.pack(order + "HHII", 0x0100 + k, 4, 1, 6) for k in range(before)]
    entry = struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    return head + struct.pack(order + "H", 1 + before) + b"".join([*others, entry]) + bytes(4)


def with_segments(jpeg, *segments, at=2):
    """A JPEG with metadata segments, each a marker's second byte and its contents, put in."""
    packed = [b"\xff" + bytes([m]) + struct.pack(">H", 2 + len(c)) + c for m, c in segments]
    return jpeg[:at] + b"".join(packed) + jpeg[at:]


JPEG = encode(PICTURE, "JPEG", quality=95)
AFTER_JFIF = 20
FORMATS = {
    "JPEG": JPEG,
    "4:4:4 JPEG": encode(PICTURE, "JPEG", quality=95, subsampling=0),
    "progressive JPEG": encode(PICTURE, "JPEG", quality=95, progressive=True),
    "grayscale JPEG": encode(PICTURE.convert("L"), "JPEG", quality=95),
    "CMYK JPEG": encode(PICTURE.convert("CMYK"), "JPEG", quality=95),
    "PNG": encode(PICTURE, "PNG"),
    "RGBA PNG": encode(TRANSPARENT, "PNG"),
    "LA PNG": encode(TRANSPARENT.convert("LA"), "PNG"),
    "grayscale PNG": encode(PICTURE.convert("L"), "PNG"),
    "palette PNG": encode(PALETTE, "PNG"),
    "palette PNG with alpha": encode(PALETTE, "PNG", transparency=bytes(range(64))),
    "BMP": encode(PICTURE, "BMP"),
    "BMP of odd width": encode(PICTURE.crop((0, 0, 127, 95)), "BMP"),
    "BMP with alpha": encode(TRANSPARENT, "BMP"),
    "GIF": encode(PALETTE, "GIF"),
    "animated GIF": encode(
        PALETTE, "GIF", save_all=True, append_images=[PICTURE.rotate(180).quantize(64)]
    ),
    "WebP": encode(PICTURE, "WEBP"),
    "lossless WebP": encode(PICTURE, "WEBP", lossless=True),
    "WebP with alpha": encode(TRANSPARENT, "WEBP"),
    "lossless WebP with alpha": encode(TRANSPARENT, "WEBP", lossless=True, exact=True),
    "WebP with alpha and metadata": encode(TRANSPARENT, "WEBP", exif=tiff(1), exact=True),
    "WebP with metadata": encode(PICTURE, "WEBP", exif=tiff(1)),
}


def compiled(function, *arguments):
    """A `tf.function` without autograph, as the endpoints of an exported model are."""
    return tf.function(
        function,
        autograph=False,
        input_signature=[tf.TensorSpec([], tf.string), *arguments],
    )


WINDOW = tf.TensorSpec([4], tf.int32)
decode_to_32 = compiled(lambda contents, window: decode_window(contents, window, 32), WINDOW)
shape_of = compiled(lambda contents: tf.stack(image_shape(contents)))
orientation_of = compiled(exif_orientation)


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_decodes_as_pillow_decodes_it(kind):
    right = upright(FORMATS[kind])
    height, width = right.height, right.width
    assert shape_of(FORMATS[kind]).numpy().tolist() == [height, width]
    # A window as large as the result is not resized at all.
    pixels = decode_to_32(FORMATS[kind], [5, 7, 32, 32]).numpy()
    assert pixels.dtype == np.float32
    error = np.abs(pixels - np.asarray(right, np.float32)[5:37, 7:39])
    # Libraries differ by a rounding; at a crop's edge libjpeg also upsamples colours without the
    # neighbours outside.
    assert np.median(error) <= 1
    assert error[1:-1, 1:-1].max() <= 4


def test_a_deep_png_is_read_by_its_high_bytes():
    deep = (COLUMNS * 500).astype(np.uint16)
    pixels = decode_to_32(encode(Image.fromarray(deep), "PNG"), [0, 64, 32, 32]).numpy()
    np.testing.assert_array_equal(pixels[..., 1], deep[:32, 64:96] >> 8)


@pytest.mark.parametrize("channels", [PICTURE, TRANSPARENT])
def test_an_animated_webp_is_refused(channels):
    animation = encode(channels, "WEBP", save_all=True, append_images=[channels.rotate(90)])
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode_to_32(animation, [0, 0, 32, 32])


@pytest.mark.parametrize("contents", [b"", b"GIF", b"<html>", b"\xff\xd8\xff", JPEG[:-200]])
def test_what_is_no_picture_is_refused(contents):
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode_to_32(contents, [0, 0, 96, 96])


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_as_pillow_turns_it(orientation, order):
    contents = with_segments(JPEG, (0xE1, b"Exif\0\0" + tiff(orientation, order)), at=AFTER_JFIF)
    right = upright(contents)
    assert orientation_of(contents) == orientation
    assert shape_of(contents).numpy().tolist() == [right.height, right.width]
    exact = decode_to_32(contents, [9, 40, 32, 32]).numpy()
    expected = np.asarray(right, np.float32)[9:41, 40:72]
    assert np.abs(exact - expected)[1:-1, 1:-1].max() <= 4
    scaled = decode_to_32(contents, [3, 5, 80, 84]).numpy()
    small = right.resize((32, 32), Image.Resampling.BILINEAR, box=(5, 3, 89, 83))
    assert np.abs(scaled - np.asarray(small, np.float32)).mean() < 4


@pytest.mark.parametrize(
    ("contents", "orientation"),
    [
        (JPEG, 1),
        (with_segments(JPEG, (0xE1, b"Exif\0\0" + tiff(6, before=9))), 6),
        (
            with_segments(
                JPEG, (0xFE, b"note"), (0xE1, b"http://ns"), (0xE1, b"Exif\0\0" + tiff(8))
            ),
            8,
        ),
        (with_segments(JPEG, (0xE1, b"Exif\0\0" + tiff(3)), (0xE1, b"Exif\0\0" + tiff(6))), 3),
        (with_segments(JPEG, (0xE1, b"Exif\0\0" + tiff(0))), 1),
        (with_segments(JPEG, (0xE1, b"Exif\0\0" + tiff(9))), 1),
        (with_segments(JPEG, (0xE1, b"Exif\0\0" + tiff(6)[:10])), 1),
        (with_segments(JPEG, (0xE1, b"Exif\0\0II*\0\xff\xff\xff\xff")), 1),
        (with_segments(JPEG, (0xE1, b"Exif\0\0")), 1),
        (with_segments(JPEG, (0xE1, b"Exif\0\0" + tiff(6)))[:12], 1),
        (b"\xff\xd8\xff", 1),
        (b"", NO_JPEG),
        (FORMATS["PNG"], NO_JPEG),
    ],
)
def test_the_orientation_of_a_jpeg_is_found_or_is_1(contents, orientation):
    assert orientation_of(contents) == orientation


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=80))
def test_no_metadata_breaks_the_reading_of_the_orientation(metadata):
    contents = with_segments(JPEG, (0xE1, b"Exif\0\0" + metadata))
    assert 1 <= orientation_of(contents) <= 8
    assert 1 <= orientation_of(b"\xff\xd8\xff" + metadata) <= 8


LARGE = PICTURE.resize((901, 701), Image.Resampling.BICUBIC)
LARGE_JPEG = encode(LARGE, "JPEG", quality=95)


@pytest.mark.parametrize(
    "window",
    [
        (0, 0, 701, 901),
        (131, 217, 40, 47),
        (133, 215, 65, 70),
        (133, 219, 129, 141),
        (7, 3, 257, 300),
        (300, 500, 401, 401),
        (350, 1, 351, 800),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_window_holds_its_part_of_the_picture_at_every_ratio(window, kind):
    contents = LARGE_JPEG if kind == "JPEG" else encode(LARGE, "PNG")
    top, left, height, width = window
    pixels = decode_to_32(contents, window).numpy()
    box = (left, top, left + width, top + height)
    right = LARGE.resize((32, 32), Image.Resampling.BILINEAR, box=box)
    error = pixels - np.asarray(right, np.float32)
    # A scaled pixel is at most as large as one of the result, and edges fall on the nearest.
    step = np.abs(np.gradient(np.asarray(right, np.float32), axis=(0, 1))).mean()
    assert np.abs(error).mean() < 1.5 + 0.5 * step
    assert np.abs(error.mean((0, 1))).max() < 1.0 + 0.5 * step


def test_scaled_windows_are_not_off_to_one_side():
    rows, columns = np.mgrid[0:701, 0:901]
    slopes = np.stack([columns / 4, rows / 3, 0 * rows], -1).round()
    contents = encode(Image.fromarray(slopes.astype(np.uint8)), "JPEG", quality=95)
    errors = []
    for left in range(3, 300, 9):
        top, height, width = left // 2, 290 + left % 4, 299 - left % 5
        found = decode_to_32(contents, [top, left, height, width]).numpy().mean((0, 1))
        middle = [left + (width - 1) / 2, top + (height - 1) / 2]
        errors.append(found[:2] * [4, 3] - middle)
    # In pixels of the stored picture, of which a scaled one has eight.
    assert np.abs(errors).max() < 6
    assert np.abs(np.mean(errors, axis=0)).max() < 1.5


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_every_window_inside_the_picture_can_be_decoded(data):
    height = data.draw(st.integers(1, 701))
    width = data.draw(st.integers(1, 901))
    window = [
        data.draw(st.integers(0, 701 - height)),
        data.draw(st.integers(0, 901 - width)),
        height,
        width,
    ]
    pixels = decode_to_32(LARGE_JPEG, window).numpy()
    assert pixels.min() >= 0
    assert pixels.max() <= 255


def test_a_detailed_picture_is_not_aliased():
    checks = np.indices((800, 800)).sum(0) % 2 * 255
    for kind in ("PNG", "JPEG"):
        contents = encode(Image.fromarray(checks.astype(np.uint8)), kind)
        pixels = decode_to_32(contents, [0, 0, 800, 800]).numpy()
        assert pixels.std() < 3, kind


def test_small_windows_are_enlarged():
    pixels = decode_to_32(JPEG, [10, 20, 11, 15]).numpy()
    right = PICTURE.resize((32, 32), Image.Resampling.BILINEAR, box=(20, 10, 35, 21))
    assert np.abs(pixels - np.asarray(right, np.float32)).mean() < 2


def test_the_centre_is_the_middle_square_of_the_upright_picture():
    turned = with_segments(JPEG, (0xE1, b"Exif\0\0" + tiff(6)))
    for contents, window in ((JPEG, [6, 22, 84, 84]), (turned, [22, 6, 84, 84])):
        np.testing.assert_array_equal(
            decode_centre(contents, 32), decode_window(contents, window, 32)
        )


TURNED_JPEG = with_segments(JPEG, (0xE1, b"Exif\0\0" + tiff(5)))


def test_the_bits_are_the_same_eager_in_a_function_in_a_dataset_and_exported(tmp_path):
    pictures = [JPEG, TURNED_JPEG, LARGE_JPEG, FORMATS["PNG"], FORMATS["WebP with alpha"]]
    module = tf.Module()
    module.decode = compiled(lambda contents: decode_centre(contents, 32))
    tf.saved_model.save(module, tmp_path)
    exported = tf.saved_model.load(tmp_path)
    dataset = tf.data.Dataset.from_tensor_slices(pictures)
    mapped = dataset.map(lambda contents: decode_centre(contents, 32), num_parallel_calls=2)
    for contents, in_dataset in zip(pictures, mapped, strict=True):
        eager = decode_centre(contents, 32).numpy()
        assert eager.shape == (32, 32, 3)
        np.testing.assert_array_equal(eager, in_dataset)
        np.testing.assert_array_equal(eager, module.decode(contents))
        np.testing.assert_array_equal(eager, exported.decode(contents))
