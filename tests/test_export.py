"""Exports as their users load them, without this package's code."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog
from test_decode_rows import BROKEN

from modnet_keras import export, load_run, load_tree, predict
from modnet_keras.errors import CallError, WorkError
from modnet_keras.serving import servable
from modnet_keras.serving.formats import FORMATS
from modnet_keras.serving.servable import Servable
from modnet_keras.serving.tree import as_tree


@pytest.fixture(scope="module")
def exported(runs, tmp_path_factory):
    """The tree of animals, canines and wolf, as a SavedModel."""
    folder = tmp_path_factory.mktemp("exported") / "animals"
    return export(load_tree("animals", runs=runs), folder)


@pytest.fixture(scope="module")
def signatures(exported):
    return tf.saved_model.load(str(exported.folder)).signatures


@pytest.fixture(scope="module")
def files(runs):
    return load_run(runs / "animals" / "scratch").manifest().paths("val")[:12]


def card_of(model):
    """The head of an earlier version's card."""
    return f"---\nlibrary_name: modnet-keras\nmodel_name: {model}\n---\n"


def contents_of(files):
    return [Path(file).read_bytes() for file in files]


def test_what_is_written_is_what_tensorflow_serving_takes(exported):
    assert exported.folder.name == "1" and exported.difference < 1e-5 and exported.is_folded
    assert sorted(path.name for path in exported.folder.parent.iterdir()) == ["1", "README.md"]
    assert {"saved_model.pb", "variables", "assets.extra"} <= {
        path.name for path in exported.folder.iterdir()
    }


def test_a_tree_answers_bytes_as_predict_does(exported, signatures, runs, files):
    answers = signatures["serving_default"](image_bytes=tf.constant(contents_of(files)))
    assert {key: value.dtype for key, value in answers.items()} == {
        "probability": tf.float32,
        "tasks": tf.string,
        "path": tf.string,
        "path_probability": tf.float32,
        "label": tf.string,
        "valid": tf.bool,
    }
    assert answers["valid"].numpy().all() and answers["probability"].shape == (12, 3)
    rows = predict(load_tree("animals", runs=runs), files)
    assert [label.decode() for label in answers["label"].numpy()] == [row["label"] for row in rows]
    of_tasks = [[row[task] for task in ("animals", "canines", "wolf")] for row in rows]
    np.testing.assert_allclose(answers["probability"], of_tasks, atol=1e-5)
    np.testing.assert_allclose(
        answers["path_probability"], [row["probability"] for row in rows], atol=1e-5
    )


def test_broken_rows_leave_the_others_bits_as_they_are(signatures, files):
    call = signatures["serving_default"]
    good = contents_of(files)
    whole = call(image_bytes=tf.constant(good))
    spoiled = good.copy()
    places = range(1, 11, 2)
    kinds = list(BROKEN.values())
    for start in range(0, len(kinds), len(places)):
        for place, contents in zip(places, kinds[start:], strict=False):
            spoiled[place] = contents
        found = call(image_bytes=tf.constant(spoiled))
        for key, values in found.items():
            kept = [place for place in range(12) if place not in places]
            np.testing.assert_array_equal(values.numpy()[kept], whole[key].numpy()[kept])
        bad = list(places)
        assert not found["valid"].numpy()[bad].any()
        assert not found["probability"].numpy()[bad].any()
        assert set(found["label"].numpy()[bad]) == {b""}


def test_no_rows_give_empty_answers(signatures):
    nothing = signatures["serving_default"](image_bytes=tf.constant([], tf.string))
    assert nothing["probability"].shape == (0, 3) and nothing["label"].shape == (0,)
    nothing = signatures["serving_images"](images=tf.zeros([0, 32, 32, 3]))
    assert nothing["probability"].shape == (0, 3) and nothing["valid"].shape == (0,)


def test_pictures_as_numbers_are_answered_and_what_is_no_number_is_not(signatures):
    images = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype("float32")
    whole = signatures["serving_images"](images=tf.constant(images))
    images[1, 5, 5, 0], images[2, 0, 0, 2] = np.nan, np.inf
    found = signatures["serving_images"](images=tf.constant(images))
    assert found["valid"].numpy().tolist() == [True, False, False, True]
    np.testing.assert_array_equal(
        found["probability"].numpy()[[0, 3]], whole["probability"].numpy()[[0, 3]]
    )
    assert not found["probability"].numpy()[1:3].any()


def test_warm_up_requests_can_be_answered(exported, signatures):
    file = exported.folder / "assets.extra" / "tf_serving_warmup_requests"
    called = []
    for record in tf.data.TFRecordDataset(str(file)):
        request = PredictionLog.FromString(record.numpy()).predict_log.request
        inputs = {key: tf.constant(tf.make_ndarray(value)) for key, value in request.inputs.items()}
        answers = signatures[request.model_spec.signature_name](**inputs)
        called.append((request.model_spec.signature_name, len(answers["label"])))
        assert request.model_spec.name == "animals"
    assert called == [
        (name, rows) for rows in (1, 8) for name in ("serving_default", "serving_images")
    ]


def test_the_card_says_what_it_is_and_how_good(exported, runs):
    card = (exported.folder.parent / "README.md").read_text()
    run = load_run(runs / "wolf" / "frozen")
    assert run.config["fingerprint"] in card and "wolf/frozen, by `frozen`" in card
    row = (
        f"| wolf | validation | {run.metrics['val']['n']} | {run.metrics['val']['accuracy']:.3f} |"
    )
    assert row in card
    assert "docker run" in card and "/v1/models/animals:predict" in card
    assert "n02083346 (canine)" in card and "was not measured" in card


def test_the_card_says_what_was_forgotten_of_the_weights_that_are_shipped(trained, tmp_path):
    from modnet_keras import measure_forgetting
    from modnet_keras.serving.export import Export
    from modnet_keras.serving.model_card import model_card

    own = shutil.copytree(trained, tmp_path / "runs")
    measure_forgetting("canines", runs=own, strategies=["finetune"])
    run = load_run(own / "canines" / "finetune")
    made = Export(tmp_path / "to" / "1", as_tree(run), "saved_model", 32, 1e-7, True)
    assert "of animals's accuracy (95 %" in model_card(made)
    run.hashes["after"]["head"] = {"weights": "others"}
    assert "was not measured" in model_card(made)


@pytest.fixture
def one(runs):
    return Servable(as_tree(load_run(runs / "animals" / "scratch")))


def test_the_next_version_is_written_and_a_run_answers_in_its_simpler_form(
    runs, files, tmp_path, command
):
    run, to = runs / "animals" / "scratch", tmp_path / "deep" / "served"
    (to / "41").mkdir(parents=True)
    (to / "41" / "saved_model.pb").touch()
    (to / "README.md").write_text(card_of("animals (run)"))
    status, out, _ = command("export", f"--run={run}", f"--to={to}")
    assert status == 0 and str(to / "42") in out and "batch norm folded" in out
    assert len((to / "README.md").read_text()) > len(card_of("animals (run)"))
    answers = tf.saved_model.load(str(to / "42")).signatures["serving_default"](
        image_bytes=tf.constant([*contents_of(files), b"none"])
    )
    assert set(answers) == {"probability", "label", "valid"}
    rows = predict(run, files)
    np.testing.assert_allclose(
        answers["probability"][:-1], [row["probability"] for row in rows], atol=1e-5
    )
    assert [label.decode() for label in answers["label"].numpy()][:-1] == [
        row["label"] for row in rows
    ]
    assert answers["valid"].numpy().tolist() == [True] * len(files) + [False]


def test_a_model_that_answers_otherwise_is_not_exported(runs, tmp_path, monkeypatch):
    right = servable.answer

    def shifted(*arguments):
        answers = right(*arguments)
        return answers | {"probability": answers["probability"] * 0.999}

    monkeypatch.setattr(servable, "answer", shifted)
    with pytest.raises(WorkError, match="differ"):
        export(runs / "animals" / "scratch", tmp_path / "to")
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_a_sentence_and_leaves_nothing(runs, tmp_path, command, monkeypatch):
    def fill(servable, folder):
        (folder / "part").write_text("half")
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setitem(FORMATS, "saved_model", replace(FORMATS["saved_model"], write=fill))
    run = runs / "animals" / "scratch"
    status, _, err = command("export", f"--run={run}", f"--to={tmp_path / 'to'}")
    assert status == 1 and "No space left" in err and err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("format", "file"), [("onnx", "model.onnx"), ("litert", "model.tflite")])
def test_other_formats_answer_pictures_alike(runs, tmp_path, one, format, file):
    exported = export(runs / "animals" / "scratch", tmp_path / "to", format)
    assert exported.difference < 1e-4 and (exported.folder / file).is_file()
    images = np.random.default_rng(1).uniform(0, 255, (3, 32, 32, 3)).astype("float32")
    expected = one.of_images(tf.constant(images))["probability"]
    np.testing.assert_allclose(
        answer_in(format, exported.folder / file, images), expected, atol=1e-5
    )


def answer_in(format, file, images):
    if format == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        return session.run(["probability"], {"images": images})[0]
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(str(file)).get_signature_runner()(images=images)["probability"]


def foreign(to):
    (to / "notes.txt").write_text("mine")


def foreign_card(to):
    (to / "README.md").write_text("# My project\n")


def other_format(to):
    (to / "1").mkdir()
    (to / "1" / "model.onnx").write_bytes(b"")


def another_model(to):
    (to / "1").mkdir()
    (to / "1" / "saved_model.pb").write_bytes(b"")
    (to / "README.md").write_text(card_of("wolf (run)"))


@pytest.mark.parametrize(
    ("put_there", "words"),
    [
        (another_model, "another model"),
        (foreign, "notes.txt"),
        (foreign_card, "README.md"),
        (other_format, "saved_model.pb"),
    ],
)
def test_a_target_that_holds_anything_else_is_refused(runs, tmp_path, command, put_there, words):
    put_there(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    run = runs / "animals" / "scratch"
    status, _, err = command("export", f"--run={run}", f"--to={tmp_path}")
    assert status == 2 and words in err and err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_bad_calls_are_refused_and_leave_nothing(runs, demo, tmp_path, command):
    run, to = f"--run={runs / 'animals' / 'scratch'}", f"--to={tmp_path / 'to'}"
    (tmp_path / "file").write_text("")
    calls = [
        ([run, f"--to={demo / 'served'}"], "data folder"),
        ([run, f"--to={tmp_path / 'file'}"], "is a file"),
        ([run, to, "--format=onxn"], "did you mean 'onnx'"),
        ([f"--run={tmp_path / 'none'}", to], "not there"),
        ([f"--run={tmp_path}", to], "is no run"),
        (["--tree=felines", f"--runs={runs}", to], "no finished run"),
        (["--tree=animals", f"--runs={tmp_path}", to], "holds no finished run"),
        ([to], "either --run"),
    ]
    for options, words in calls:
        status, _, err = command("export", *options)
        assert status == 2 and words in err and err.count("\n") == 1, (options, err)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_damaged_network_leaves_nothing(own_runs, tmp_path, command):
    model = own_runs / "animals" / "scratch" / "model.keras"
    model.write_bytes(model.read_bytes()[:5000])
    status, _, err = command("export", f"--run={model.parent}", f"--to={tmp_path / 'to'}")
    assert status == 1 and "model.keras" in err and not (tmp_path / "to").exists()


def test_what_a_format_needs_is_named(runs, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(CallError, match=r"tf2onnx and onnxruntime.*modnet-keras\[onnx\]"):
        export(runs / "animals" / "scratch", tmp_path / "to", "onnx")
