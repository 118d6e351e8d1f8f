import subprocess
import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from modnet_keras.models import build_model, grow, level_of, resnet, tap
from modnet_keras.models.modnet import copy_backbone

PICTURE_SIZE = 32


@pytest.fixture(autouse=True)
def thin(monkeypatch):
    """Four filters in the stem: what grows does not depend on the width."""
    monkeypatch.setattr(resnet, "STEM_FILTERS", 4)


@pytest.fixture(scope="module")
def pictures():
    return (
        np.random.default_rng(0).normal(size=(4, PICTURE_SIZE, PICTURE_SIZE, 3)).astype("float32")
    )


def shake(model, seed=0):
    """Give every weight, statistics included, a value of its own, as training would."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        weight.assign(weight + rng.uniform(0.01, 0.1, weight.shape))
    return model


def bits_of(model):
    return {weight.path: weight.numpy().tobytes() for weight in model.weights}


@pytest.fixture
def parent():
    return shake(build_model(1, PICTURE_SIZE))


@pytest.mark.parametrize(("level", "block"), [(1, "basic"), (1, "bottleneck"), (3, "basic")])
def test_a_child_takes_its_parents_bits_and_one_stage_more(level, block):
    parent = shake(build_model(level, PICTURE_SIZE, block=block))
    child = grow(parent, level + 1)
    fresh = bits_of(build_model(level + 1, PICTURE_SIZE, block=block))
    of_parent, of_child = bits_of(parent), bits_of(child)
    assert of_child.keys() == fresh.keys()
    for path, bits in of_child.items():
        new = path.startswith((f"stage_{level + 2}_", "head_"))
        assert bits == (fresh[path] if new else of_parent[path]), path
    assert level_of(child) == level + 1
    assert child.input_shape == parent.input_shape


def test_grows_down_the_hierarchy(pictures):
    first = shake(build_model(1, PICTURE_SIZE))
    second = shake(grow(first, 2), seed=2)
    third = shake(grow(second, 3), seed=3)
    fourth = grow(third, 4)
    of_third, of_fourth = bits_of(third), bits_of(fourth)
    assert all(of_fourth[p] == bits for p, bits in of_third.items() if not p.startswith("head"))
    np.testing.assert_array_equal(tap(fourth, third)(pictures), third(pictures))


def test_nothing_is_shared(parent):
    before = bits_of(parent)
    child = grow(parent, 2)
    assert not {id(weight) for weight in parent.weights} & {id(weight) for weight in child.weights}
    shake(child)
    assert bits_of(parent) == before
    taken = bits_of(child)
    shake(parent)
    assert bits_of(child) == taken


def test_nothing_is_frozen_in_a_child_of_a_frozen_parent(parent):
    parent.trainable = False
    child = grow(parent, 2)
    learned = ("kernel", "bias", "gamma", "beta")
    assert [w.path for w in child.trainable_weights] == [
        w.path for w in child.weights if w.name in learned
    ]


def test_the_seed_fixes_what_is_new(parent):
    one, same, other = (bits_of(grow(parent, 2, seed=seed)) for seed in (7, 7, 8))
    assert one == same
    differing = {path for path in one if one[path] != other[path]}
    assert differing == {
        path for path in one if path.startswith(("stage_3_", "head_")) and path.endswith("/kernel")
    }


def test_grows_by_a_task(parent):
    child = grow(parent, SimpleNamespace(name="canines", level=2))
    assert child.name == "canines"
    assert level_of(child) == 2


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_takes_the_parents_precision(precision):
    parent = build_model(1, PICTURE_SIZE, precision=precision)
    of_parent, of_child = parent.get_layer("stage_1"), grow(parent, 2).get_layer("stage_1")
    assert of_child.output.dtype == of_parent.output.dtype == precision


def test_takes_another_precision_where_told(parent):
    child = grow(parent, 2, precision="bfloat16")
    assert child.get_layer("stage_3").output.dtype == "bfloat16"
    assert bits_of(child)["stem_conv/kernel"] == bits_of(parent)["stem_conv/kernel"]


@pytest.mark.parametrize("level", [1, 3])
def test_refuses_a_level_that_does_not_follow(parent, level):
    with pytest.raises(ValueError, match=f"here 2. Received: {level}"):
        grow(parent, level)


def make_misfit():
    """A parent of level 1 whose stem differs: a weight lost, one too many, one of another shape."""
    parent = build_model(1, PICTURE_SIZE)
    images = keras.Input((PICTURE_SIZE, PICTURE_SIZE, 3))
    x = keras.layers.Conv2D(4, 5, 4, "same", use_bias=True, name="stem_conv")(images)
    outputs = keras.Model(images, x, name="stem")(images)
    for part in parent.layers[2:]:
        outputs = part(outputs)
    return keras.Model(images, outputs)


def test_lists_every_weight_that_does_not_fit():
    with pytest.raises(ValueError) as caught:
        grow(make_misfit(), 2)
    told = str(caught.value)
    missing = [f"stem_norm/{name}" for name in ("beta", "gamma", "moving_mean", "moving_variance")]
    assert f"Missing: {missing}" in told
    assert "unexpected: ['stem_conv/bias']" in told
    assert "of another shape: ['stem_conv/kernel (5, 5, 3, 4) -> (7, 7, 3, 4)']" in told


def test_lists_weights_of_another_shape_alone(parent, monkeypatch):
    monkeypatch.setattr(resnet, "STEM_FILTERS", 8)
    with pytest.raises(
        ValueError, match=r"stage_2_block_1_norm_1/beta \(8,\) -> \(16,\)"
    ) as caught:
        grow(parent, 2)
    assert "Missing: []; unexpected: []" in str(caught.value)


def test_a_misfit_changes_nothing_in_the_child():
    child = build_model(2, PICTURE_SIZE)
    before = bits_of(child)
    with pytest.raises(ValueError, match="do not fit"):
        copy_backbone(make_misfit(), child)
    assert bits_of(child) == before


def test_a_fresh_childs_tap_is_the_parent_to_the_bit(parent, pictures):
    child = grow(parent, 2)
    np.testing.assert_array_equal(tap(child, parent)(pictures), parent(pictures))


def test_a_grandchild_is_tapped_where_the_first_ends(parent, pictures):
    grandchild = grow(grow(parent, 2), 3)
    np.testing.assert_array_equal(tap(grandchild, parent)(pictures), parent(pictures))


def test_the_tap_follows_the_childs_weights(parent, pictures):
    child = grow(parent, 2)
    tapped = tap(child, parent)
    before = np.asarray(tapped(pictures))
    shake(child.get_layer("stage_3"))
    shake(child.get_layer("head"))
    np.testing.assert_array_equal(tapped(pictures), before)
    for name in ("stage_2_block_2_norm_2/moving_mean", "stem_conv/kernel"):
        (weight,) = [weight for weight in child.weights if weight.path == name]
        weight.assign(weight * 1.5 + 0.1)
        after = np.asarray(tapped(pictures))
        assert not np.array_equal(after, before)
        before = after


def test_the_tap_takes_the_parents_own_head(parent, pictures):
    child = grow(parent, 2)
    tapped = tap(child, parent)
    before = np.asarray(tapped(pictures))
    parent.get_layer("head").get_layer("head_logit").bias.assign([2.0])
    assert not np.array_equal(tapped(pictures), before)
    np.testing.assert_array_equal(tapped(pictures), parent(pictures))


def test_tapping_leaves_child_and_parent_as_they_were(parent, pictures):
    child = grow(parent, 2)
    before = np.asarray(child(pictures)), np.asarray(parent(pictures))
    parts = [part.name for part in child.layers]
    tapped = tap(child, parent)
    tapped(pictures)
    np.testing.assert_array_equal(child(pictures), before[0])
    np.testing.assert_array_equal(parent(pictures), before[1])
    assert [part.name for part in child.layers] == parts
    assert tapped.name == "level_1_by_level_2"


def test_the_tap_refuses_another_picture_size(parent):
    other = build_model(2, 2 * PICTURE_SIZE)
    with pytest.raises(ValueError, match=r"here \(32, 32, 3\). Received: \(64, 64, 3\)"):
        tap(other, parent)


def test_the_tap_refuses_a_child_that_lacks_a_stage(parent):
    with pytest.raises(ValueError, match="level 2 or deeper. Received: a child of level 1"):
        tap(parent, grow(parent, 2))


def test_grows_and_taps_after_loading(parent, pictures, tmp_path):
    shake(grow(parent, 2)).save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    child = grow(loaded, 3)
    np.testing.assert_array_equal(tap(child, loaded)(pictures), loaded(pictures))


def test_loads_to_equal_bits_in_a_fresh_process(parent, pictures, tmp_path):
    child = shake(grow(parent, 2, precision="bfloat16"))
    child.save(tmp_path / "model.keras")
    script = (
        "import keras, numpy, sys, modnet_keras.models\n"
        "model = keras.models.load_model(sys.argv[1] + '/model.keras')\n"
        "weights = {weight.path: weight for weight in model.weights}\n"
        "numpy.savez(sys.argv[1] + '/weights.npz', **weights)\n"
    )
    subprocess.run([sys.executable, "-c", script, tmp_path], check=True, capture_output=True)
    with np.load(tmp_path / "weights.npz") as arrays:
        assert {name: arrays[name].tobytes() for name in arrays.files} == bits_of(child)
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(pictures), child(pictures))
