"""The job on real ImageNet pictures, where `MODNET_REAL_DATA` or ../shared/data holds them."""

import tarfile
from collections import Counter

import pytest
from conftest import real_pictures

from modnet_keras import build_dataset, build_manifest, load_task, train


@pytest.fixture(scope="module")
def tiny_imagenet(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny-imagenet")
    with tarfile.open(real_pictures("tiny-imagenet-31.tar")) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.mark.parametrize(
    ("task", "a_side", "classes"),
    [("animals", 5500, 23), ("canines", 3000, 19), ("felines", 2500, 19), ("retrievers", 1000, 6)],
)
def test_tasks_take_what_the_original_meant(tiny_imagenet, task, a_side, classes):
    manifest = build_manifest(load_task(task), tiny_imagenet)
    assert Counter(manifest.label.tolist()) == {0: a_side, 1: a_side}
    assert len(set(manifest.image_class)) == classes and not manifest.unreadable


def test_a_short_training_learns_something(tiny_imagenet, tmp_path):
    run = train("animals", data=tiny_imagenet, runs=tmp_path, epochs=2, seed=5, image_size=32)
    assert run.metrics["val"]["n"] == 2200
    assert run.metrics["val"]["accuracy"] > 0.75


def split_in_two(folder):
    classes = sorted(folder.iterdir())
    return classes[::2], classes[1::2]


def test_full_size_pictures_of_every_shape_are_decoded(tmp_path):
    with tarfile.open(real_pictures("imagenet-full-size-160.tar")) as archive:
        archive.extractall(tmp_path / "pictures", filter="data")
    # One picture a class: a split of each class would leave nothing on one side.
    for split, classes in zip(("train", "val"), split_in_two(tmp_path / "pictures"), strict=True):
        (tmp_path / "data" / split).mkdir(parents=True)
        for folder in classes:
            folder.rename(tmp_path / "data" / split / folder.name)
    (tmp_path / "task.yaml").write_text(
        "name: dogs\npositive: [n02084071]\nnegative: [n00001740]\n"
    )
    task = load_task(tmp_path / "task.yaml")
    manifest = build_manifest(task, tmp_path / "data", balance=False)
    assert len(manifest) == 160 and not manifest.unreadable
    for size, augment in ((64, "none"), (224, "crop_flip")):
        dataset = build_dataset(manifest, "train", training=False, image_size=size, augment=augment)
        count = sum(len(pictures) for pictures, _ in dataset)
        assert count == len(manifest.labels("train"))
