"""Training end to end, as the command `train` does it."""

import csv
import json
import resource
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import SMALL
from trainings import SMALL_OPTIONS, listing, refused, weights, without_seconds

from modnet_keras import build_dataset, evaluate, load_run, load_task, train
from modnet_keras.errors import CallError, WorkError
from modnet_keras.files import lock_folder
from modnet_keras.models import compute_flops, resnet
from modnet_keras.training.checkpoint import load_snapshot
from modnet_keras.training.measures import METRICS
from modnet_keras.training.metrics import compute_metrics
from modnet_keras.training.options import Options
from modnet_keras.training.plan import plan_training
from modnet_keras.training.run import Run

pytestmark = pytest.mark.usefixtures("thin_networks")

HISTORY = "epoch,loss,accuracy,sensitivity,specificity,val_loss,val_accuracy,val_sensitivity,"
HISTORY += "val_specificity,val_auc,learning_rate,seconds"


def test_ancestors_are_trained_first_and_every_file_is_there(runs):
    for name in ("animals/scratch", "canines/frozen", "wolf/frozen"):
        files = {path.name for path in (runs / name).iterdir()}
        assert files == {
            "config.json", "manifest.csv", "history.csv", "metrics.json", "model.keras",
            "history.png", "tensorboard", "hashes.json", "predictions.csv",
        }  # fmt: skip
        with (runs / name / "history.csv").open() as text:
            rows = list(csv.DictReader(text))
        assert ",".join(rows[0]) == HISTORY
        assert [row["epoch"] for row in rows] == ["1", "2"]
        metrics = json.loads((runs / name / "metrics.json").read_text())
        assert tuple(metrics["val"]) == tuple(metrics["train"]) == METRICS
        manifest = load_run(runs / name).manifest()
        assert all(metrics[split]["n"] == len(manifest.labels(split)) for split in metrics)
        # Nothing is chosen on validation: the last epoch's weights are those that are kept.
        assert float(rows[-1]["val_accuracy"]) == metrics["val"]["accuracy"]
        assert float(rows[-1]["val_loss"]) == pytest.approx(metrics["val"]["loss"])
        assert (runs / name / "history.png").read_bytes().startswith(b"\x89PNG")
        assert list((runs / name / "tensorboard").rglob("events*"))


def test_config_holds_every_resolved_setting(runs, demo):
    run = load_run(runs / "canines" / "frozen")
    config = run.config
    pictures = config["steps_per_epoch"] * config["batch_size"] * config["epochs"]
    # Forward once, backward twice.
    assert config["training_flops"] == 3 * compute_flops(run.model) * pictures
    assert config["parent_run"] == "animals/scratch"
    assert config["data"] == str(demo) and config["val_fraction"] == 0.2 and config["seed"] == 0
    assert config["task"] == "canines" and config["specs"][-1]["parent"] == "animals"
    assert config["learning_rate"] > 0 and config["recipe"] == "modern"
    assert config["versions"]["keras"] == keras.__version__ and len(config["fingerprint"]) == 64
    patterns = [row[0] for row in config["rates"]]
    assert "stage_2" in patterns[0] and config["rates"][0][1] == "frozen"
    assert "stage_3" in patterns[1] and config["rates"][1][1] == 1.0


def test_frozen_keeps_the_parent_to_the_bit_and_trains_the_rest(runs):
    parent = weights(runs / "animals" / "scratch")
    child = weights(runs / "canines" / "frozen")
    grandchild = weights(runs / "wolf" / "frozen")
    for path, value in parent.items():
        if not path.startswith("head"):
            np.testing.assert_array_equal(child[path], value)
            np.testing.assert_array_equal(grandchild[path], value)
    assert not np.array_equal(child["head_logit/kernel"], parent["head_logit/kernel"][:1])
    fresh = weights(runs / "canines" / "frozen")
    assert fresh.keys() == child.keys()


def test_a_fourth_level_trains(own_runs, tmp_path, demo):
    (tmp_path / "timber.yaml").write_text(
        "name: timber\nparent: wolf\npositive: [n02114367]\nnegative: rest-of-parent\n"
    )
    run = train(tmp_path / "timber.yaml", runs=own_runs, strategy="layerwise", epochs=1,
                batch_size=8, precision="float32")  # fmt: skip
    assert run.config["level"] == 4
    assert run.model.get_layer("stage_5").output.shape[-1] == 16 * resnet.STEM_FILTERS
    assert run.config["parent_run"] == "wolf/frozen"


def test_model_loads_with_keras(runs):
    """In a fresh process once our layers are known: `test_modnet`."""
    model = keras.models.load_model(runs / "canines" / "frozen" / "model.keras")
    assert model.name == "canines" and model.output_shape == (None, 1)
    # Without the optimizer that trained it.
    assert not model.compiled


def test_comparison_is_drawn_as_soon_as_there_are_two_runs(runs, trained):
    assert not (runs / "canines" / "comparison.png").exists()
    assert (trained / "canines" / "comparison.png").is_file()


def test_a_full_disk_leaves_the_last_snapshot_and_the_run_goes_on_to_the_same_bits(
    demo, tmp_path, runs, monkeypatch
):
    """Of pictures in another folder, read anew each epoch: neither makes a difference.

    The disk is full by a limit on the size of files, which any user may set on himself.
    """
    monkeypatch.setattr("modnet_keras.training.callbacks.MEMORY_FOR_PICTURES", 0)
    moved = shutil.copytree(demo, tmp_path / "moved")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill_disk(plan, row):
        full = (plan.run.folder / "snapshot.npz").stat().st_size // 2
        resource.setrlimit(resource.RLIMIT_FSIZE, (full, limits[1]))

    try:
        with pytest.raises(OSError, match="File too large: .*snapshot.npz"):
            train("animals", data=moved, runs=tmp_path / "runs", on_epoch=fill_disk, **SMALL)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    folder = tmp_path / "runs" / "animals" / "scratch"
    config = json.loads((folder / "config.json").read_text())
    assert load_snapshot(folder / "snapshot.npz").step == config["steps_per_epoch"]
    assert not list(folder.glob(".unfinished-*"))
    resumed = train("animals", runs=tmp_path / "runs", resume=True)
    alone = load_run(runs / "animals" / "scratch")
    assert resumed.hashes["after"] == alone.hashes["after"]
    for path, value in weights(alone.folder).items():
        np.testing.assert_array_equal(weights(folder)[path], value)
    assert without_seconds(resumed) == without_seconds(alone)


@pytest.mark.parametrize("option", ["--resume", "--overwrite"])
def test_a_run_that_is_trained_by_another_process_is_left_alone(own_runs, command, option):
    folder = own_runs / "canines" / "frozen"
    (folder / "metrics.json").unlink()
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    options = ["train", "--task=canines", f"--runs={own_runs}", option]
    with lock_folder(folder, "for this test"):
        refused(command, 1, "canines/frozen' is being trained by another", options=options)
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_a_run_that_another_process_began_meanwhile_is_left_alone(own_runs):
    def begin(plan):
        shutil.copytree(own_runs / "canines" / "frozen", plan.run.folder)

    def begin_anew(plan):
        text = (plan.run.folder / "config.json").read_text()
        (plan.run.folder / "config.json").write_text(text.replace('"epochs": 2', '"epochs": 3'))

    with pytest.raises(WorkError, match="was trained by another process meanwhile"):
        train("canines", runs=own_runs, name="other", on_plan=begin)
    shutil.copytree(own_runs / "canines" / "frozen", own_runs / "canines" / "third")
    (own_runs / "canines" / "third" / "metrics.json").unlink()
    with pytest.raises(WorkError, match="was trained by another process meanwhile"):
        train("canines", runs=own_runs, name="third", resume=True, on_plan=begin_anew)
    before = load_run(own_runs / "canines" / "frozen").metrics
    assert load_run(own_runs / "canines" / "other").metrics == before


def test_a_kill_while_a_run_is_replaced_leaves_one_that_has_not_begun(own_runs, monkeypatch):
    """Wherever it falls: never what looks finished, never what would be gone on with."""
    (own_runs / "canines" / "frozen" / "snapshot.npz").touch()
    files = len(list((own_runs / "canines" / "frozen").iterdir()))
    for removed in range(files - 1):
        run = Run(shutil.copytree(own_runs / "canines" / "frozen", own_runs / str(removed)))
        left = iter(range(removed))

        def remove(path, *, unlink=Path.unlink, left=left, **options):
            if next(left, None) is None:
                raise KeyboardInterrupt
            unlink(path, **options)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "unlink", remove)
            patch.setattr(shutil, "rmtree", remove_tree(remove))
            with pytest.raises(KeyboardInterrupt):
                run.clear()
        left = {path.name for path in run.folder.iterdir()}
        assert "config.json" in left and len(left) == files - removed
        assert removed == 0 or not run.is_finished or "snapshot.npz" not in left
        assert removed < 2 or left.isdisjoint({"metrics.json", "snapshot.npz"})
    run.clear()
    assert [path.name for path in run.folder.iterdir()] == ["config.json"]


def remove_tree(remove, rmtree=shutil.rmtree):
    """Counts as one removal."""

    def tree(folder):
        (folder / "x").touch()
        remove(folder / "x")
        rmtree(folder)

    return tree


def test_a_finished_run_is_shown_again_by_resume(own_runs, command):
    before = listing(own_runs)
    status, out, _ = command("train", "--task=canines", f"--runs={own_runs}", "--resume")
    assert status == 0 and "specificity" in out and listing(own_runs) == before


def test_scratch_long_costs_what_parent_and_child_cost_together(own_runs):
    long = train("canines", strategy="scratch-long", runs=own_runs, epochs=2, batch_size=64,
                 precision="float32")  # fmt: skip
    options = Options(epochs=2, batch_size=64, precision="float32")
    tuned = plan_training(load_task("canines"), options, strategy="finetune", runs=own_runs)[-1]
    together = tuned.config["training_flops_with_parents"]
    one_epoch = long.config["training_flops"] / long.config["epochs"]
    assert abs(long.config["training_flops"] - together) <= one_epoch / 2
    assert len(long.history) == long.config["epochs"] > 2


@pytest.fixture(scope="module")
def folders(demo, tmp_path_factory):
    """A run of pictures in folders that are no synsets, by the original recipe."""
    root = tmp_path_factory.mktemp("folders")
    for name in ("a", "b", "others"):
        source = "n02099601" if name != "others" else "n02793495"
        shutil.copytree(demo / source, root / "data" / name)
    (root / "task.yaml").write_text("name: t\npositive: [a, b]\nnegative: [others]\n")
    return train(root / "task.yaml", data=root / "data", runs=root / "runs", recipe="original",
                 augment_val=True, epochs=1, image_size=32, batch_size=32)  # fmt: skip


def test_original_recipe_resolves_to_modnets_settings(folders):
    recipe = folders.config["recipe_settings"]
    assert recipe["epochs"] == 72 and recipe["image_size"] == 224 and recipe["batch_size"] == 256
    assert recipe["schedule"] == "step" and folders.config["augment_val"] is True
    assert recipe["crop_area"] == [0.08, 1.0] and recipe["label_smoothing"] == 0


def test_validation_pictures_are_augmented_where_that_is_asked_for_alone(runs, folders):
    def loss(run, **options):
        manifest = run.manifest()
        dataset = build_dataset(manifest, "val", training=False, image_size=32, **options)
        logits = run.model.predict(dataset, verbose=0)[:, 0]
        return compute_metrics(manifest.labels("val"), logits)["loss"]

    plain = load_run(runs / "canines" / "frozen")
    assert plain.config["augment"] == "crop_flip" and plain.config["augment_val"] is False
    assert loss(plain) == pytest.approx(plain.metrics["val"]["loss"], abs=1e-5)
    assert loss(plain, augment="crop_flip") != pytest.approx(loss(plain), abs=1e-5)
    augmented = {"augment": "crop_flip", "crop_area": (0.08, 1.0)}
    assert loss(folders, **augmented) == pytest.approx(folders.metrics["val"]["loss"], abs=1e-5)


def test_evaluate_gives_the_metrics_of_the_run(runs, demo, tmp_path, command):
    run = load_run(runs / "canines" / "frozen")
    status, out, _ = command("evaluate", f"--run={run.folder}", f"--to={tmp_path / 'm.json'}")
    assert status == 0 and "sensitivity" in out
    assert json.loads((tmp_path / "m.json").read_text()) == [run.metrics["val"]]
    moved = shutil.copytree(demo, tmp_path / "moved")
    assert evaluate(run, moved) == run.metrics["val"]
    shutil.rmtree(moved / "n02504458", ignore_errors=True)
    shutil.rmtree(moved / sorted(path.name for path in moved.iterdir())[-1])
    elsewhere = evaluate(run, moved)
    assert elsewhere["n"] > run.metrics["val"]["n"]


def test_evaluate_takes_a_source_of_one_side_as_it_is(folders, demo, tmp_path):
    shutil.copytree(demo / "n02099601", tmp_path / "elsewhere" / "a")
    metrics = evaluate(folders, tmp_path / "elsewhere")
    assert metrics["n"] == 20 and metrics["specificity"] is None and metrics["auc"] is None
    # The parent's negatives are no folders there, and the child is not asked about them.
    own = Run(shutil.copytree(folders.folder, tmp_path / "runs" / "t" / "scratch"))
    above = {"name": "above", "positive": ["a", "b"], "negative": ["others", "nowhere"]}
    child = {"name": "t", "parent": "above", "positive": ["b"], "negative": "rest-of-parent"}
    own.write_json("config.json", folders.config | {"specs": [above, child]})
    lines = (own.folder / "manifest.csv").read_text().splitlines(keepends=True)
    (own.folder / "manifest.csv").write_text("".join(x for x in lines if "others/" not in x))
    metrics = evaluate(load_run(own.folder), tmp_path / "elsewhere")
    assert metrics["n"] == 20 and metrics["sensitivity"] is None


def test_a_task_is_known_by_the_name_of_its_runs(folders):
    """Its spec lies in a folder that nobody looks into."""
    runs = folders.folder.parents[1]
    assert train("t", runs=runs, resume=True).metrics == folders.metrics
    with pytest.raises(CallError, match="'u' is not known"):
        train("u", runs=runs, resume=True)


def test_a_picture_that_only_tensorflow_cannot_decode_is_named(
    demo, tmp_path, monkeypatch, command
):
    data = shutil.copytree(demo, tmp_path / "data")
    bad = sorted((data / "n02099601").rglob("*.JPEG"))[0]
    bad.write_bytes(bad.read_bytes()[:500])
    monkeypatch.setattr("modnet_keras.data.sources.check_image", lambda path: None)
    options = ["train", "--task=animals", f"--data={data}", f"--runs={tmp_path / 'runs'}"]
    refused(command, 1, bad.name, "cannot be decoded", options=[*options, *SMALL_OPTIONS])


def test_a_loss_that_is_no_number_stops_the_training(demo, tmp_path):
    with pytest.raises(WorkError, match="--learning_rate"):
        train("animals", data=demo, runs=tmp_path, **SMALL, learning_rate=1e30)
