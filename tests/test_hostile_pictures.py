"""A folder of pictures as bad as they come: what is usable is used, and the rest is named."""

import csv
import io
import os
import shutil
import socket
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_decode import TRANSPARENT, encode, tiff, with_segments
from trainings import SMALL_OPTIONS

pytestmark = pytest.mark.usefixtures("thin_networks")

FOLDER = "n02099601"
PICTURE = Image.effect_noise((96, 80), 90).convert("RGB")
JPEG = encode(PICTURE, "JPEG")
PNG = encode(PICTURE, "PNG")
EXTRA_MEMORY = 2**30


def chunk(name, contents):
    checksum = struct.pack(">I", zlib.crc32(name + contents))
    return struct.pack(">I", len(contents)) + name + contents + checksum


def bomb(side):
    """A whole PNG of one bit a pixel, all black."""
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    data = zlib.compress(bytes((side // 8 + 1) * side), 9)
    return PNG[:8] + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


USABLE = {
    "png.jpg": PNG,
    "cmyk.jpg": encode(PICTURE.convert("CMYK"), "JPEG"),
    "deep.png": encode(Image.fromarray(np.arange(6400, dtype=np.uint16).reshape(80, 80)), "PNG"),
    "palette.png": encode(PICTURE.quantize(64), "PNG", transparency=bytes(range(64))),
    "gray.jpg": encode(PICTURE.convert("L"), "JPEG"),
    "pixel.jpg": encode(PICTURE.resize((1, 1)), "JPEG"),
    "column.jpg": encode(PICTURE.resize((1, 20_000)), "JPEG"),
    "row.png": encode(PICTURE.resize((20_000, 1)), "PNG"),
    "moving.gif": encode(PICTURE, "GIF", save_all=True, append_images=[PICTURE.rotate(90)]),
    "still.webp": encode(PICTURE, "WEBP"),
    "alpha.webp": encode(TRANSPARENT, "WEBP"),
    **{
        f"turned-{order}-{number}.jpg": with_segments(
            JPEG, (0xE1, b"Exif\0\0" + tiff(number, order))
        )
        for order in "<>"
        for number in range(1, 9)
    },
    "with spaces .jpg": JPEG,
    "with a\nnewline.jpg": JPEG,
    "glob*[a-z]?{1,2}.jpg": JPEG,
    os.fsdecode(b"not-utf-8-\xff\xfe.jpg"): JPEG,
    "$(touch injected);`touch injected`.jpg": JPEG,
    "--option=value.jpg": JPEG,
}

UNUSABLE = {
    "nothing.jpg": (b"", "empty file"),
    "text.jpg": (b"this is no picture", "not an image of a known format"),
    "declared.jpg": (
        JPEG.replace(struct.pack(">HH", 80, 96), struct.pack(">HH", 20_000, 20_000)),
        "over 50 megapixels (20000 x 20000)",
    ),
    "bomb.png": (bomb(20_000), "over 50 megapixels (20000 x 20000)"),
    "wrong-checksum.png": (PNG[:-16] + b"\0\0\0\0" + PNG[-12:], "wrong checksum of IDAT"),
    "moving.webp": (
        encode(PICTURE, "WEBP", save_all=True, append_images=[PICTURE.rotate(90)]),
        "animated WebP",
    ),
    **{
        f"cut-{tenths}.jpg": (JPEG[: len(JPEG) * tenths // 10], "truncated")
        for tenths in range(1, 10)
    },
    **{f"cut-{tenths}.png": (PNG[: len(PNG) * tenths // 10], "") for tenths in range(1, 10)},
}


@pytest.fixture(scope="module")
def hostile(demo, tmp_path_factory):
    """The demo with such pictures in one of its folders; and what is no file of its own."""
    root = tmp_path_factory.mktemp("hostile") / "data"
    shutil.copytree(demo, root)
    folder = root / FOLDER
    for name, contents in USABLE.items():
        (folder / name).write_bytes(contents)
    for name, (contents, _) in UNUSABLE.items():
        (folder / name).write_bytes(contents)
    outside = root.with_name("outside.jpg")
    outside.write_bytes(JPEG)
    (folder / "link.jpg").symlink_to(folder / "gray.jpg")
    (folder / "link-outside.jpg").symlink_to(outside)
    (folder / "link-to-itself.jpg").symlink_to("link-to-itself.jpg")
    (folder / "link-to-nothing.jpg").symlink_to("nowhere")
    (folder / "folder.jpg").mkdir()
    (folder / "up").symlink_to(root, target_is_directory=True)
    os.mkfifo(folder / "pipe.jpg")
    # The path of a socket may not be long.
    place = os.open(folder, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"/proc/self/fd/{place}/socket.jpg")
    os.close(place)
    (folder / "locked.jpg").write_bytes(JPEG)
    (folder / "locked.jpg").chmod(0)
    yield root
    (folder / "locked.jpg").chmod(0o600)


NOT_FILES = {
    "link-to-itself.jpg": "cannot be opened: Too many levels of symbolic links",
    "link-to-nothing.jpg": "cannot be opened: No such file or directory",
    "pipe.jpg": "not a regular file",
    "socket.jpg": "not a regular file",
}
if os.geteuid():
    NOT_FILES["locked.jpg"] = "cannot be opened: Permission denied"


def run_alone(*arguments):
    """Run a command in a process of its own; gives the status, the output and its peak memory."""
    process = subprocess.Popen(
        [sys.executable, "-m", "modnet_keras.tools", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output = process.stdout.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, output, usage.ru_maxrss * 1024


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="binds a socket by /proc")
def test_data_and_train_use_what_is_usable_and_name_the_rest(hostile, demo, tmp_path):
    before = sorted((hostile / FOLDER).iterdir())
    others = sorted(folder.name for folder in demo.iterdir() if folder.name != FOLDER)
    # There are more negatives, so that no usable picture is left out by balancing.
    (tmp_path / "bad.yaml").write_text(
        f"name: bad\npositive: [{FOLDER}]\nnegative: [{', '.join(others)}]\n"
    )
    call = [f"--task={tmp_path / 'bad.yaml'}", f"--data={hostile}"]
    status, told, _ = run_alone("data", *call)
    assert status == 0, told
    call += SMALL_OPTIONS
    status, told_by_train, most = run_alone("train", *call, f"--runs={tmp_path / 'runs'}")
    assert status == 0, told_by_train
    expected = {name: reason for name, (_, reason) in UNUSABLE.items()} | NOT_FILES
    for output in (told, told_by_train):
        named = [line for line in output.splitlines() if line.startswith("Left out: ")]
        assert len(named) == len(expected)
        for name, reason in expected.items():
            (line,) = (line for line in named if line.startswith(f"Left out: '{FOLDER}/{name}'"))
            assert reason in line
    usable = {*USABLE, "link.jpg", "link-outside.jpg", *({"locked.jpg"} - NOT_FILES.keys())}
    usable |= {file.name for file in (demo / FOLDER).rglob("*.JPEG")}
    assert pictures_of(tmp_path / "runs" / "bad" / "scratch") == usable
    assert sorted((hostile / FOLDER).iterdir()) == before and not Path("injected").exists()
    call[1] = f"--data={demo}"
    status, told, least = run_alone("train", *call, f"--runs={tmp_path / 'clean'}")
    assert status == 0, told
    assert most - least < EXTRA_MEMORY


def pictures_of(run):
    """Names of the pictures of the folder that were trained and measured on."""
    with (run / "manifest.csv").open(
        newline="", encoding="utf-8", errors="surrogateescape"
    ) as text:
        paths = [row["path"] for row in csv.DictReader(text)]
    return {path.rsplit("/", 1)[1] for path in paths if path.startswith(f"{FOLDER}/")}


def test_the_bomb_is_a_whole_picture():
    """Or it would be refused for another reason."""
    with Image.open(io.BytesIO(bomb(400))) as picture:
        assert np.asarray(picture).shape == (400, 400)
