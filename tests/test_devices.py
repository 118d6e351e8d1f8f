"""Training on two devices: two virtual CPUs, in a process of its own."""

import json
import shutil
import subprocess
import sys

import pytest
from conftest import SMALL

from modnet_keras import train
from modnet_keras.errors import CallError, WorkError
from modnet_keras.training import devices

pytestmark = pytest.mark.usefixtures("thin_networks")

LONGEST = 600
TRAININGS = """
import contextlib, json, sys
import modnet_keras
from modnet_keras.loading import loaded_for_good
with loaded_for_good():
    import keras
    import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from modnet_keras.training import fitting
from modnet_keras.training.checkpoint import load_snapshot
data, folder = sys.argv[1:]
make, losses = fitting._make_callbacks, {}

class Record(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        losses[name].append(logs["loss"])
        if name == "resumed" and len(losses[name]) == 5:
            raise KeyboardInterrupt

def train(strategy, devices, **options):
    losses.setdefault(name, [])
    options |= {"precision": "float32", "batch_size": 32, "epochs": 2, "learning_rate": 1e-4}
    return modnet_keras.train("canines", strategy=strategy, data=data, runs=f"{folder}/{name}",
                              devices=devices, watch_parent=True, **options)

fitting._make_callbacks = lambda *arguments: [*make(*arguments), Record()]
found = {}
for name, strategy, devices in (
    ("one", "scratch", "one"),
    ("two", "scratch", "all"),
    ("through", "frozen", "all"),
    ("resumed", "frozen", "all"),
):
    if name == "resumed":
        with contextlib.suppress(KeyboardInterrupt):
            train(strategy, devices)
        saved = load_snapshot(f"{folder}/resumed/canines/frozen/snapshot.npz")
        assert saved.step == 5 and saved.epoch and not saved.history
        # Of each device its own: their sum, dealt out anew, would be rounded otherwise.
        of_devices = [saved.weights[f"metrics/loss/0{of}"] for of in ("", "/1")]
        assert of_devices[0] != of_devices[1]
    run = train(strategy, devices, resume=name == "resumed")
    rows = [{**row, "seconds": 0} for row in run.history]
    found[name] = {"devices": run.config["devices"], "losses": losses[name], "history": rows,
                   "metrics": run.metrics, "hashes": run.hashes}
run = modnet_keras.load_run(run.folder)
parts = (part for part in run.model.layers if hasattr(part, "layers"))
found["resumed"] |= {
    "evaluated": modnet_keras.evaluate(run),
    "layers": sorted({type(layer).__name__ for part in parts for layer in part.layers}),
    "frozen": [part.name for part in run.model.layers[1:] if not part.trainable_weights],
}
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(runs, demo, tmp_path_factory):
    """What became of canines: from scratch on one device and two, frozen on two, also resumed.

    At a low rate: at the recipe's, the rounding of the first steps grows to 0.005 in twenty. As
    much as on one device whose first weights are changed by a ten millionth.
    """
    folder = tmp_path_factory.mktemp("devices")
    for name in ("one", "two", "through", "resumed"):
        shutil.copytree(runs / "animals", folder / name / "animals")
    done = subprocess.run(
        [sys.executable, "-c", TRAININGS, str(demo), str(folder)],
        capture_output=True,
        text=True,
        timeout=LONGEST,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_twenty_steps_on_two_devices_are_those_on_one(found):
    one, two = found["one"], found["two"]
    assert (one["devices"], two["devices"]) == (1, 2)
    pairs = zip(one["losses"], two["losses"], strict=True)
    assert len(one["losses"]) == 20 and max(abs(a - b) for a, b in pairs) < 1e-5
    assert two["metrics"]["val"]["n"] == one["metrics"]["val"]["n"]
    for row, expected in zip(two["history"], one["history"], strict=True):
        for key in expected:
            assert row[key] == pytest.approx(expected[key], abs=1e-3), key


def test_a_child_on_two_devices_is_resumed_to_the_same_bits(found):
    """Broken off in the midst of an epoch; what is kept runs on one device, as any other run's."""
    resumed, through = found["resumed"], found["through"]
    assert len(through["history"]) == 2 and len(resumed["losses"]) == 20
    for key in ("hashes", "history", "metrics"):
        assert resumed[key] == through[key], key
    assert resumed["metrics"]["val"] == resumed["evaluated"]
    assert resumed["hashes"]["before"]["stem"] == resumed["hashes"]["after"]["stem"]
    assert resumed["frozen"] == ["stem", "stage_1", "stage_2"]
    assert "FusedBatchNormalization" in resumed["layers"]
    assert "BatchNormalization" not in resumed["layers"]


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
