"""A `model.keras` that somebody has made: nothing of it is run, and one sentence says so."""

import importlib
import io
import json
import tempfile
import time
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from PIL import Image

from modnet_keras import evaluate, load_run, train
from modnet_keras.errors import WorkError

MEMBERS = ("metadata.json", "config.json", "model.weights.h5")


@pytest.fixture
def folder(own_runs):
    return own_runs / "animals" / "scratch"


def members_of(folder):
    with zipfile.ZipFile(folder / "model.keras") as archive:
        return {name: archive.read(name) for name in MEMBERS}


def rewrite(folder, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(folder / "model.keras", "w", compression) as archive:
        for name, contents in members.items():
            archive.writestr(name, contents)


def with_first_layer(folder, layer):
    """The config of the run's network, its stem's first layer but one replaced."""
    members = members_of(folder)
    config = json.loads(members["config.json"])
    stem = config["config"]["layers"][1]["config"]
    stem["layers"][1] |= layer
    rewrite(folder, members | {"config.json": json.dumps(config).encode()})


def refused(folder, reason="is damaged: model.keras"):
    for use in (evaluate, lambda run: run.model, grow):
        with pytest.raises(WorkError, match=reason) as refusal:
            use(load_run(folder))
        assert "\n" not in str(refusal.value)


def grow(run):
    train("canines", runs=run.folder.parents[1], name="other", epochs=1)


def test_the_archive_as_it_is_rewritten_here_is_read(folder):
    rewrite(folder, members_of(folder))
    assert evaluate(load_run(folder))["n"] > 0


def test_code_in_a_lambda_layer_is_not_run(folder, tmp_path):
    mark = tmp_path / "was run"
    code = keras.layers.Lambda(eval(f"lambda x: open({str(mark)!r}, 'w') and x"))
    layer = keras.saving.serialize_keras_object(code)
    with_first_layer(folder, {key: layer[key] for key in ("module", "class_name", "config")})
    refused(folder)
    assert not mark.exists()
    # Or nothing would be tested.
    with pytest.raises(ValueError, match="stem_norm"):
        keras.models.load_model(folder / "model.keras", compile=False, safe_mode=False)
    assert mark.exists()


@pytest.mark.parametrize("place", ["subprocess.Popen", "os.system", "os.mkdir"])
def test_a_layer_that_is_another_modules_function_is_not_called(folder, tmp_path, place):
    mark = str(tmp_path / "was run")
    config = {
        "subprocess.Popen": {"args": ["touch", mark]},
        "os.system": {"command": f"touch '{mark}'"},
        "os.mkdir": {"path": mark},
    }[place]
    module, name = place.split(".")
    with_first_layer(folder, {"module": module, "class_name": name, "config": config})
    refused(folder)
    time.sleep(0.2)
    assert not Path(mark).exists()
    # Or nothing would be tested.
    called = getattr(importlib.import_module(module), name)(**config)
    if place == "subprocess.Popen":
        called.wait()
    assert Path(mark).exists()


@pytest.mark.parametrize("name", ["../outside", "{}/outside", "assets/../../outside"])
def test_members_that_lead_outside_are_written_nowhere(folder, tmp_path, name, monkeypatch):
    temporary = tmp_path / "a" / "b"
    temporary.mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    rewrite(folder, members_of(folder) | {name.format(tmp_path): b"x"})
    try:
        assert evaluate(load_run(folder))["n"] > 0
    except WorkError as error:
        assert "is damaged: model.keras" in str(error) and "\n" not in str(error)
    assert not list(tmp_path.rglob("*outside*"))


@pytest.fixture
def never_read(monkeypatch):
    """Fails where Keras is given the archive: it would unpack it."""

    def read(*_, **__):
        pytest.fail("Keras was given the archive")

    monkeypatch.setattr(keras.models, "load_model", read)


@pytest.mark.usefixtures("never_read")
def test_an_archive_that_unpacks_to_more_than_it_is_is_refused(folder):
    members = members_of(folder)
    members["config.json"] += b" " * 200_000_000
    rewrite(folder, members, zipfile.ZIP_DEFLATED)
    refused(folder)


@pytest.mark.usefixtures("never_read")
@pytest.mark.parametrize(
    "settings", [{"compression": "gzip", "data": np.zeros(30_000_000, "float32")}, {}]
)
def test_weights_that_unpack_to_more_than_they_are_are_refused(folder, settings):
    """Compressed, or declared and not written at all."""
    members = members_of(folder)
    buffer = io.BytesIO(members["model.weights.h5"])
    with h5py.File(buffer, "a") as weights:
        kernel = first_dataset(weights)
        del weights[kernel]
        weights.create_dataset(kernel, (30_000_000,), "float32", **settings)
    rewrite(folder, members | {"model.weights.h5": buffer.getvalue()})
    refused(folder)


def first_dataset(weights):
    names = []
    weights.visit(names.append)
    return next(name for name in names if isinstance(weights[name], h5py.Dataset))


def test_weights_that_lie_in_another_file_are_not_read(folder, tmp_path):
    members = members_of(folder)
    buffer = io.BytesIO(members["model.weights.h5"])
    with h5py.File(buffer, "a") as weights, h5py.File(tmp_path / "secret.h5", "w") as secret:
        kernel = first_dataset(weights)
        # What is trained, so that nothing but the link is wrong.
        secret["kernel"] = weights[kernel][...]
        del weights[kernel]
        weights[kernel] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "kernel")
    rewrite(folder, members | {"model.weights.h5": buffer.getvalue()})
    refused(folder)


NETWORKS = {
    "of no stages": lambda: keras.Sequential(
        [keras.Input((32, 32, 3)), keras.layers.Flatten(), keras.layers.Dense(1)]
    ),
    "unbuilt": lambda: keras.Sequential([keras.layers.Dense(1)]),
    "of unbuilt stages": lambda: keras.Sequential([keras.Sequential(), keras.Sequential()]),
    "a layer": lambda: keras.layers.Dense(1),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_another_network_is_refused(folder, tmp_path, command, name):
    keras.saving.save_model(NETWORKS[name](), folder / "model.keras")
    refused(folder)
    call = ["predict", tmp_path, f"--run={folder}", f"--explain={tmp_path / 'explained'}"]
    Image.new("RGB", (40, 40)).save(tmp_path / "picture.png")
    status, _, error = command(*call)
    assert status == 1 and "is damaged: model.keras" in error and "Traceback" not in error


def test_the_weights_of_another_run_are_refused(folder, runs):
    other = runs / "canines" / "frozen" / "model.keras"
    (folder / "model.keras").write_bytes(other.read_bytes())
    with pytest.raises(WorkError, match="are not those that were trained"):
        evaluate(load_run(folder))
    with pytest.raises(WorkError, match="is damaged"):
        grow(load_run(folder))
