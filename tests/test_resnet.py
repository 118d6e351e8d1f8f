import re
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from modnet_keras.models import (
    FusedBatchNormalization,
    build_model,
    compute_flops,
    grow,
    level_of,
    resnet,
    tap,
)

PICTURE_SIZE = 32
TWO_DEVICES = SimpleNamespace(num_replicas_in_sync=2)


@pytest.fixture(scope="module")
def models():
    """Full-width networks, built once each: (level, block) to model."""

    class Built(dict):
        def __missing__(self, key):
            level, block = key
            self[key] = build_model(level, PICTURE_SIZE, block=block)
            return self[key]

    return Built()


@pytest.fixture
def thin(monkeypatch):
    """Networks of four filters in the stem, for tests that do not ask about width."""
    monkeypatch.setattr(resnet, "STEM_FILTERS", 4)


def paths_of(part):
    return [weight.path for weight in part.weights]


def norm_paths(name):
    return [f"{name}/{weight}" for weight in ("gamma", "beta", "moving_mean", "moving_variance")]


@pytest.mark.parametrize("level", [1, 2, 3, 4])
@pytest.mark.parametrize("block", ["basic", "bottleneck"])
def test_parts_and_shapes(thin, level, block):
    model = build_model(level, 64, block=block)
    stages = [f"stage_{number}" for number in range(1, level + 2)]
    assert [part.name for part in model.layers] == ["images", "stem", *stages, "head"]
    assert level_of(model) == level
    assert model.input_shape == (None, 64, 64, 3)
    assert model.get_layer("stem").output_shape == (None, 16, 16, 4)
    for number, stage in enumerate(stages):
        size = 16 // 2**number
        assert model.get_layer(stage).output_shape == (None, size, size, 4 * 2**number)
    assert model.output_shape == (None, 1)
    assert model(np.zeros((2, 64, 64, 3), "float32")).shape == (2, 1)


def test_paths_of_basic_blocks(models):
    model = models[2, "basic"]
    assert paths_of(model.get_layer("stem")) == ["stem_conv/kernel", *norm_paths("stem_norm")]
    plain = ["conv_1/kernel", *norm_paths("norm_1"), "conv_2/kernel", *norm_paths("norm_2")]
    shortcut = ["shortcut_conv/kernel", *norm_paths("shortcut_norm")]

    def below(block, names):
        return {f"{block}_{name}" for name in names}

    expected = below("stage_1_block_1", plain) | below("stage_1_block_2", plain)
    assert set(paths_of(model.get_layer("stage_1"))) == expected
    expected = below("stage_2_block_1", plain + shortcut) | below("stage_2_block_2", plain)
    assert set(paths_of(model.get_layer("stage_2"))) == expected
    assert paths_of(model.get_layer("head")) == ["head_logit/kernel", "head_logit/bias"]


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
def test_paths_are_unique(thin, block):
    paths = paths_of(build_model(4, PICTURE_SIZE, block=block))
    assert len(paths) == len(set(paths))


# As torchvision's `resnet18` has them: weights, scales and shifts of conv1 and bn1, and of layer1
# to layer4; 11,689,512 with the 1000-class head of 513,000.
RESNET_18 = {"stem": 9_536, "stage_1": 147_968, "stage_2": 525_568, "stage_3": 2_099_712}
RESNET_18["stage_4"] = 8_393_728


def count_learned(part):
    return sum(int(np.prod(weight.shape)) for weight in part.trainable_weights)


def test_level_three_is_resnet_18(models):
    model = models[3, "basic"]
    assert {name: count_learned(model.get_layer(name)) for name in RESNET_18} == RESNET_18
    assert sum(RESNET_18.values()) == 11_689_512 - 513_000
    assert count_learned(model) == sum(RESNET_18.values()) + 513


def test_bottleneck_parameters(models):
    model = models[1, "bottleneck"]
    # 1x1 to half the filters, 3x3, 1x1 back; two numbers a channel in each normalization.
    first = 2 * (64 * 32 + 9 * 32 * 32 + 32 * 64 + 2 * (32 + 32 + 64))
    second = (
        (64 * 64 + 9 * 64 * 64 + 64 * 128 + 2 * (64 + 64 + 128))
        + (64 * 128 + 2 * 128)
        + (128 * 64 + 9 * 64 * 64 + 64 * 128 + 2 * (64 + 64 + 128))
    )
    assert count_learned(model.get_layer("stage_1")) == first
    assert count_learned(model.get_layer("stage_2")) == second


def test_bottleneck_halves_the_picture_in_its_middle_convolution(models):
    stage = models[1, "bottleneck"].get_layer("stage_2")
    strides = {
        layer.name.removeprefix("stage_2_"): layer.strides[0]
        for layer in stage.layers
        if isinstance(layer, keras.layers.Conv2D)
    }
    assert {name for name, stride in strides.items() if stride == 2} == {
        "block_1_conv_2",
        "block_1_shortcut_conv",
    }


def test_convolutions_are_he_normal_by_fan_out(models):
    checked = 0
    for weight in models[3, "basic"].weights:
        if not re.fullmatch(r".*conv(_\d)?/kernel", weight.path):
            continue
        height, width, _, filters = weight.shape
        values = weight.numpy()
        expected = np.sqrt(2 / (height * width * filters))
        error = 5 * expected / np.sqrt(2 * values.size)
        assert values.std() == pytest.approx(expected, abs=error), weight.path
        assert abs(values.mean()) < 5 * expected / np.sqrt(values.size), weight.path
        if values.size > 100_000:
            # Truncated at two deviations it would end there.
            assert np.abs(values).max() > 3.5 * expected, weight.path
        checked += 1
    assert checked == 20


def test_head_and_normalizations_start_as_modnet_has_them(models):
    model = models[3, "basic"]
    kernel, bias = model.get_layer("head").weights
    bound = 1 / np.sqrt(512)
    assert 0.95 * bound < np.abs(kernel).max() <= bound
    assert np.asarray(kernel).std() == pytest.approx(bound / np.sqrt(3), rel=0.1)
    assert float(bias[0]) == 0
    starts = {"gamma": 1, "beta": 0, "moving_mean": 0, "moving_variance": 1}
    for weight in model.weights:
        if weight.name in starts:
            assert np.all(weight.numpy() == starts[weight.name]), weight.path


def test_normalizations_are_fused_with_modnets_settings(models):
    norms = [
        layer
        for part in models[1, "basic"].layers[1:]
        for layer in part.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert len(norms) == 1 + 4 + 5
    assert {(type(n), n.momentum, n.epsilon) for n in norms} == {
        (FusedBatchNormalization, 0.9, 1e-5)
    }


def test_several_devices_synchronize_their_normalizations(thin, monkeypatch):
    monkeypatch.setattr(resnet.tf.distribute, "get_strategy", lambda: TWO_DEVICES)
    norm = build_model(1, PICTURE_SIZE).get_layer("stem").get_layer("stem_norm")
    assert type(norm) is keras.layers.BatchNormalization
    assert (norm.synchronized, norm.momentum, norm.epsilon) == (True, 0.9, 1e-5)


def initial_bits(seed, level=1):
    model = build_model(level, PICTURE_SIZE, seed=seed)
    return {weight.path: weight.numpy().tobytes() for weight in model.weights}


def test_one_seed_one_network(thin):
    keras.utils.set_random_seed(1)
    first = initial_bits(seed=5)
    keras.utils.set_random_seed(2)
    assert initial_bits(seed=5) == first


def test_another_seed_moves_every_kernel(thin):
    first, second = initial_bits(seed=5), initial_bits(seed=6)
    kernels = [path for path in first if path.endswith("/kernel")]
    assert len(kernels) == 11
    assert all(first[path] != second[path] for path in kernels)


def test_each_layer_draws_its_own_numbers(thin):
    kernels = [bits for path, bits in initial_bits(seed=0).items() if path.endswith("/kernel")]
    assert len({bits[:16] for bits in kernels}) == len(kernels)


def test_a_deeper_network_of_the_seed_begins_alike(thin):
    shallow, deep = initial_bits(seed=3), initial_bits(seed=3, level=2)
    shared = [path for path in shallow if not path.startswith("head")]
    assert all(shallow[path] == deep[path] for path in shared)


def test_bfloat16_is_mixed(thin):
    model = build_model(1, PICTURE_SIZE, precision="bfloat16")
    assert {weight.dtype for weight in model.weights} == {"float32"}
    assert model.get_layer("stage_2").output.dtype == "bfloat16"
    pictures = np.random.default_rng(0).normal(size=(4, 32, 32, 3)).astype("float32")
    logits = model(pictures)
    assert logits.dtype == tf.float32
    in_full = build_model(1, PICTURE_SIZE)(pictures)
    np.testing.assert_allclose(logits, in_full, atol=0.03)
    # In bfloat16 a logit would have eight bits; these have more.
    assert not np.array_equal(logits, tf.cast(tf.cast(logits, "bfloat16"), "float32"))


def test_named_after_its_task(thin):
    assert build_model(SimpleNamespace(name="wolf", level=3), PICTURE_SIZE).name == "wolf"
    assert build_model(3, PICTURE_SIZE).name == "level_3"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"task": 0}, "level of a task is 1 or more. Received: 0"),
        ({"task": 1, "block": "basik"}, "block must be one of.*'basik'"),
        ({"task": 1, "precision": "float16"}, "precision must be one of.*'float16'"),
    ],
)
def test_refuses(settings, told):
    with pytest.raises(ValueError, match=told):
        build_model(**settings)


# Multiply-adds by hand at 32 pixels: the stem gives 16 x 16, pooled 8 x 8; stage 2 works at 4 x 4,
# stage 3 at 2 x 2.
STEM = 16 * 16 * 7 * 7 * 3 * 64
STAGE_1 = 8 * 8 * 4 * (9 * 64 * 64)
STAGE_2 = 4 * 4 * (9 * 64 * 128 + 3 * 9 * 128 * 128 + 64 * 128)
STAGE_3 = 2 * 2 * (9 * 128 * 256 + 3 * 9 * 256 * 256 + 128 * 256)


def test_flops_by_hand(models):
    assert compute_flops(models[1, "basic"]) == STEM + STAGE_1 + STAGE_2 + 128
    assert compute_flops(models[2, "basic"]) == STEM + STAGE_1 + STAGE_2 + STAGE_3 + 256


def test_flops_of_a_bottleneck_by_hand(models):
    stage_1 = 8 * 8 * 2 * (64 * 32 + 9 * 32 * 32 + 32 * 64)
    stage_2 = (
        8 * 8 * 64 * 64  # before the stride
        + 4 * 4 * (9 * 64 * 64 + 64 * 128 + 64 * 128)
        + 4 * 4 * (128 * 64 + 9 * 64 * 64 + 64 * 128)
    )
    assert compute_flops(models[1, "bottleneck"]) == STEM + stage_1 + stage_2 + 128


def test_flops_of_resnet_18():
    # torchvision states 1.814 GFLOPs (multiply-adds) for resnet18 at 224 pixels, its head included.
    flops = compute_flops(build_model(3, 224))
    assert flops - 512 + 512 * 1000 == pytest.approx(1.814e9, rel=1e-3)


def test_flops_do_not_change_by_growing_and_tapping(thin):
    parent = build_model(1, PICTURE_SIZE)
    child = grow(parent, 2)
    before = compute_flops(parent), compute_flops(child)
    tapped = tap(child, parent)
    assert (compute_flops(parent), compute_flops(child)) == before
    assert compute_flops(tapped) == before[0]
