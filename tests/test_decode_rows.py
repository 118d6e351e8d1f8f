"""Batches in which some rows are no pictures."""

import numpy as np
import pytest
import tensorflow as tf
from test_decode import FORMATS, JPEG, PICTURE, encode

from modnet_keras.data.decode import decode_centre
from modnet_keras.data.decode_rows import decode_rows, read_rows

SIZE = 32
decode = tf.function(
    lambda contents: decode_rows(contents, SIZE),
    input_signature=[tf.TensorSpec([None], tf.string)],
    autograph=False,
)
ANIMATION = encode(PICTURE, "WEBP", save_all=True, append_images=[PICTURE.rotate(90)])
HUGE_PNG = FORMATS["PNG"][:16] + (20_000).to_bytes(4) * 2 + FORMATS["PNG"][24:]
BROKEN = {
    "nothing": b"",
    "one byte": b"\xff",
    "text": b"no picture at all",
    "HTML": b"<html><body>404</body></html>",
    "zeros": bytes(2000),
    "the head of a JPEG": JPEG[:3],
    "half a JPEG": JPEG[: len(JPEG) // 2],
    "a JPEG without its end": JPEG[:-2],
    "a JPEG with a wrong marker": JPEG[:2] + b"\x00" + JPEG[3:],
    "the head of a PNG": FORMATS["PNG"][:8],
    "half a PNG": FORMATS["PNG"][:400],
    "a PNG without its end": FORMATS["PNG"][:-8],
    "a PNG of 20,000 x 20,000": HUGE_PNG,
    "half a GIF": FORMATS["GIF"][:60],
    "the head of a GIF": b"GIF89a",
    "half a WebP": FORMATS["WebP"][:200],
    "an animated WebP": ANIMATION,
    "a palette BMP": encode(PICTURE.quantize(64), "BMP"),
    "half a BMP": FORMATS["BMP"][:5000],
    "the head of a BMP": b"BM",
    "a BMP of 16 bits": FORMATS["BMP"][:28] + b"\x10" + FORMATS["BMP"][29:],
    "a TIFF": encode(PICTURE, "TIFF"),
    "an icon": encode(PICTURE.resize((16, 16)), "ICO"),
    "a PDF": b"%PDF-1.7\n" + bytes(100),
}


def test_every_kind_of_picture_is_valid_and_as_it_is_alone():
    pictures, valid = decode(list(FORMATS.values()))
    assert valid.numpy().all()
    for picture, contents in zip(pictures, FORMATS.values(), strict=True):
        np.testing.assert_array_equal(picture, decode_centre(contents, SIZE))


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_row_leaves_the_others_as_they_are(kind):
    good = [JPEG, FORMATS["PNG"], FORMATS["GIF"]]
    pictures, valid = decode([good[0], BROKEN[kind], *good[1:]])
    assert valid.numpy().tolist() == [True, False, True, True]
    alone, _ = decode(good)
    np.testing.assert_array_equal(tf.gather(pictures, [0, 2, 3]), alone)
    assert not pictures[1].numpy().any()


def test_all_may_be_broken_and_there_may_be_none():
    pictures, valid = decode(list(BROKEN.values()))
    assert pictures.shape == (len(BROKEN), SIZE, SIZE, 3) and not valid.numpy().any()
    pictures, valid = decode(tf.constant([], tf.string))
    assert pictures.shape == (1, SIZE, SIZE, 3) and valid.shape == (0,)


def test_a_file_that_is_not_there_is_no_picture(tmp_path):
    (tmp_path / "a.jpg").write_bytes(JPEG)
    paths = [str(tmp_path / "a.jpg"), str(tmp_path / "gone.jpg"), str(tmp_path)]
    pictures, valid = read_rows(paths, SIZE)
    assert valid.numpy().tolist() == [True, False, False]
    np.testing.assert_array_equal(pictures[0], decode_centre(JPEG, SIZE))
