"""The pictures of the report: which are shown, and how small."""

import base64
import io

import pytest
from PIL import Image

from modnet_keras.errors import WorkError
from modnet_keras.reports.thumbnails import SIDE, run_pictures, thumbnail


def test_the_worst_mistakes_are_the_most_confident_wrong_ones(tmp_path):
    rows = [("a", 1, 0.4), ("b", 0, 0.99), ("c", 1, 0.97), ("d", 1, 0.02), ("e", 0, 0.01)]
    for name, *_ in rows:
        Image.new("RGB", (8, 8)).save(tmp_path / f"{name}.png")
    lines = [f"{name}.png,n02115335,{label},{probability}" for name, label, probability in rows]
    (tmp_path / "predictions.csv").write_text("\n".join(["path,class,label,probability", *lines]))
    pictures = run_pictures(tmp_path, str(tmp_path), "dogs")
    assert [tile["path"] for tile in pictures["mistakes"]] == ["b.png", "d.png", "a.png"]
    assert (pictures["wrong"], pictures["n"], len(pictures["samples"])) == (3, 5, 5)
    worst = pictures["mistakes"][0]
    assert (worst["said"], worst["is"], worst["class"]) == ("dogs", "not-dogs", "wild dog")


@pytest.mark.parametrize(
    "line",
    ["", "../secret.png,x,1,0.1", "/etc/secret.png,x,1,0.1", "a.png,x,2,0.1", "a.png,x,1,nan"],
)
def test_damaged_predictions_are_named_and_nothing_outside_is_read(tmp_path, line):
    (tmp_path / "predictions.csv").write_text(f"path,class,label,probability\n{line}\n")
    with pytest.raises(WorkError, match="predictions.csv' cannot be used"):
        run_pictures(tmp_path, str(tmp_path), "wolf")


def picture_of(address):
    return Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))


def test_thumbnails_are_small_and_upright(tmp_path):
    image = Image.new("RGB", (1000, 500), "red")
    image.paste("blue", (0, 0, 500, 500))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter to the right
    image.save(tmp_path / "a.jpg", exif=exif)
    small = picture_of(thumbnail(tmp_path / "a.jpg"))
    assert small.size == (SIDE // 2, SIDE)
    assert small.getpixel((40, 20))[2] > 200 and small.getpixel((40, 140))[0] > 200


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "CMYK", "L", "1"])
def test_thumbnails_of_any_kind_of_picture(tmp_path, mode):
    file = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    Image.new(mode, (20, 10)).save(file)
    small = picture_of(thumbnail(file))
    assert small.mode == "RGB" and small.size == (20, 10)
    if mode in ("RGBA", "LA"):
        assert min(small.getpixel((5, 5))) > 250  # nothing is there, so the page shines through
