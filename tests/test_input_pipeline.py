from collections import Counter

import numpy as np
import pytest
from PIL import Image

from modnet_keras import build_dataset, build_manifest, load_task, steps_per_epoch
from modnet_keras.data.input_pipeline import DEVIATION, MEAN

TRAINING = {"image_size": 32, "batch_size": 16, "augment": "crop_flip"}


@pytest.fixture(scope="module")
def manifest(demo):
    return build_manifest(load_task("animals"), demo)


def batches(dataset):
    return [(pictures.numpy(), labels.numpy()) for pictures, labels in dataset]


def test_evaluation_sees_every_picture_once_in_the_manifests_order(manifest):
    found = batches(build_dataset(manifest, "val", image_size=32, batch_size=7))
    labels = np.concatenate([labels for _, labels in found])
    np.testing.assert_array_equal(labels[:, 0], manifest.labels("val"))
    pictures = np.concatenate([pictures for pictures, _ in found])
    assert pictures.dtype == np.float32 and pictures.shape == (len(labels), 32, 32, 3)
    for picture, path in zip(pictures[:5], manifest.paths("val"), strict=False):
        with Image.open(path) as image:
            middle = image.resize((32, 32), Image.Resampling.BILINEAR, box=(6, 6, 90, 90))
            expected = np.asarray(middle, "float32") / 255
        restored = picture * DEVIATION + MEAN
        assert np.abs(restored - expected).mean() < 0.06


def test_pictures_are_normalised_by_imagenets_mean_and_deviation(tmp_path):
    (tmp_path / "plain.yaml").write_text("name: plain\npositive: [a]\nnegative: [b]\n")
    for folder in ("a", "b"):
        (tmp_path / "data" / folder).mkdir(parents=True)
        for number in range(5):
            picture = Image.new("RGB", (40, 40), (204, 102, 51))
            picture.save(tmp_path / "data" / folder / f"{number}.png")
    manifest = build_manifest(load_task(tmp_path / "plain.yaml"), tmp_path / "data")
    pictures, _ = next(iter(build_dataset(manifest, "val", image_size=32)))
    expected = [(0.8 - 0.485) / 0.229, (0.4 - 0.456) / 0.224, (0.2 - 0.406) / 0.225]
    np.testing.assert_allclose(pictures, np.broadcast_to(expected, pictures.shape), atol=1e-5)


def test_training_batches_hold_both_classes_equally(manifest):
    stream = build_dataset(manifest, "train", epochs=2, **TRAINING)
    found = batches(stream)
    assert len(found) == 2 * steps_per_epoch(manifest, 16)
    for pictures, labels in found:
        assert pictures.shape == (16, 32, 32, 3) and labels.shape == (16, 1)
        assert labels.sum() == 8


def test_an_epoch_sees_no_picture_twice_and_each_epoch_has_its_own_order(manifest):
    plain = TRAINING | {"augment": "none"}
    found = batches(build_dataset(manifest, "train", epochs=2, **plain))
    keys = [[picture.tobytes() for picture in pictures] for pictures, _ in found]
    first, second = np.split(np.array(keys, dtype=object).ravel(), 2)
    assert max(Counter(first).values()) == 1
    assert set(first) & set(second) and list(first) != list(second)


@pytest.mark.parametrize("change", [{"workers": 1}, {"workers": 3}])
def test_batches_do_not_depend_on_the_workers(manifest, change):
    one = batches(build_dataset(manifest, "train", epochs=1, **TRAINING))
    other = batches(build_dataset(manifest, "train", epochs=1, **TRAINING, **change))
    for (pictures, labels), (same_pictures, same_labels) in zip(one, other, strict=True):
        np.testing.assert_array_equal(pictures, same_pictures)
        np.testing.assert_array_equal(labels, same_labels)


def test_a_stream_can_start_at_any_step(manifest):
    whole = batches(build_dataset(manifest, "train", epochs=3, **TRAINING))
    start = steps_per_epoch(manifest, 16) + 3
    rest = batches(build_dataset(manifest, "train", epochs=3, start_step=start, **TRAINING))
    assert len(rest) == len(whole) - start
    for (pictures, _), (same, _) in zip(whole[start:], rest, strict=True):
        np.testing.assert_array_equal(pictures, same)


def test_another_seed_gives_other_batches(manifest):
    one, other = (
        next(iter(build_dataset(manifest, "train", epochs=1, seed=seed, **TRAINING)))[0].numpy()
        for seed in (0, 1)
    )
    assert not np.array_equal(one, other)


def test_a_picture_looks_different_at_each_epoch_under_augmentation_alone(manifest):
    def seen(augment):
        settings = TRAINING | {"augment": augment, "batch_size": 1000}
        return [
            {picture.tobytes() for picture in pictures}
            for pictures, _ in batches(build_dataset(manifest, "train", epochs=2, **settings))
        ]

    first, second = seen("none")
    assert first == second
    first, second = seen("crop_flip")
    assert not first & second
    first, second = seen("flip")
    assert 0.3 < len(first & second) / len(first) < 0.7


def test_flip_mirrors_the_width(manifest):
    settings = {"image_size": 32, "batch_size": 1000}
    plain = {p.tobytes() for p in batches(build_dataset(manifest, "val", **settings))[0][0]}
    flipped = batches(build_dataset(manifest, "val", augment="flip", **settings))[0][0]
    mirrored = [p for p in flipped if p.tobytes() not in plain]
    assert len(mirrored) > 10
    assert all(np.ascontiguousarray(p[:, ::-1]).tobytes() in plain for p in mirrored)


def test_a_batch_larger_than_the_split_is_cut_to_it(manifest):
    assert steps_per_epoch(manifest, 100_000) == 1


@pytest.mark.parametrize(("key", "value"), [("batch_size", 7), ("augment", "crop")])
def test_wrong_settings_are_refused(manifest, key, value):
    with pytest.raises(ValueError, match=f"Received: .*{value}"):
        build_dataset(manifest, "train", epochs=1, **TRAINING | {key: value})
