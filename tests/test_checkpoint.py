import hashlib
import io
from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modnet_keras.errors import WorkError
from modnet_keras.models import build_model, grow
from modnet_keras.training.checkpoint import load_snapshot, save_snapshot
from modnet_keras.training.optimizers import compile_model

pytestmark = pytest.mark.usefixtures("thin_networks")
PICTURE_SIZE = 32
HISTORY = [{"epoch": 1, "loss": 0.6931471805599453, "val_auc": None}]


def make_model(strategy="layerwise", seed=0):
    child = grow(build_model(1, PICTURE_SIZE, seed=seed), 2, seed=seed)
    return compile_model(child, strategy, steps_per_epoch=2, epochs=4)


def bits_of(model):
    variables = [*model.variables, *model.optimizer.variables]
    return [variable.numpy().tobytes() for variable in variables]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    pictures = rng.normal(size=(16, PICTURE_SIZE, PICTURE_SIZE, 3)).astype("float32")
    return pictures, np.tile([[0.0], [1.0]], (8, 1))


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """A model after four epochs, and the snapshot that it wrote after two."""
    path = tmp_path_factory.mktemp("run") / "snapshot"
    model = make_model()

    def save_second(epoch, logs):
        if epoch == 1:
            save_snapshot(path, model, HISTORY, {})

    fit(model, data, callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=save_second)])
    return model, path


def fit(model, data, **settings_):
    model.fit(*data, batch_size=8, epochs=4, shuffle=False, verbose=0, **settings_)


def test_two_and_two_epochs_are_four_to_the_bit(trained, data):
    model, path = trained
    snapshot = load_snapshot(path)
    assert snapshot.step == 4 and snapshot.epoch == {}
    resumed = make_model(seed=1)
    assert bits_of(resumed) != bits_of(model)
    snapshot.restore(resumed)
    fit(resumed, data, initial_epoch=2)
    assert bits_of(resumed) == bits_of(model)


def test_restores_every_bit_of_model_and_optimizer(trained, tmp_path):
    model, _ = trained
    save_snapshot(tmp_path / "snapshot", model, HISTORY, {})
    restored = make_model(seed=1)
    load_snapshot(tmp_path / "snapshot").restore(restored)
    assert bits_of(restored) == bits_of(model)
    iterations = [int(part.iterations) for part in restored.optimizer.optimizers]
    assert iterations == [8, 8, 8]
    momenta = [w for part in restored.optimizer.optimizers for w in part.momentums]
    assert len(momenta) == len(restored.trainable_variables)
    assert all(momentum.numpy().any() for momentum in momenta)


def test_an_epochs_metrics_go_on_from_its_midst(data, tmp_path):
    """Counted over two batches of which the first was before the snapshot."""
    path, model, whole = tmp_path / "snapshot", make_model(), {}

    def save_first(batch, logs):
        if batch == 0:
            save_snapshot(path, model, [], {"learning_rate": 0.1, "seconds": 0.5})

    model.fit(*data, batch_size=8, shuffle=False, verbose=0, callbacks=[
        keras.callbacks.LambdaCallback(on_train_batch_end=save_first)
    ])  # fmt: skip
    whole = {name: float(value) for name, value in model.get_metrics_result().items()}
    resumed, snapshot = make_model(seed=1), load_snapshot(path)
    snapshot.restore(resumed)
    resumed.fit(*(part[8:] for part in data), batch_size=8, shuffle=False, verbose=0, callbacks=[
        keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: snapshot.restore_metrics(resumed)
        )
    ])  # fmt: skip
    assert bits_of(resumed) == bits_of(model)
    assert {name: float(v) for name, v in resumed.get_metrics_result().items()} == whole


def test_what_does_not_read_as_it_was_written_leaves_the_former_one(trained, tmp_path, monkeypatch):
    save_snapshot(tmp_path / "snapshot", trained[0], HISTORY, {})
    before = (tmp_path / "snapshot").read_bytes()
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read(path).replace(b"conv", b"c0nv", 1))
    with pytest.raises(WorkError, match="does not read as it was written"):
        save_snapshot(tmp_path / "snapshot", trained[0], [], {})
    monkeypatch.undo()
    assert (tmp_path / "snapshot").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["snapshot"]


def test_the_snapshot_of_an_older_version_is_refused(trained, tmp_path):
    buffer = io.BytesIO()
    np.savez(buffer, meta=np.array('{"epoch": 1, "history": []}'))
    contents = buffer.getvalue()
    (tmp_path / "snapshot").write_bytes(contents + hashlib.sha256(contents).digest())
    with pytest.raises(WorkError, match="written by another version; train anew"):
        load_snapshot(tmp_path / "snapshot")


def test_keeps_the_history(trained):
    assert load_snapshot(trained[1]).history == HISTORY


def test_saves_before_the_first_step(tmp_path):
    model = make_model()
    save_snapshot(tmp_path / "snapshot", model, [], {})
    restored = make_model(seed=1)
    load_snapshot(tmp_path / "snapshot").restore(restored)
    assert bits_of(restored) == bits_of(model)


def test_replaces_the_former_snapshot_and_leaves_nothing_beside_it(trained, tmp_path):
    for seconds in (1.0, 2.0):
        save_snapshot(tmp_path / "snapshot", trained[0], HISTORY, {"seconds": seconds})
    assert load_snapshot(tmp_path / "snapshot").epoch == {"seconds": 2.0}
    assert [path.name for path in tmp_path.iterdir()] == ["snapshot"]


def test_none_where_there_is_no_snapshot(tmp_path):
    assert load_snapshot(tmp_path / "snapshot") is None


@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_a_flipped_bit_is_found(trained, data):
    path = trained[1]
    contents = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(contents) - 1))
    contents[place] ^= 1 << data.draw(st.integers(0, 7))
    damaged = path.with_name("damaged")
    damaged.write_bytes(contents)
    with pytest.raises(WorkError, match="damaged' is damaged; train anew with --overwrite"):
        load_snapshot(damaged)


@pytest.mark.parametrize("kept", [0, 1, 31, 32, 33, 1000, -1, -32, -33])
def test_a_truncated_file_is_found(trained, tmp_path, kept):
    (tmp_path / "snapshot").write_bytes(trained[1].read_bytes()[:kept])
    with pytest.raises(WorkError, match="is damaged"):
        load_snapshot(tmp_path / "snapshot")


def test_a_longer_file_is_found(trained, tmp_path):
    (tmp_path / "snapshot").write_bytes(trained[1].read_bytes() + b"\0")
    with pytest.raises(WorkError, match="is damaged"):
        load_snapshot(tmp_path / "snapshot")


@pytest.mark.parametrize("other", ["strategy", "level"])
def test_another_model_is_refused_and_left_alone(trained, other):
    if other == "strategy":
        model = make_model("finetune")
    else:
        model = compile_model(
            build_model(3, PICTURE_SIZE), "layerwise", steps_per_epoch=2, epochs=4
        )
    before = bits_of(model)
    with pytest.raises(WorkError, match="the snapshot is of another model"):
        load_snapshot(trained[1]).restore(model)
    assert bits_of(model)[: len(model.variables)] == before[: len(model.variables)]
