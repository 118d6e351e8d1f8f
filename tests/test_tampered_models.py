"""A `model.keras` that somebody has made: nothing of it is run, and one sentence says so."""

import io
import json
import zipfile

import h5py
import keras
import pytest

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


@pytest.mark.parametrize(
    ("module", "name"),
    [("subprocess", "Popen"), ("builtins", "eval"), ("os", "system"), ("keras.utils", "get_file")],
)
def test_a_layer_that_is_another_modules_function_is_not_called(folder, tmp_path, module, name):
    mark = tmp_path / "was run"
    config = {"args": ["touch", str(mark)], "command": f"touch {mark}", "fname": str(mark)}
    with_first_layer(folder, {"module": module, "class_name": name, "config": config})
    refused(folder)
    assert not mark.exists()


@pytest.mark.parametrize("name", ["../outside", "/tmp/modnet-outside", "assets/../../outside"])
def test_members_that_lead_outside_are_written_nowhere(folder, tmp_path, name):
    rewrite(folder, members_of(folder) | {name: b"x"})
    before = sorted(folder.parents[1].rglob("*"))
    try:
        assert evaluate(load_run(folder))["n"] > 0
    except WorkError as error:
        assert "is damaged: model.keras" in str(error) and "\n" not in str(error)
    assert sorted(folder.parents[1].rglob("*")) == before
    assert not list(tmp_path.rglob("*outside*"))


def test_an_archive_that_unpacks_to_more_than_it_is_is_refused(folder):
    members = members_of(folder)
    members["config.json"] += b" " * 200_000_000
    rewrite(folder, members, zipfile.ZIP_DEFLATED)
    refused(folder)


def test_weights_that_lie_in_another_file_are_not_read(folder, tmp_path):
    members = members_of(folder)
    with h5py.File(tmp_path / "secret.h5", "w") as secret:
        secret["kernel"] = [1.0]
    buffer = io.BytesIO(members["model.weights.h5"])
    with h5py.File(buffer, "a") as weights:
        names = []
        weights.visit(names.append)
        kernel = next(name for name in names if isinstance(weights[name], h5py.Dataset))
        del weights[kernel]
        weights[kernel] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "kernel")
    rewrite(folder, members | {"model.weights.h5": buffer.getvalue()})
    refused(folder)


def test_another_network_is_refused(folder):
    keras.Sequential(
        [keras.Input((32, 32, 3)), keras.layers.Flatten(), keras.layers.Dense(1)]
    ).save(folder / "model.keras")
    with pytest.raises(WorkError, match="are not those that were trained"):
        evaluate(load_run(folder))
    with pytest.raises(WorkError, match="is damaged"):
        grow(load_run(folder))


def test_the_weights_of_another_run_are_refused(folder, runs):
    other = runs / "canines" / "frozen" / "model.keras"
    (folder / "model.keras").write_bytes(other.read_bytes())
    with pytest.raises(WorkError, match="are not those that were trained"):
        evaluate(load_run(folder))
    with pytest.raises(WorkError, match="is damaged"):
        grow(load_run(folder))
