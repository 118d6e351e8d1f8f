"""Runs on disk: what is found, what is refused, what a crash leaves."""

import json
import shutil
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modnet_keras import load_run, load_task, train
from modnet_keras.errors import CallError, WorkError
from modnet_keras.files import write_whole
from modnet_keras.training.run import Run, find_runs

pytestmark = pytest.mark.usefixtures("thin_networks")


def test_a_run_is_read_back(runs):
    run = load_run(runs / "canines" / "frozen")
    assert run.task == load_task("canines") and run.name == "frozen"
    assert [row["epoch"] for row in run.history] == [1, 2]
    assert run.model.name == "canines" and run.model.output_shape == (None, 1)
    manifest = run.manifest()
    assert set(manifest.split) == {"train", "val"} and manifest.paths("val")


def test_loading_a_network_fixes_the_threads_as_training_does(runs):
    """In a fresh process: what is trained after it would have the bits of all cores."""
    script = (
        "import sys, modnet_keras\n"
        "run = modnet_keras.load_run(sys.argv[1])\n"
        "run.model.get_weights()\n"
        "import tensorflow as tf\n"
        "threads = tf.config.threading.get_intra_op_parallelism_threads()\n"
        "print(threads, run.config['intra_op_threads'])\n"
    )
    call = [sys.executable, "-c", script, str(runs / "animals" / "scratch")]
    done = subprocess.run(call, check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["2", "2"]


def test_runs_are_found_by_task(runs):
    assert [run.name for run in find_runs(runs, "canines")] == ["frozen"]
    assert find_runs(runs, "felines") == []


@pytest.mark.parametrize("name", ["config.json", "metrics.json", "history.csv", "manifest.csv"])
def test_damage_is_named(own_runs, name):
    folder = own_runs / "canines" / "frozen"
    (folder / name).write_text('{"half')
    with pytest.raises(WorkError, match=name):
        run = load_run(folder)
        assert run.metrics and run.history and run.manifest()


def test_what_a_run_is_older_than_is_none(own_runs):
    file = own_runs / "canines" / "frozen" / "metrics.json"
    metrics = json.loads(file.read_text())
    del metrics["val"]["auc"]
    file.write_text(json.dumps(metrics))
    assert load_run(file.parent).metrics["val"] == metrics["val"] | {"auc": None}


@pytest.mark.parametrize("val", [[], {}, {"n": "8"}, {"n": 8, "accuracy": "0.5"}])
def test_metrics_that_are_none_are_damage(own_runs, val):
    file = own_runs / "canines" / "frozen" / "metrics.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"val": val}))
    with pytest.raises(WorkError, match="metrics.json cannot be used .val "):
        print(load_run(file.parent).metrics)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_any_config_is_read_or_refused_in_one_sentence(runs, tmp_path_factory, data):
    config = json.loads((runs / "canines" / "frozen" / "config.json").read_text())
    for key in data.draw(st.lists(st.sampled_from(sorted(config)), min_size=1, max_size=3)):
        config[key] = data.draw(json_values)
    folder = tmp_path_factory.getbasetemp() / "config"
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    read_or_refuse(folder, lambda run: (run.config, run.task))


@settings(deadline=None)
@given(st.binary(max_size=80) | st.sampled_from([b"[" * 100_000, b'{"a":' * 100_000, b"9" * 5000]))
def test_any_file_of_a_run_is_read_or_refused_in_one_sentence(tmp_path_factory, contents):
    folder = tmp_path_factory.getbasetemp() / "files"
    folder.mkdir(exist_ok=True)
    for name in ("config.json", "metrics.json", "hashes.json", "history.csv"):
        (folder / name).write_bytes(contents)
    for what in ("config", "metrics", "hashes", "history"):
        read_or_refuse(folder, lambda run, what=what: getattr(run, what))


def read_or_refuse(folder, read):
    try:
        read(Run(folder))
    except WorkError as error:
        assert "is damaged" in str(error) and "\n" not in str(error)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_config_with_what_is_no_number_is_refused(own_runs, number):
    file = own_runs / "canines" / "frozen" / "config.json"
    text = file.read_text()
    rate = json.loads(text)["learning_rate"]
    file.write_text(text.replace(f'"learning_rate": {rate}', f'"learning_rate": {number}'))
    with pytest.raises(WorkError, match="config.json cannot be used"):
        load_run(file.parent)


def test_a_config_with_another_spec_is_refused(own_runs):
    folder = own_runs / "canines" / "frozen"
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"specs": [{"name": "x"}]}))
    with pytest.raises(WorkError, match="config.json"):
        _ = load_run(folder).task


def test_a_run_that_was_killed_before_its_config_starts_anew_by_resume(own_runs):
    folder = own_runs / "felines" / "frozen"
    folder.mkdir(parents=True)
    (folder / "manifest.csv").write_text("path,class,label,split\n")
    run = train("felines", runs=own_runs, resume=True, epochs=1, batch_size=64, precision="float32")
    assert len(run.manifest().path) > 0 and run.is_finished


def test_an_unfinished_run_whose_pictures_changed_is_refused(own_runs, demo, tmp_path):

    moved = shutil.copytree(demo, tmp_path / "moved")
    folder = own_runs / "animals" / "scratch"
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"data": str(moved)}))
    (folder / "metrics.json").unlink()
    next(moved.rglob("*.JPEG")).unlink()
    with pytest.raises(WorkError, match="have changed"):
        train("animals", runs=own_runs, resume=True)


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    write_whole(tmp_path / "file", "first")
    with pytest.raises(TypeError):
        write_whole(tmp_path / "file", 5)
    assert (tmp_path / "file").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_resume_knows_the_runs_own_parent_and_strategy(own_runs):

    shutil.copytree(own_runs / "animals" / "scratch", own_runs / "animals" / "other")
    (own_runs / "canines" / "frozen").rename(own_runs / "canines" / "mine")
    assert train("canines", runs=own_runs, name="mine", resume=True).config["strategy"] == "frozen"
    with pytest.raises(CallError, match="started with frozen"):
        train("canines", runs=own_runs, name="mine", strategy="finetune", resume=True)
