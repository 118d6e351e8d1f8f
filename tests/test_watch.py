"""Watching the parent's accuracy while its child trains."""

import contextlib
import csv
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from conftest import SMALL
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from trainings import change_config, listing

from modnet_keras import build_dataset, load_run, load_task, tap, train
from modnet_keras.errors import CallError, WorkError
from modnet_keras.reports.plots import draw_comparison, draw_history
from modnet_keras.training import callbacks, watch
from modnet_keras.training.options import Options
from modnet_keras.training.plan import plan_training

pytestmark = pytest.mark.usefixtures("thin_networks")

OF_CHILD = {"epochs": 2, "batch_size": 32, "precision": "float32"}
COLUMN = "parent_accuracy"


@pytest.fixture(scope="module")
def watched(runs, trained, tmp_path_factory):
    """A runs folder with canines by finetune, trained alike with and without the parent watched."""
    folder = shutil.copytree(runs, tmp_path_factory.mktemp("watched") / "runs")
    shutil.copytree(trained / "canines" / "finetune", folder / "canines" / "plain")
    train("canines", strategy="finetune", runs=folder, name="watched", watch_parent=True,
          **OF_CHILD)  # fmt: skip
    return folder


def plan_of(runs, **options):
    options = Options(**OF_CHILD | {"watch_parent": True} | options)
    return plan_training(load_task("canines"), options, runs=runs, name="another")[-1]


def accuracies(run):
    return [row[COLUMN] for row in run.history]


def test_watching_changes_no_bit_of_the_training(watched):
    run, plain = (load_run(watched / "canines" / name) for name in ("watched", "plain"))
    for with_it, without in zip(run.model.weights, plain.model.weights, strict=True):
        np.testing.assert_array_equal(with_it, without)
    assert run.hashes == plain.hashes and run.metrics == plain.metrics
    for with_it, without in zip(run.history, plain.history, strict=True):
        assert {**with_it, "seconds": 0} == {**without, "seconds": 0, COLUMN: with_it[COLUMN]}


def test_only_a_run_that_watches_has_the_column_and_it_stands_after_validation(watched):
    columns = {}
    for name in ("watched", "plain"):
        with (watched / "canines" / name / "history.csv").open() as text:
            columns[name] = next(csv.reader(text))
    assert columns["watched"][-4:] == ["val_auc", COLUMN, "learning_rate", "seconds"]
    assert columns["plain"] == [name for name in columns["watched"] if name != COLUMN]
    flags = [load_run(watched / "canines" / name).config["watch_parent"] for name in columns]
    assert flags == [True, False]


def test_it_is_the_accuracy_of_the_parents_head_on_the_childs_tap(watched, demo):
    run = load_run(watched / "canines" / "watched")
    parent = load_run(watched / "animals" / "scratch")
    sample = watch.sample_of_parent(plan_of(watched))
    pictures = build_dataset(sample, "val", image_size=32)
    logits = tap(run.model, parent.model).predict(pictures, verbose=0)[:, 0]
    assert accuracies(run)[-1] == np.mean((logits > 0) == sample.labels("val"))


def test_the_sample_is_fixed_even_of_validation_and_a_tenth_of_an_epoch(watched):
    manifest = load_run(watched / "animals" / "scratch").manifest()
    plan = plan_of(watched)
    sample, again = watch.sample_of_parent(plan), watch.sample_of_parent(plan_of(watched))
    assert sample.path.tolist() == again.path.tolist()
    assert set(sample.path) <= set(manifest.path[manifest.split == "val"])
    assert np.bincount(sample.labels("val")).tolist() == [len(sample) // 2] * 2
    trained = len(plan.manifest.labels("train"))
    assert 2 <= len(sample) <= trained / 10 < len(sample) + 2 + 6.4


def test_the_sample_fits_the_memory_and_is_never_empty(watched, monkeypatch):
    monkeypatch.setattr(watch, "MEMORY_FOR_PICTURES", 5 * 32 * 32 * 12)
    assert len(watch.sample_of_parent(plan_of(watched))) == 4
    monkeypatch.setattr(watch, "MEMORY_FOR_PICTURES", 0)
    assert len(watch.sample_of_parent(plan_of(watched))) == 2


def test_a_frozen_childs_parent_stays_what_it_was(own_runs, demo, tmp_path, command):
    """By the command, over an old parent: its config does not know of watching.

    Its pictures are no longer where they were, but those of the child are the same.
    """
    forget_the_option(own_runs / "animals" / "scratch")
    change_config(own_runs / "animals" / "scratch", data=str(tmp_path / "gone"))
    status, out, _ = command(
        "train", "--task=canines", f"--runs={own_runs}", "--name=again", "--watch_parent",
        f"--data={demo}",
        *(f"--{key}={value}" for key, value in OF_CHILD.items()),
    )  # fmt: skip
    assert status == 0
    run = load_run(own_runs / "canines" / "again")
    sample = watch.sample_of_parent(plan_of(own_runs, data=str(demo)))
    with (own_runs / "animals" / "scratch" / "predictions.csv").open() as text:
        said = {row["path"]: float(row["probability"]) > 0.5 for row in csv.DictReader(text)}
    right = np.mean([said[path] == label for path, label in zip(sample.path, sample.label)])  # noqa: B905
    assert accuracies(run) == [right, right]
    assert f"  parent {right:.3f}\n" in out


def forget_the_option(folder):
    config = json.loads((folder / "config.json").read_text())
    del config["watch_parent"]
    (folder / "config.json").write_text(json.dumps(config))


def test_tensorboard_has_a_scalar_an_epoch(watched):
    run = load_run(watched / "canines" / "watched")
    events = EventAccumulator(str(run.folder / "tensorboard" / "train")).Reload()
    found = [
        float(tf.make_ndarray(event.tensor_proto)) for event in events.Tensors(f"epoch_{COLUMN}")
    ]
    assert found == pytest.approx(accuracies(run))


def test_history_shows_the_parent_and_the_comparison_does_not(tmp_path):
    head = "epoch,loss,accuracy,sensitivity,specificity,val_loss,val_accuracy,val_sensitivity,"
    head += "val_specificity,val_auc"
    for folder, column, value in (("plain", "", ""), ("watched", f",{COLUMN}", ",0.9")):
        for name in ("a", "b"):
            run = tmp_path / folder / "canines" / name
            run.mkdir(parents=True)
            rows = [f"{epoch},0.6,0.7,0.7,0.7,0.6,0.7,0.7,0.7,0.8{value}" for epoch in (1, 2)]
            (run / "history.csv").write_text("\n".join([head + column, *rows, ""]))
            (run / "metrics.json").write_text("{}")
            draw_history(run)
        draw_comparison(tmp_path / folder / "canines")
    figures = {
        name: [
            (tmp_path / folder / "canines" / name).read_bytes() for folder in ("plain", "watched")
        ]
        for name in ("a/history.png", "comparison.png")
    }
    assert figures["a/history.png"][0] != figures["a/history.png"][1]
    assert figures["comparison.png"][0] == figures["comparison.png"][1]


@contextlib.contextmanager
def interrupted_after(monkeypatch, epochs):
    """Let a training be interrupted after some of its epochs."""
    shown = callbacks.ShowProgress.on_epoch_end

    def interrupt(self, epoch, logs=None):
        shown(self, epoch, logs)
        if epoch + 1 == epochs:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(callbacks.ShowProgress, "on_epoch_end", interrupt)
        yield


def test_a_resumed_run_follows_its_own_config(watched, own_runs, monkeypatch):
    settings = {"strategy": "finetune", "runs": own_runs} | OF_CHILD
    with interrupted_after(monkeypatch, epochs=1):
        train("canines", watch_parent=True, **settings)
    resumed = train("canines", strategy="finetune", runs=own_runs, resume=True)
    assert accuracies(resumed) == accuracies(load_run(watched / "canines" / "watched"))


def test_resume_starts_no_watching_and_an_old_run_goes_on(watched, tmp_path, command):
    """It was killed before its first snapshot."""
    runs = shutil.copytree(watched, tmp_path / "runs")
    folder = runs / "canines" / "plain"
    (folder / "metrics.json").unlink()
    forget_the_option(folder)
    call = ["train", "--task=canines", "--strategy=finetune", "--name=plain", f"--runs={runs}"]
    status, _, err = command(*call, "--resume", "--watch_parent")
    assert status == 2 and err.count("\n") == 1
    assert "--watch_parent=True" in err and "started with False" in err
    status, *_ = command(*call, "--resume")
    assert status == 0 and COLUMN not in load_run(folder).history[-1]


def test_a_root_has_no_parent_to_watch(here, demo, command):
    before = listing(here)
    status, _, err = command("train", "--task=animals", f"--data={demo}", "--watch_parent")
    assert status == 2 and err.count("\n") == 1 and "--watch_parent" in err and "root" in err
    assert listing(here) == before


def test_ancestors_that_are_trained_first_watch_but_for_the_root(demo, tmp_path):
    options = Options(data=str(demo), watch_parent=True, **SMALL)
    plans = plan_training(load_task("wolf"), options, runs=tmp_path)
    assert [plan.config["watch_parent"] for plan in plans] == [False, True, True]


def test_a_child_from_scratch_may_be_watched_and_its_parent_trained_first(demo, tmp_path):
    run = train("canines", strategy="scratch", data=demo, runs=tmp_path, watch_parent=True,
                **SMALL | {"epochs": 1})  # fmt: skip
    assert len(accuracies(run)) == 1 and 0 <= accuracies(run)[0] <= 1
    assert COLUMN not in load_run(tmp_path / "animals" / "scratch").history[0]


def test_pictures_of_the_parent_that_are_gone_are_named_before_anything_is_written(
    own_runs, demo, tmp_path
):
    """The child has another data folder than its parent; what the parent saw may have moved."""
    data = shutil.copytree(demo, tmp_path / "data")
    config = own_runs / "animals" / "scratch" / "config.json"
    config.write_text(config.read_text().replace(str(demo), str(data)))
    others = shutil.copytree(demo, tmp_path / "others")
    next(others.rglob("*.JPEG")).unlink()
    before = listing(own_runs)
    settings = {"runs": own_runs, "name": "another", "watch_parent": True} | OF_CHILD
    for picture in data.rglob("*.JPEG"):
        picture.unlink()
    with pytest.raises(WorkError, match="--watch_parent: .*animals/scratch.*JPEG"):
        train("canines", data=others, **settings)
    shutil.rmtree(data)
    with pytest.raises(CallError, match="--watch_parent: data folder .*animals/scratch"):
        train("canines", data=others, **settings)
    assert listing(own_runs) == before
