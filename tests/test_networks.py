"""What the forgetting test is made of: hashes, statistics estimated anew, many networks at once."""

import gc
import weakref

import numpy as np
import pytest
import tensorflow as tf

from modnet_keras import build_model, grow, tap
from modnet_keras.models import copy_part, hash_parts
from modnet_keras.studies.networks import predict_all
from modnet_keras.studies.repair import estimate_statistics


@pytest.mark.parametrize(
    ("name", "kind", "other"),
    [
        ("moving_mean", "statistics", "weights"),
        ("moving_variance", "statistics", "weights"),
        ("gamma", "weights", "statistics"),
        ("beta", "weights", "statistics"),
    ],
)
def test_the_hash_sees_a_single_bit(name, kind, other):
    model = build_model(1, image_size=32)
    before = hash_parts(model)
    variable = getattr(model.get_layer("stage_1").get_layer("stage_1_block_1_norm_1"), name)
    value = variable.numpy()
    value[7] = np.nextafter(value[7], np.float32(2))
    variable.assign(value)
    after = hash_parts(model)
    assert after["stage_1"][other] == before["stage_1"][other]
    assert after["stage_1"][kind] != before["stage_1"][kind]
    assert {part: after[part] for part in ("stem", "stage_2", "head")} == {
        part: before[part] for part in ("stem", "stage_2", "head")
    }


def test_statistics_are_estimated_as_the_mean_over_the_batches():
    model = build_model(1, image_size=32)
    pictures = np.random.default_rng(0).normal(2.0, 3.0, (24, 32, 32, 3)).astype("float32")
    batches = tf.data.Dataset.from_tensor_slices((pictures, np.zeros(24))).batch(8)
    (estimated,) = estimate_statistics([model.layers[1:]], batches)
    convolved = model.get_layer("stem").get_layer("stem_conv")(pictures).numpy()
    parts = convolved.reshape(3, -1, convolved.shape[-1])
    norm = estimated[0].get_layer("stem_norm")
    np.testing.assert_allclose(norm.moving_mean.numpy(), parts.mean(axis=(0, 1)), atol=1e-4)
    np.testing.assert_allclose(
        norm.moving_variance.numpy(), parts.var(axis=1).mean(axis=0), rtol=1e-3
    )
    assert norm.momentum == 0.9
    assert hash_parts(model) == hash_parts(build_model(1, image_size=32))


def test_statistics_of_a_frozen_part_are_estimated_too():
    part = build_model(1, image_size=32).get_layer("stem")
    part.trainable = False
    pictures = np.random.default_rng(0).normal(size=(8, 32, 32, 3)).astype("float32")
    batches = tf.data.Dataset.from_tensors((pictures, np.zeros(8)))
    head = copy_part(part)
    ((estimated, _),) = estimate_statistics([(part, head)], batches)
    assert not np.allclose(estimated.get_layer("stem_norm").moving_mean.numpy(), 0.0)


@pytest.mark.parametrize(
    ("batch", "sizes", "tolerance"), [(4, [4, 3], 0.0), (3, [3, 3, 1], 1e-5)], ids=["few", "many"]
)
def test_networks_that_begin_alike_give_what_they_give_alone(batch, sizes, tolerance):
    parent = build_model(1, image_size=32)
    child = grow(parent, 2, seed=1)
    pictures = np.random.default_rng(0).normal(size=(7, 32, 32, 3)).astype("float32")
    dataset = tf.data.Dataset.from_tensor_slices((pictures, np.zeros(7))).batch(batch)
    seen = []
    chains = {
        "parent": parent.layers[1:],
        "child": (*parent.layers[1:-1], *child.layers[-2:]),
        "equal": tap(child, parent).layers[1:],
    }
    outputs = predict_all(chains, dataset, seen.append)
    assert seen == sizes
    for name, model in (("parent", parent), ("child", child)):
        alone = np.concatenate([model(x, training=False).numpy() for x, _ in dataset])
        np.testing.assert_allclose(outputs[name], alone, rtol=tolerance, atol=tolerance)
    np.testing.assert_array_equal(outputs["equal"], outputs["parent"])


def test_a_network_that_changes_between_two_passes_is_measured_as_it_is_then():
    model = build_model(1, image_size=32)
    pictures = np.random.default_rng(0).normal(size=(6, 32, 32, 3)).astype("float32")
    dataset = tf.data.Dataset.from_tensor_slices((pictures, np.zeros(6))).batch(2)
    before = predict_all({"model": model.layers[1:]}, dataset)["model"]
    bias = model.get_layer("head").get_layer("head_logit").bias
    bias.assign(bias + 1.0)
    after = predict_all({"model": model.layers[1:]}, dataset)["model"]
    np.testing.assert_allclose(after, before + 1.0, rtol=1e-6)


def test_a_network_that_was_measured_is_freed_with_its_last_reference():
    model = build_model(1, image_size=32)
    dataset = tf.data.Dataset.from_tensor_slices((np.zeros((6, 32, 32, 3), "float32"), np.zeros(6)))
    predict_all({"model": model.layers[1:]}, dataset.batch(2))
    parts = [weakref.ref(part) for part in model.layers[1:]]
    del model
    gc.collect()
    assert [part() for part in parts] == [None] * 4
