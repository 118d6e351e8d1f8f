import hashlib
import os
import shutil
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from modnet_keras import build_manifest, load_task
from modnet_keras.data.manifest import _draw_evenly, read_manifest
from modnet_keras.data.splits import Fold
from modnet_keras.errors import CallError, WorkError


def draw(folder, count, start=0):
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(start, start + count):
        Image.new("RGB", (8, 8), (number % 256, 0, 0)).save(folder / f"{number}.png")


@pytest.fixture
def spec(tmp_path):
    file = tmp_path / "pets.yaml"
    file.write_text("name: pets\npositive: [dog]\nnegative: [cup, tree]\n")
    return load_task(file)


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    draw(folder / "dog", 20)
    draw(folder / "cup", 30)
    draw(folder / "tree", 10)
    return folder


def test_sides_are_equal_in_each_split_and_classes_share_evenly(spec, pictures):
    manifest = build_manifest(spec, pictures)
    assert manifest.counts() == Counter(
        {
            (1, "dog", "train"): 16,
            (1, "dog", "val"): 4,
            (0, "cup", "train"): 8,
            (0, "cup", "val"): 2,
            (0, "tree", "train"): 8,
            (0, "tree", "val"): 2,
        }
    )
    assert manifest.available[0, "cup", "train"] == 24


def test_what_does_not_divide_evenly_goes_to_the_smaller_classes(tmp_path):
    """Of equally large ones to those that come first by name."""
    (tmp_path / "pets.yaml").write_text("name: pets\npositive: [dog]\nnegative: [cup, tree, van]\n")
    for name, count in (("dog", 10), ("cup", 10), ("tree", 10), ("van", 5)):
        draw(tmp_path / "pictures" / name, count)
    counts = build_manifest(load_task(tmp_path / "pets.yaml"), tmp_path / "pictures").counts()
    taken = [
        counts[0, name, split] for split in ("train", "val") for name in ("cup", "tree", "van")
    ]
    assert taken == [3, 2, 3, 1, 0, 1]


def test_validation_is_the_first_by_sha256_of_seed_class_and_name(spec, pictures):
    manifest = build_manifest(spec, pictures, seed=3)
    names = [f"{number}.png" for number in range(20)]
    ranked = sorted(names, key=lambda name: hashlib.sha256(f"3\0dog\0{name}".encode()).digest())
    in_val = manifest.path[(manifest.split == "val") & (manifest.label == 1)]
    assert set(in_val) == {f"dog/{name}" for name in ranked[:4]}


def test_another_seed_gives_another_split(spec, pictures):
    first, second = (build_manifest(spec, pictures, seed=seed) for seed in (0, 1))
    assert set(first.path[first.split == "val"]) != set(second.path[second.split == "val"])


def test_split_is_one_for_all_tasks_of_a_hierarchy(demo):
    split_of = {}
    for name in ("animals", "canines", "felines", "wolf", "retrievers"):
        manifest = build_manifest(load_task(name), demo)
        for path, split in zip(manifest.path, manifest.split, strict=True):
            assert split_of.setdefault(path, split) == split


def test_unreadable_pictures_are_named_and_move_no_other(spec, pictures):
    before = build_manifest(spec, pictures, balance=False)
    (pictures / "dog" / "3.png").write_bytes(b"no picture at all")
    after = build_manifest(spec, pictures, balance=False)
    assert list(after.unreadable) == ["dog/3.png"] and after.unreadable["dog/3.png"]
    kept = before.path != "dog/3.png"
    assert list(after.path) == list(before.path[kept])
    assert list(after.split) == list(before.split[kept])


def test_a_picture_that_was_mended_is_looked_at_again(spec, pictures):
    good = (pictures / "dog" / "3.png").read_bytes()
    (pictures / "dog" / "3.png").write_bytes(good[:-20])
    assert build_manifest(spec, pictures).unreadable
    (pictures / "dog" / "3.png").write_bytes(good)
    assert not build_manifest(spec, pictures).unreadable


def test_own_train_and_val_folders_are_the_split(spec, tmp_path):
    for split, count in (("train", 6), ("val", 3)):
        for name in ("dog", "cup", "tree"):
            draw(tmp_path / "own" / split / name, count, start=10 if split == "val" else 0)
    manifest = build_manifest(spec, tmp_path / "own")
    assert all(
        path.startswith(split) for path, split in zip(manifest.path, manifest.split, strict=True)
    )
    anew = build_manifest(spec, tmp_path / "own", val_fraction=0.5)
    assert not all(
        path.startswith(split) for path, split in zip(anew.path, anew.split, strict=True)
    )


def test_a_fold_of_a_folder_whose_pictures_are_all_unreadable_is_refused(spec, tmp_path):
    for folder in ("train/dog", "train/cup", "val/dog", "val/tree"):
        (tmp_path / "own" / folder).mkdir(parents=True)
        (tmp_path / "own" / folder / "1.png").write_bytes(b"no picture")
    with pytest.raises(WorkError, match="no training picture of task pets's positive side"):
        build_manifest(spec, tmp_path / "own", fold=Fold(1, 2))


def test_a_side_without_pictures_is_named(spec, pictures):
    shutil.rmtree(pictures / "dog")
    draw(pictures / "other", 3)
    with pytest.raises(CallError, match="'dog'"):
        build_manifest(spec, pictures)


def test_a_synset_side_without_pictures_is_named(tmp_path):
    draw(tmp_path / "n02123045", 5)
    with pytest.raises(WorkError, match=r"canines's positive side \(n02083346\)"):
        build_manifest(load_task("canines"), tmp_path)


def test_a_folder_without_pictures_is_refused(spec, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(WorkError, match="holds no pictures"):
        build_manifest(spec, tmp_path / "empty")


def test_a_folder_that_is_not_there_is_refused(spec):
    with pytest.raises(CallError, match="'demoo' is not there .did you mean demo"):
        build_manifest(spec, "demoo")


def test_what_is_written_is_read_back(spec, pictures, tmp_path):
    manifest = build_manifest(spec, pictures)
    manifest.write(tmp_path / "manifest.csv")
    assert (tmp_path / "manifest.csv").read_text().startswith("path,class,label,split\n")
    back = read_manifest(tmp_path / "manifest.csv", pictures, manifest.fingerprint)
    for field in ("path", "image_class", "label", "split"):
        np.testing.assert_array_equal(getattr(back, field), getattr(manifest, field))


@pytest.mark.parametrize(
    "row", ["../x.png,dog,1,train", "/etc/x.png,dog,1,train", "x.png,dog,2,train", "x.png,dog,1"]
)
def test_a_manifest_that_was_tampered_with_is_refused(row, tmp_path):
    (tmp_path / "manifest.csv").write_text(f"path,class,label,split\n{row}\n")
    with pytest.raises(WorkError, match="line 2"):
        read_manifest(tmp_path / "manifest.csv", tmp_path, "")


def test_fingerprint_is_that_of_the_pictures_wherever_they_lie(spec, pictures, tmp_path):
    shutil.copytree(pictures, tmp_path / "moved")
    moved = build_manifest(spec, tmp_path / "moved")
    assert moved.fingerprint == build_manifest(spec, pictures).fingerprint
    with (tmp_path / "moved" / "dog" / "0.png").open("ab") as file:
        file.write(b"appended")
    assert build_manifest(spec, tmp_path / "moved").fingerprint != moved.fingerprint
    shutil.copy(pictures / "dog" / "0.png", tmp_path / "moved" / "dog")
    assert build_manifest(spec, tmp_path / "moved").fingerprint == moved.fingerprint
    draw(tmp_path / "moved" / "dog", 1, start=99)
    assert build_manifest(spec, tmp_path / "moved").fingerprint != moved.fingerprint


def test_nothing_is_written_in_the_data_folder(spec, pictures):
    before = sorted((path, path.stat().st_mtime_ns) for path in pictures.rglob("*"))
    build_manifest(spec, pictures)
    assert sorted((path, path.stat().st_mtime_ns) for path in pictures.rglob("*")) == before


def test_links_to_folders_are_followed_but_not_in_circles(spec, pictures):
    (pictures / "dog" / "round").symlink_to(pictures, target_is_directory=True)
    assert len(build_manifest(spec, pictures)) == 40


manifest_tokens = st.sampled_from(
    ["path,class,label,split", "\n", "\r", ",", '"', "a/b.jpg", "..", "/", "a", "0", "1", "train"]
    + ["val", "\0", "\ud8ff", ";", " ", "\u2028", "x" * 200_000, "../../etc/passwd", "/etc/passwd"]
)
manifests = st.lists(manifest_tokens, max_size=20).map("".join)


@settings(deadline=None)
@given(
    manifests.map(lambda text: text.encode("utf-8", "surrogatepass"))
    | manifests.map(lambda text: f"path,class,label,split\n{text}".encode("utf-8", "surrogatepass"))
    | st.binary(max_size=60)
)
def test_any_file_gives_a_manifest_inside_the_data_folder_or_is_refused(tmp_path_factory, contents):
    file = tmp_path_factory.getbasetemp() / "manifest.csv"
    file.write_bytes(contents)
    try:
        manifest = read_manifest(file, "/data", "fingerprint")
    except WorkError as error:
        assert str(file) in str(error)
    else:
        for path in (*manifest.paths("train"), *manifest.paths("val")):
            assert os.path.normpath(path).startswith("/data/") and "\0" not in path


@given(st.lists(st.integers(1, 30), min_size=1, max_size=8), st.data())
def test_balancing_takes_the_target_as_evenly_as_classes_last(sizes, data):
    target = data.draw(st.integers(1, sum(sizes)))
    rows = [
        (f"{cls}/{i}.png", str(cls), 0, "train") for cls, n in enumerate(sizes) for i in range(n)
    ]
    taken = Counter(row[1] for row in _draw_evenly(rows, target, seed=0))
    assert sum(taken.values()) == target
    most = max(taken.values())
    for cls, size in enumerate(sizes):
        # A class may fall behind the largest share by the odd picture, or because it ran out.
        assert taken[str(cls)] >= min(size, most - 1)
