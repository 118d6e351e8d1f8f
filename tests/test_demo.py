import hashlib
import os
import re
import subprocess
import sys

import pytest
from PIL import Image

from modnet_keras.data.demo import DEMO_CLASSES, demo_folder, draw_demo
from modnet_keras.data.demo import folder as demo_module
from modnet_keras.data.demo.canvas import IMAGE_SIZE
from modnet_keras.errors import WorkError


def contents(folder):
    """Hash of every picture by its path below the folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.JPEG"))
    }


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    reports = []
    draw_demo(folder, images_per_class=2, seed=3, progress=lambda *counts: reports.append(counts))
    return folder, reports


def test_every_class_is_a_wordnet_folder_of_jpegs_of_one_size(drawn):
    folder, _ = drawn
    assert len(DEMO_CLASSES) >= 16
    assert {path.name for path in folder.iterdir()} == set(DEMO_CLASSES)
    for wnid in DEMO_CLASSES:
        assert re.fullmatch(r"n\d{8}", wnid)
        pictures = sorted((folder / wnid / "images").iterdir())
        assert [path.name for path in pictures] == [f"{wnid}_{i}.JPEG" for i in range(2)]
        for path in pictures:
            with Image.open(path) as image:
                assert (image.format, image.mode) == ("JPEG", "RGB")
                assert image.size == (IMAGE_SIZE, IMAGE_SIZE) == (96, 96)


def test_default_set_is_large_enough():
    assert len(DEMO_CLASSES) * demo_module.IMAGES_PER_CLASS >= 1800


def test_no_two_pictures_are_the_same(drawn):
    hashes = list(contents(drawn[0]).values())
    assert len(set(hashes)) == len(hashes) == 2 * len(DEMO_CLASSES)


def test_progress_counts_every_picture(drawn):
    counts = [done for done, _ in drawn[1]]
    total = 2 * len(DEMO_CLASSES)
    assert counts == sorted(counts)
    assert counts[-1] == total
    assert {whole for _, whole in drawn[1]} == {total}


def test_same_seed_gives_the_same_bits_whatever_the_workers(drawn, tmp_path, monkeypatch):
    for cores in (1, 3):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        draw_demo(tmp_path / str(cores), images_per_class=2, seed=3)
        assert contents(tmp_path / str(cores)) == contents(drawn[0])


def test_a_picture_does_not_depend_on_how_many_are_drawn_or_on_the_class_before(drawn, tmp_path):
    draw_demo(tmp_path, images_per_class=1, seed=3)
    whole = contents(drawn[0])
    assert contents(tmp_path).items() <= whole.items()


def test_another_seed_gives_other_pictures(drawn, tmp_path):
    draw_demo(tmp_path, images_per_class=1, seed=4)
    assert not set(contents(tmp_path).values()) & set(contents(drawn[0]).values())


def test_cached_folder_is_drawn_once_and_whole(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(demo_module, "IMAGES_PER_CLASS", 1)
    calls = []
    folder = demo_folder(progress=lambda *counts: calls.append(counts))
    assert len(contents(folder)) == len(DEMO_CLASSES)
    assert calls[-1] == (len(DEMO_CLASSES), len(DEMO_CLASSES))
    assert list(folder.parent.iterdir()) == [folder]

    def drawn_again(*counts):
        raise AssertionError("drawn a second time")

    assert demo_folder(progress=drawn_again) == folder


def test_an_interrupted_drawing_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(demo_module, "IMAGES_PER_CLASS", 1)

    def interrupt(*counts):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        demo_folder(progress=interrupt)
    assert list((tmp_path / "modnet_keras").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WorkError, match="file"):
        draw_demo(tmp_path / "file" / "demo", images_per_class=1)


def test_a_failing_drawing_process_is_reported(tmp_path, monkeypatch):
    """A folder stands where a picture should go."""
    wnid = next(iter(DEMO_CLASSES))
    (tmp_path / wnid / "images" / f"{wnid}_0.JPEG").mkdir(parents=True)
    with pytest.raises(WorkError, match=f"{wnid}_0.JPEG"):
        draw_demo(tmp_path, images_per_class=1)


def test_drawing_does_not_load_tensorflow():
    code = "import modnet_keras.data.demo, sys; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
