"""Training on two devices: two virtual CPUs, in a process of its own."""

import json
import shutil
import subprocess
import sys
import textwrap

import pytest
from conftest import SMALL

from modnet_keras import train
from modnet_keras.errors import CallError, WorkError
from modnet_keras.training import devices

pytestmark = pytest.mark.usefixtures("thin_networks")

LONGEST = 600
TWO_CPUS = """
import contextlib, json, shutil, sys
import modnet_keras
from modnet_keras.loading import loaded_for_good
with loaded_for_good():
    import keras
    import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from modnet_keras import train
from modnet_keras.training import fitting
from modnet_keras.training.checkpoint import load_snapshot
data, folder = sys.argv[1:]

def train_on(devices, name, task="animals", **options):
    options = {"image_size": 32, "batch_size": 32, "precision": "float32", "epochs": 2} | options
    return train(task, data=data, devices=devices, runs=f"{folder}/{name}", **options)
"""


def run_on_two(script, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", TWO_CPUS + textwrap.dedent(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=LONGEST,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_twenty_steps_on_two_devices_are_those_on_one(demo, tmp_path):
    """At a low rate: at the recipe's, the rounding of the first steps grows to 0.005 in twenty.

    As much as on one device whose first weights are changed by a ten millionth.
    """
    losses, counts = run_on_two(
        """
        losses, counts = {}, {}
        make = fitting._make_callbacks

        class Losses(keras.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                losses[name].append(logs["loss"])

        fitting._make_callbacks = lambda *arguments: [*make(*arguments), Losses()]
        for name, devices in (("one", "one"), ("two", "all")):
            losses[name] = []
            run = train_on(devices, name, learning_rate=1e-4)
            counts[name] = run.config["devices"], run.metrics["val"]["n"], run.history
        print(json.dumps([losses, counts]))
        """,
        demo,
        tmp_path,
    )
    assert len(losses["one"]) == len(losses["two"]) >= 20
    pairs = zip(losses["one"][:20], losses["two"][:20], strict=True)
    assert max(abs(a - b) for a, b in pairs) < 1e-5
    (devices, pictures, rows), (_, expected_pictures, expected) = counts["two"], counts["one"]
    assert devices == 2 and pictures == expected_pictures and len(rows) == len(expected) == 2
    for row, expected_row in zip(rows, expected, strict=True):
        for key in row.keys() - {"seconds"}:
            assert row[key] == pytest.approx(expected_row[key], abs=1e-3), key


def test_a_child_on_two_devices_is_resumed_to_the_same_bits(runs, demo, tmp_path):
    """Broken off in the midst of an epoch; what is kept runs on one device, as any other run's."""
    shutil.copytree(runs / "animals", tmp_path / "resumed" / "animals")
    resumed, through, evaluated, layers, frozen = run_on_two(
        """
        make = fitting._make_callbacks
        found = []

        class Stop(keras.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                if self.model.name == "canines" and fitting.steps_done(self.model) == 5:
                    raise KeyboardInterrupt

        for name in ("resumed", "through"):
            if name == "resumed":
                fitting._make_callbacks = lambda *arguments: [*make(*arguments), Stop()]
                with contextlib.suppress(KeyboardInterrupt):
                    train_on("all", name, task="canines", watch_parent=True)
                fitting._make_callbacks = make
                shutil.copytree(f"{folder}/resumed/animals", f"{folder}/through/animals")
                saved = load_snapshot(f"{folder}/resumed/canines/frozen/snapshot.npz")
                assert saved.step == 5 and saved.epoch and not saved.history
                # Of each device its own: their sum, dealt out anew, would be rounded otherwise.
                losses = [saved.weights[f"metrics/loss/0{of}"] for of in ("", "/1")]
                assert losses[0] != losses[1]
            run = train_on("all", name, task="canines", resume=True, watch_parent=True)
            rows = [{**row, "seconds": 0} for row in run.history]
            found.append([run.hashes, rows, run.metrics])
        run = modnet_keras.load_run(run.folder)
        frozen = [part.name for part in run.model.layers[1:] if not part.trainable_weights]
        parts = (part for part in run.model.layers if hasattr(part, "layers"))
        layers = {type(layer).__name__ for part in parts for layer in part.layers}
        print(json.dumps([*found, modnet_keras.evaluate(run), sorted(layers), frozen]))
        """,
        demo,
        tmp_path,
    )
    assert resumed == through and len(through[1]) == 2
    assert through[2]["val"] == evaluated
    assert through[0]["before"]["stem"] == through[0]["after"]["stem"]
    assert frozen == ["stem", "stage_1", "stage_2"]
    assert "FusedBatchNormalization" in layers and "BatchNormalization" not in layers


def test_a_batch_that_cannot_be_dealt_out_evenly_is_refused(demo, tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "_all_devices", lambda: ["CPU:0", "CPU:1", "CPU:2"])
    with pytest.raises(CallError, match="a batch of 32 pictures cannot be dealt out evenly to 3"):
        train("animals", data=demo, runs=tmp_path, devices="all", **SMALL)
    assert not list(tmp_path.iterdir())


def test_what_was_begun_on_more_devices_than_there_are_is_left_alone(own_runs):
    folder = own_runs / "canines" / "frozen"
    (folder / "metrics.json").unlink()
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"devices": 8}))
    before = sorted(folder.iterdir())
    with pytest.raises(WorkError, match="the training takes 8 devices, and this machine has 1"):
        train("canines", runs=own_runs, resume=True)
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("devices", [0, -1, 2.0, True, [1], "two"])
def test_what_is_no_number_of_devices_is_refused(demo, tmp_path, own_runs, devices):
    with pytest.raises(CallError, match="devices"):
        train("animals", data=demo, runs=tmp_path, devices=devices, **SMALL)
    folder = own_runs / "canines" / "frozen"
    (folder / "metrics.json").unlink()
    config = json.loads((folder / "config.json").read_text()) | {"devices": devices}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(WorkError, match="config.json cannot be used .devices is"):
        train("canines", runs=own_runs, resume=True)


def test_a_run_goes_on_on_as_many_devices_as_it_was_started_on(own_runs, monkeypatch):
    folder = own_runs / "canines" / "frozen"
    (folder / "metrics.json").unlink()
    monkeypatch.setattr(devices, "_all_devices", lambda: ["CPU:0", "CPU:1"])
    with pytest.raises(CallError, match="was started on 1 and would go on on 2; leave --devices"):
        train("canines", runs=own_runs, resume=True, devices="all")


@pytest.mark.parametrize("devices", ["2", "two", "gpu"])
def test_other_devices_than_one_and_all_are_refused(command, devices):
    status, _, error = command("train", "--task=animals", f"--devices={devices}")
    assert status == 2 and "--devices" in error and "one" in error and "all" in error
