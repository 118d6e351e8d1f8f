"""One split for the whole hierarchy: by a rule, or by folds."""

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modnet_keras import build_manifest, load_run, load_task
from modnet_keras.data.splits import Fold, draw_fold, draw_split
from modnet_keras.errors import CallError, WorkError

names = st.text("abcdefgh", min_size=1, max_size=4)
folders = st.dictionaries(
    names, st.sets(names, min_size=1, max_size=30), min_size=1, max_size=5
).filter(lambda found: max(map(len, found.values())) >= 4)


def paths_of(found):
    return [f"{folder}/{name}.jpg" for folder, files in found.items() for name in files]


@settings(deadline=None, max_examples=50)
@given(folders, st.integers(2, 4), st.integers(0, 1000))
def test_folds_hold_every_image_out_once_and_every_class_alike(found, folds, seed):
    paths = paths_of(found)
    drawn = [draw_fold(paths, Fold(number, folds, seed)) for number in range(1, folds + 1)]
    for path in paths:
        assert sorted(split[path] for split in drawn) == ["train"] * (folds - 1) + ["val"]
    for folder in found:
        held_out = [sum(split[path] == "val" for path in paths if path.startswith(f"{folder}/"))
                    for split in drawn]  # fmt: skip
        assert max(held_out) - min(held_out) <= 1


@settings(deadline=None, max_examples=25)
@given(folders, st.randoms(use_true_random=False))
def test_a_fold_is_the_same_in_whatever_order_the_folder_is_listed(found, random):
    paths = paths_of(found)
    shuffled = list(paths)
    random.shuffle(shuffled)
    assert draw_fold(paths, Fold(1, 3, 7)) == draw_fold(shuffled, Fold(1, 3, 7))


def test_another_seed_deals_the_images_out_anew():
    paths = [f"cats/{number}.jpg" for number in range(100)]
    drawn = [draw_fold(paths, Fold(1, 5, seed)) for seed in range(4)]
    assert len({tuple(sorted(split.items())) for split in drawn}) == 4


def test_a_split_of_a_smaller_share_lies_within_that_of_a_larger_one():
    paths = [f"cats/{number}.jpg" for number in range(100)]
    held_out = [
        {path for path, split in draw_split(paths, 3, share).items() if split == "val"}
        for share in (0.1, 0.2, 0.3)
    ]
    assert [len(found) for found in held_out] == [10, 20, 30]
    assert held_out[0] < held_out[1] < held_out[2]


@pytest.mark.parametrize(("images", "held_out"), [(2, 0), (3, 1), (7, 1), (8, 2), (12, 2)])
def test_a_fifth_of_a_class_is_rounded_to_the_nearest_number(images, held_out):
    split = draw_split([f"a/{number}.png" for number in range(images)], 0, 0.2)
    assert list(split.values()).count("val") == held_out


def test_a_fold_serves_every_task_alike(demo):
    fold = Fold(2, 5, 4)
    manifests = [build_manifest(load_task(name), demo, fold=fold) for name in ("animals", "wolf")]
    splits = [dict(zip(each.path, each.split, strict=True)) for each in manifests]
    common = splits[0].keys() & splits[1].keys()
    assert common and all(splits[0][path] == splits[1][path] for path in common)
    canines = build_manifest(load_task("canines"), demo, fold=fold, balance=False)
    by_class = Counter((cls, split) for _, cls, split in canines.available)
    assert set(by_class.values()) == {1}
    held_out = Counter()
    for (_, cls, split), images in canines.available.items():
        held_out[cls] += images * (split == "val")
    assert set(held_out.values()) == {4}


def test_folds_take_the_place_of_a_folders_own_split(tmp_path, demo):
    task = load_task("canines")
    for split in ("train", "val"):
        (tmp_path / split).symlink_to(demo)
    own = build_manifest(task, tmp_path)
    assert {path.split("/")[0] for path in own.path[own.split == "val"]} == {"val"}
    folded = build_manifest(task, tmp_path, fold=Fold(1, 4))
    assert {path.split("/")[0] for path in folded.path[folded.split == "val"]} == {"train", "val"}


def test_more_folds_than_images_of_a_class_are_refused(demo):
    with pytest.raises(CallError, match="--folds=21: class 'n[0-9]+' .* only 20 readable"):
        build_manifest(load_task("canines"), demo, fold=Fold(1, 21))


def test_folds_of_a_folder_without_the_tasks_pictures_are_refused_as_any_split(tmp_path, demo):
    (tmp_path / "n02084071").mkdir()
    picture = next((demo / "n02088364").rglob("*.JPEG"))
    shutil.copy(picture, tmp_path / "x.jpg")
    with pytest.raises(WorkError, match="has no training picture"):
        build_manifest(load_task("canines"), tmp_path, fold=Fold(1, 5))


def test_a_fold_whose_pictures_of_a_class_cannot_be_read_is_refused(tmp_path, demo):
    data = Path(shutil.copytree(demo, tmp_path / "data"))
    pictures = sorted((data / "n02088364" / "images").iterdir())
    paths = [picture.relative_to(data).as_posix() for picture in pictures]
    held_out = [path for path, split in draw_fold(paths, Fold(1, 5, 0)).items() if split == "val"]
    for path in held_out:
        (data / path).write_bytes(b"broken")
    with pytest.raises(CallError, match="fold 1 has no readable picture of class 'n02088364'"):
        build_manifest(load_task("canines"), data, fold=Fold(1, 5, 0))


@pytest.mark.parametrize(
    "fold", [5, [], {"number": 1}, {"number": 0, "folds": 5, "seed": 0},
             {"number": 6, "folds": 5, "seed": 0}, {"number": 1, "folds": 5, "seed": "x"}]
)  # fmt: skip
def test_a_fold_in_a_config_that_is_none_is_damage(own_runs, fold):
    file = own_runs / "animals" / "scratch" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"fold": fold}))
    with pytest.raises(WorkError, match="damaged: config.json .*fold is"):
        load_run(file.parent)


def test_a_run_that_is_older_than_folds_is_whole(own_runs):
    file = own_runs / "animals" / "scratch" / "config.json"
    config = json.loads(file.read_text())
    del config["fold"]
    file.write_text(json.dumps(config))
    assert load_run(file.parent).config["val_fraction"] == 0.2
