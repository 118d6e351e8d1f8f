"""TensorFlow's convolutions as `modnet_keras` sets them up: whose, and right for our networks."""

import json
import os
import platform
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from modnet_keras.convolutions import SETTING, computes_with_onednn

ASK = "from modnet_keras.convolutions import computes_with_onednn as asked; print(asked())"


def run(code, asked):
    environment = {key: value for key, value in os.environ.items() if key != SETTING}
    if asked is not None:
        environment[SETTING] = asked
    command = [sys.executable, "-W", "always", "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="asked for on x86 only")
def test_onednn_is_asked_for():
    assert run(ASK, None).stdout.split() == ["True"]


@pytest.mark.parametrize("asked", [None, "0"])
def test_tensorflow_loaded_first_without_onednn_is_warned_of_unless_told_so(asked):
    done = run(f"import tensorflow; {ASK}", asked)
    used = done.stdout.split() == ["True"]
    assert not (used and asked == "0")
    assert ("Import modnet_keras first" in done.stderr) == (asked is None and not used)


def test_a_run_records_it(runs):
    config = json.loads((runs / "animals" / "scratch" / "config.json").read_text())
    assert config["onednn"] == computes_with_onednn()


@pytest.mark.parametrize("batch", [1, 3, 8, 16])
@pytest.mark.parametrize("size", [4, 7, 8, 16])
@pytest.mark.parametrize("channels", [64, 128, 256])
def test_shortcuts_gradients_against_numpy(channels, size, batch):
    """oneDNN has these wrong for few channels (https://github.com/uxlfoundation/oneDNN/issues/6035)."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(batch, size, size, channels)).astype("float32")
    kernel = tf.constant(rng.normal(size=(1, 1, channels, 2 * channels)).astype("float32"))
    with tf.GradientTape() as tape:
        tape.watch(kernel)
        outputs = tf.nn.conv2d(inputs, kernel, strides=2, padding="SAME")
    upstream = rng.normal(size=outputs.shape).astype("float32")
    gradient = tape.gradient(outputs, kernel, output_gradients=upstream)[0, 0]
    seen = inputs[:, ::2, ::2].astype("float64")
    expected = np.tensordot(seen, upstream.astype("float64"), ([0, 1, 2], [0, 1, 2]))
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
