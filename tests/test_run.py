"""Runs on disk: what is found, what is refused, what a crash leaves."""

import json
import shutil

import pytest

from modnet_keras import load_run, load_task, train
from modnet_keras.errors import CallError, WorkError
from modnet_keras.files import write_whole
from modnet_keras.training.run import find_runs


def test_a_run_is_read_back(runs):
    run = load_run(runs / "canines" / "frozen")
    assert run.task == load_task("canines") and run.name == "frozen"
    assert [row["epoch"] for row in run.history] == [1, 2]
    assert run.model.name == "canines" and run.model.output_shape == (None, 1)
    manifest = run.manifest()
    assert set(manifest.split) == {"train", "val"} and manifest.paths("val")


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
