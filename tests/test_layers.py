import keras
import numpy as np
import pytest
import tensorflow as tf

from modnet_keras.models import FusedBatchNormalization

SETTINGS = {"momentum": 0.9, "epsilon": 1e-5}
CHANNELS = 5


def draw_pictures(seed, batch=6, size=4):
    """Pictures whose channels differ in mean and deviation, [batch, size, size, CHANNELS]."""
    rng = np.random.default_rng(seed)
    means, deviations = np.arange(CHANNELS) - 2.0, np.arange(1, CHANNELS + 1) / 2
    return rng.normal(means, deviations, (batch, size, size, CHANNELS)).astype("float32")


def build_layer(layer_class=FusedBatchNormalization, seed=0, **settings):
    layer = layer_class(**SETTINGS, **settings)
    layer.build((None, None, None, CHANNELS))
    rng = np.random.default_rng(seed)
    for weight in layer.weights:
        weight.assign(rng.uniform(0.5, 2.0, CHANNELS))
    return layer


def pull_through(layer, pictures, training):
    """Outputs, and gradients of a weighed sum of them, by the pictures and by scale and shift."""
    pictures = tf.constant(pictures)
    weights = np.random.default_rng(9).normal(size=pictures.shape).astype("float32")
    with tf.GradientTape() as tape:
        tape.watch(pictures)
        outputs = layer(pictures, training=training)
        loss = tf.reduce_sum(tf.cast(outputs, "float32") * weights)
    sources = [pictures, layer.gamma.value, layer.beta.value]
    return [np.asarray(each, "float32") for each in (outputs, *tape.gradient(loss, sources))]


def values_of(layer):
    return [weight.numpy() for weight in layer.weights]


@pytest.mark.parametrize("batch", [1, 6])
def test_equals_keras_over_twenty_training_steps(batch):
    fused, plain = build_layer(), build_layer(keras.layers.BatchNormalization)
    for step in range(20):
        pictures = draw_pictures(step, batch=batch)
        results = [pull_through(layer, pictures, training=True) for layer in (fused, plain)]
        for ours, theirs in zip(*results, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
        for layer, (_, _, of_scale, of_shift) in zip((fused, plain), results, strict=True):
            layer.gamma.assign_sub(0.01 * of_scale)
            layer.beta.assign_sub(0.01 * of_shift)
        for ours, theirs in zip(values_of(fused), values_of(plain), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def train_network(layer_class):
    """Twenty steps of a small network with momentum; its weights by path, and its logits."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, CHANNELS))
    x = inputs
    for index in (1, 2):
        x = keras.layers.Conv2D(6, 3, padding="same", use_bias=False, name=f"conv_{index}")(x)
        x = keras.layers.ReLU()(layer_class(name=f"norm_{index}", **SETTINGS)(x))
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(1, name="logit")(x))
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.02, momentum=0.9), loss)
    labels = np.array([[0.0], [1.0]] * 4)
    for step in range(20):
        model.train_on_batch(draw_pictures(step, batch=8, size=8), labels)
    weights = {weight.path: weight.numpy() for weight in model.weights}
    return weights | {"logits": np.asarray(model(draw_pictures(99, size=8)))}


def test_a_network_trains_to_the_same_weights_with_either():
    fused, plain = map(train_network, (FusedBatchNormalization, keras.layers.BatchNormalization))
    assert fused.keys() == plain.keys()
    for path, values in fused.items():
        np.testing.assert_allclose(values, plain[path], rtol=1e-5, atol=1e-5, err_msg=path)


def test_inference_equals_keras():
    fused, plain = build_layer(), build_layer(keras.layers.BatchNormalization)
    pictures = draw_pictures(0)
    results = [pull_through(layer, pictures, training=False) for layer in (fused, plain)]
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_moving_variance_is_that_of_the_population():
    # Two values a channel: divided by n - 1 it would be twice as large.
    pictures = np.zeros((2, 1, 1, CHANNELS), "float32")
    pictures[1] = 4.0
    layer = build_layer()
    layer.moving_mean.assign(np.zeros(CHANNELS))
    layer.moving_variance.assign(np.ones(CHANNELS))
    layer(pictures, training=True)
    np.testing.assert_allclose(layer.moving_mean, np.full(CHANNELS, 0.1 * 2.0), rtol=1e-6)
    np.testing.assert_allclose(layer.moving_variance, np.full(CHANNELS, 0.9 + 0.1 * 4.0), rtol=1e-6)


def test_one_value_a_channel_gives_the_shift():
    layer = build_layer()
    before = np.asarray(layer.moving_variance)
    outputs = layer(draw_pictures(0, batch=1, size=1), training=True)
    np.testing.assert_allclose(outputs[0, 0, 0], layer.beta, atol=1e-6)
    np.testing.assert_allclose(layer.moving_variance, before * 0.9, rtol=1e-6)


def test_not_trainable_means_inference_mode_and_fixed_statistics():
    layer = build_layer()
    by_statistics = np.asarray(layer(draw_pictures(0), training=False))
    assert not np.array_equal(by_statistics, layer(draw_pictures(0), training=True))
    layer = build_layer()
    layer.trainable = False
    before = values_of(layer)
    outputs = layer(draw_pictures(0), training=True)
    np.testing.assert_array_equal(outputs, by_statistics)
    for weight, value in zip(layer.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)


def test_fixed_scale_and_shift_leave_the_statistics_drifting():
    layer = build_layer()
    layer.gamma.trainable = layer.beta.trainable = False
    before = values_of(layer)
    layer(draw_pictures(0), training=True)
    changed = [not np.array_equal(w, v) for w, v in zip(layer.weights, before, strict=True)]
    assert dict(zip([w.name for w in layer.weights], changed, strict=True)) == {
        "gamma": False,
        "beta": False,
        "moving_mean": True,
        "moving_variance": True,
    }


def test_unknown_batch_size_and_picture_size():
    layer = build_layer()
    call = tf.function(
        lambda pictures: layer(pictures, training=True),
        input_signature=[tf.TensorSpec((None, None, None, CHANNELS))],
    )
    plain = build_layer(keras.layers.BatchNormalization)
    for batch, size in ((2, 3), (4, 2)):
        pictures = draw_pictures(batch, batch, size)
        np.testing.assert_allclose(call(pictures), plain(pictures, training=True), atol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, plain.moving_variance, rtol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_bfloat16_keeps_weights_and_statistics_in_float32(training):
    mixed, plain = build_layer(dtype="mixed_bfloat16"), build_layer()
    pictures = draw_pictures(0)
    assert mixed(pictures, training=training).dtype == tf.bfloat16
    assert {weight.dtype for weight in mixed.weights} == {"float32"}
    mixed, plain = build_layer(dtype="mixed_bfloat16"), build_layer()
    # bfloat16 keeps eight bits: the pictures themselves are off by up to 1 / 256 of their size.
    rounded = np.asarray(tf.cast(tf.cast(pictures, "bfloat16"), "float32"))
    np.testing.assert_allclose(
        pull_through(mixed, pictures, training)[0],
        pull_through(plain, rounded, training)[0],
        rtol=1 / 128,
        atol=1 / 128,
    )
    np.testing.assert_allclose(mixed.moving_mean, plain.moving_mean, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(mixed.moving_variance, plain.moving_variance, rtol=1e-5)


@pytest.fixture(scope="module")
def trained_model():
    inputs = keras.Input((4, 4, CHANNELS))
    model = keras.Model(inputs, FusedBatchNormalization(name="norm", **SETTINGS)(inputs))
    for step in range(3):
        model(draw_pictures(step), training=True)
    return model


def test_saves_and_loads(trained_model, tmp_path):
    trained_model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    layer = loaded.get_layer("norm")
    assert type(layer) is FusedBatchNormalization
    assert (layer.momentum, layer.epsilon) == (0.9, 1e-5)
    np.testing.assert_array_equal(loaded(draw_pictures(7)), trained_model(draw_pictures(7)))


def test_exports(trained_model, tmp_path):
    trained_model.export(tmp_path / "servable", verbose=False)
    servable = tf.saved_model.load(tmp_path / "servable")
    np.testing.assert_array_equal(servable.serve(draw_pictures(7)), trained_model(draw_pictures(7)))


@pytest.mark.parametrize(
    "setting", [{"renorm": True}, {"synchronized": True}, {"axis": 1}, {"scale": False}]
)
def test_what_the_kernel_cannot_do_is_refused(setting):
    with pytest.raises(ValueError, match="Received"):
        FusedBatchNormalization(**setting).build((None, 4, 4, 3))
