"""What the estimator refuses, in one sentence and before anything is written."""

import shutil
from pathlib import Path

import pytest
from trainings import estimate_options

from modnet_keras import estimate
from modnet_keras.errors import CallError, WorkError
from modnet_keras.files import lock_folder

pytestmark = pytest.mark.usefixtures("thin_networks")


@pytest.mark.parametrize(
    "given, words",
    [
        ({"folds": 21}, "--folds=21: class 'n[0-9]+' .* has only 20 readable pictures"),
        ({"folds": 1}, "2 folds or more"),
        ({"repeats": 0}, "--repeats=0"),
        ({"val_fraction": [0.2, 1.0]}, "--val_fraction=1.0 must lie between 0 and 1"),
        ({"val_fraction": [0.2, 0.2]}, "several different ones"),
        ({"val_fraction": [0.2], "folds": 2}, "give one of them"),
        ({"val_fraction": [0.2], "repeats": 1}, "2 repeats or more"),
        ({"strategies": ["frozn"]}, "did you mean 'frozen'"),
        ({"strategies": ["frozen", "frozen"]}, "different ones"),
        ({"jobs": 1000}, "--jobs=1000: this machine has"),
        ({"engine": "rey"}, "did you mean 'ray'"),
        ({"ray_address": "127.0.0.1:1"}, "is for --engine=ray"),
        ({"engine": "ray", "ray_address": "127.0.0.1:1"}, "127.0.0.1:1: no answer"),
        ({"engine": "ray", "ray_address": "127.0.0.1"}, "is no HOST:PORT"),
        ({"engine": "ray", "ray_address": "10..1:6379"}, "no answer"),
        ({"engine": "ray", "jobs": 2}, "is for --engine=local"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"resume": True, "overwrite": True}, "give one of them"),
    ],
)  # fmt: skip
def test_a_wrong_call_is_refused_before_anything_is_written(demo, tmp_path, given, words):
    with pytest.raises(CallError, match=words) as caught:
        estimate("canines", **{"data": demo, "runs": tmp_path / "runs"} | given)
    assert str(caught.value).count("\n") == 0
    assert not (tmp_path / "runs").exists()


def test_a_root_has_scratch_alone(demo, tmp_path):
    with pytest.raises(CallError, match="animals is a root"):
        estimate("animals", strategies=["frozen"], data=demo, runs=tmp_path / "runs")


def test_an_estimate_goes_on_as_it_was_started_or_not_at_all(own_estimate, demo):
    with pytest.raises(CallError, match="--resume, or replace it by --overwrite"):
        estimate("canines", **estimate_options(demo, own_estimate, resume=False))
    with pytest.raises(CallError, match="--folds=3: .* was started with --folds=2"):
        estimate("canines", **estimate_options(demo, own_estimate, folds=3))
    with pytest.raises(CallError, match="--epochs=3: .* was started with 2"):
        estimate("canines", **estimate_options(demo, own_estimate, epochs=3))
    (own_estimate / "canines" / "estimate" / "settings.json").write_text("{}")
    with pytest.raises(WorkError, match="settings.json' cannot be used"):
        estimate("canines", **estimate_options(demo, own_estimate))
    (own_estimate / "canines" / "estimate" / "settings.json").unlink()
    with pytest.raises(CallError, match="is no estimate"):
        estimate("canines", **estimate_options(demo, own_estimate, resume=False, overwrite=True))


def test_an_estimate_that_is_trained_by_another_process_is_left_alone(own_estimate, demo):
    table = (own_estimate / "canines" / "estimate.csv").read_bytes()
    for given in ({}, {"resume": False, "overwrite": True}):
        with (
            lock_folder(own_estimate / "canines", "for this test"),
            pytest.raises(WorkError, match="estimate' is being trained by another process"),
        ):
            estimate("canines", **estimate_options(demo, own_estimate, **given))
    settings = own_estimate / "canines" / "estimate" / "settings.json"
    add = {"strategies": ["scratch"], "on_plan": lambda *_: settings.write_text(changed)}
    changed = settings.read_text().replace('"finetune",', '"finetune", "scratch",')
    with pytest.raises(WorkError, match="was changed by another process meanwhile"):
        estimate("canines", **estimate_options(demo, own_estimate, **add))
    assert (own_estimate / "canines" / "estimate.csv").read_bytes() == table


def test_nothing_is_written_in_the_data_folder_of_an_estimate_that_goes_on(
    own_estimate, demo, command
):
    before = sorted(demo.rglob("*"))
    status, _, err = command(
        "estimate", "--task=canines", f"--runs={own_estimate}", "--resume",
        f"--to={demo / 'said.csv'}",
    )  # fmt: skip
    assert status == 2 and "data folder" in err and sorted(demo.rglob("*")) == before


def test_other_pictures_are_refused(own_estimate, demo, tmp_path):
    data = Path(shutil.copytree(demo, tmp_path / "data"))
    settings = own_estimate / "canines" / "estimate" / "settings.json"
    settings.write_text(settings.read_text().replace(str(demo), str(data)))
    next(data.rglob("*.JPEG")).unlink()
    with pytest.raises(WorkError, match="the pictures in .* have changed"):
        estimate("canines", **estimate_options(data, own_estimate))


def test_no_run_goes_where_estimates_are_kept(demo, tmp_path, command):
    status, _, err = command(
        "train", "--task=animals", "--name=estimate", f"--data={demo}", f"--runs={tmp_path}"
    )
    assert status == 2 and "for estimates" in err and not list(tmp_path.iterdir())
