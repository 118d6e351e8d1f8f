"""The forgetting test, as `forget` and `measure_forgetting` make it."""

import csv
import json
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from trainings import change_config

from modnet_keras import build_model, load_run, load_task, measure_forgetting, tap
from modnet_keras.errors import CallError, WorkError
from modnet_keras.studies import forgetting
from modnet_keras.studies.networks import predict_all
from modnet_keras.studies.repair import restore_statistics
from modnet_keras.studies.statistics import holm
from modnet_keras.training.datasets import evaluation_dataset
from modnet_keras.training.metrics import compute_metrics

pytestmark = pytest.mark.usefixtures("thin_networks")

HEADER = "run,strategy,split,n,accuracy,sensitivity,specificity,baseline_accuracy,forgetting,"
HEADER += "ci_low,ci_high"
FILES = {
    "forgetting.csv", "forgetting.json", "forgetting_attribution.csv", "forgetting_repair.csv",
    "forgetting.png", "attribution.png",
}  # fmt: skip
SHARED = ("stem", "stage_1", "stage_2")


@pytest.fixture(scope="module")
def measured(trained):
    return measure_forgetting("canines", runs=trained, repair=True)


def rows_of(file):
    with file.open(newline="") as text:
        return list(csv.DictReader(text))


def by_hand(parent, weights_from, names):
    """Metrics of the parent with another model's weights of these names in the shared parts."""
    model = build_model(1, parent.config["image_size"])
    model.set_weights(parent.model.get_weights())
    given = {variable.path: variable for variable in weights_from.variables}
    for part in SHARED:
        for variable in model.get_layer(part).variables:
            if variable.name in names:
                variable.assign(given[variable.path])
    manifest = parent.manifest()
    logits = model.predict(evaluation_dataset(manifest, "val", parent.config), verbose=0)
    return compute_metrics(manifest.labels("val"), logits)


def test_every_run_has_hashes_of_before_and_after(trained):
    parent = load_run(trained / "animals" / "scratch")
    assert parent.hashes["parent"] is None
    assert parent.hashes["before"].keys() == parent.hashes["after"].keys() == {*SHARED, "head"}
    assert parent.hashes["before"]["stem"] != parent.hashes["after"]["stem"]
    for strategy, same_weights, same_statistics in (
        ("frozen", True, True), ("frozen-weights", True, False), ("finetune", False, False),
    ):  # fmt: skip
        hashes = load_run(trained / "canines" / strategy).hashes
        assert hashes["parent"] == parent.hashes["after"]
        for part in SHARED:
            before, after = hashes["before"][part], hashes["after"][part]
            assert before == parent.hashes["after"][part]
            assert (before["weights"] == after["weights"]) is same_weights
            assert (before["statistics"] == after["statistics"]) is same_statistics
        assert hashes["before"]["stage_3"]["weights"] != hashes["after"]["stage_3"]["weights"]


def test_frozen_forgets_exactly_nothing(measured):
    rows = [row for row in measured.rows if row["run"] == "frozen"]
    assert [row["split"] for row in rows] == ["val", "train"]
    for row in rows:
        assert row["forgetting"] == row["ci_low"] == row["ci_high"] == 0.0
        assert row["accuracy"] == row["baseline_accuracy"]
    of_run = [row for row in measured.runs if row["run"] == "frozen"]
    assert all(row["identical"] and row["lost"] == row["gained"] == 0 for row in of_run)
    assert measured.kinds["frozen"] == []


def test_logits_of_identical_weights_must_be_the_same_bits(own_trained, monkeypatch):
    def one_bit_off(networks, dataset, on_batch=None):
        outputs = predict_all(networks, dataset, on_batch)
        outputs["frozen"][3] = np.nextafter(outputs["frozen"][3], np.float32(9))
        return outputs

    monkeypatch.setattr(forgetting, "predict_all", one_bit_off)
    with pytest.raises(WorkError, match="1 of .* logits differ"):
        measure_forgetting("canines", runs=own_trained, strategies=["frozen"])


def test_figures_are_those_of_the_parents_head_on_the_childs_weights(trained, measured):
    parent = load_run(trained / "animals" / "scratch")
    everything = ("kernel", "gamma", "beta", "moving_mean", "moving_variance")
    for row in measured.rows:
        assert row["baseline_accuracy"] == parent.metrics[row["split"]]["accuracy"]
        assert row["n"] == parent.metrics[row["split"]]["n"]
        assert row["forgetting"] == pytest.approx(row["baseline_accuracy"] - row["accuracy"])
        assert row["ci_low"] <= row["forgetting"] <= row["ci_high"]
    for row in (row for row in measured.rows if row["split"] == "val"):
        child = load_run(trained / "canines" / row["run"]).model
        expected = by_hand(parent, child, everything)
        for measure in ("accuracy", "sensitivity", "specificity"):
            assert row[measure] == expected[measure]


def test_attribution_names_the_statistics_and_no_other_for_frozen_weights(trained, measured):
    assert measured.kinds["frozen-weights"] == ["statistics"]
    assert measured.kinds["finetune"] == ["statistics", "scale_shift", "convolutions"]
    rows = [row for row in measured.attribution if row["run"] == "frozen-weights"]
    assert {(row["stage"], row["kind"]) for row in rows} == {
        (stage, kind)
        for stage in (*SHARED, "all")
        for kind in ("statistics", "scale_shift", "convolutions")
    }
    assert all(row["cost"] == 0.0 for row in rows if row["kind"] != "statistics")
    whole = next(row for row in rows if row["stage"] == "all" and row["kind"] == "statistics")
    forgot = next(
        row for row in measured.rows if row["run"] == "frozen-weights" and row["split"] == "val"
    )
    assert whole["accuracy"] == forgot["accuracy"]
    assert whole["cost"] == pytest.approx(forgot["forgetting"])
    assert all(
        row["cost"] == forgot["baseline_accuracy"] - row["accuracy"] for row in measured.attribution
    )
    assert any(row["cost"] for row in measured.attribution)
    # So short a training need not turn a picture over, on every kind of processor, but logits move.
    parent, drifted = (
        load_run(trained / name).model for name in ("animals/scratch", "canines/frozen-weights")
    )
    pictures = np.random.default_rng(0).normal(size=(4, *parent.input_shape[1:])).astype("float32")
    assert not np.array_equal(tap(drifted, parent)(pictures), parent(pictures))
    parent, child = (load_run(trained / name) for name in ("animals/scratch", "canines/finetune"))
    expected = by_hand(parent, child.model, ("gamma", "beta"))["accuracy"]
    assert expected == next(
        row["accuracy"]
        for row in measured.attribution
        if (row["run"], row["stage"], row["kind"]) == ("finetune", "all", "scale_shift")
    )


def test_a_swap_in_one_stage_leaves_the_others(trained):
    parent, child = (load_run(trained / name) for name in ("animals/scratch", "canines/finetune"))
    networks = forgetting.swapped_networks(parent.model, tap(child.model, parent.model))
    parts = dict(zip((*SHARED, "head"), networks["stage_1", "convolutions"], strict=True))
    for part in ("stem", "stage_2", "head"):
        assert parts[part] is parent.model.get_layer(part)
    for variable, own, other in zip(
        parts["stage_1"].variables,
        parent.model.get_layer("stage_1").variables,
        child.model.get_layer("stage_1").variables,
        strict=True,
    ):
        source = other if variable.name == "kernel" else own
        np.testing.assert_array_equal(variable.numpy(), source.numpy())


def test_repairs_are_tried_on_what_forgot(measured):
    forgot = {r["run"] for r in measured.rows if r["split"] == "val" and r["forgetting"] > 0}
    ways = {(row["run"], row["repair"]) for row in measured.repairs}
    assert "frozen" not in forgot and forgot
    expected = {
        (run, way) for run in forgot for way in ("re-estimated-statistics", "re-fitted-head")
    }
    if "frozen-weights" in forgot:
        expected.add(("frozen-weights", "parent-statistics"))
    assert ways == expected
    assert {row["split"] for row in measured.repairs} == {"val"}
    for row in measured.repairs:
        before = next(r for r in measured.rows if r["run"] == row["run"] and r["split"] == "val")
        assert row["accuracy_before"] == before["accuracy"]
        assert row["given_back"] == pytest.approx(row["accuracy"] - row["accuracy_before"])
        assert row["ci_low"] <= row["given_back"] <= row["ci_high"]
        if row["repair"] == "parent-statistics":
            assert row["accuracy"] == before["baseline_accuracy"]


def test_repairs_see_the_parents_training_images_alone(own_trained, monkeypatch):
    """Validation images enter only where a repair is measured."""
    built, fitted, measured_splits = [], [], []

    def spied(module, name, note):
        genuine = getattr(module, name)

        def spy(*arguments, **options):
            result = genuine(*arguments, **options)
            note(arguments, result)
            return result

        monkeypatch.setattr(module, name, spy)

    spied(forgetting, "build_dataset", lambda given, _: built.append(given[:2]))
    spied(forgetting, "fit_head", lambda given, _: fitted.append(given))
    spied(forgetting, "predict_all", lambda _, outputs: measured_splits.append(outputs))
    result = measure_forgetting("canines", runs=own_trained, strategies=["scratch"], repair=True)
    parent = load_run(own_trained / "animals" / "scratch")
    (manifest, split), (features, labels) = built[0], fitted[0]
    assert (len(built), split) == (1, "train")
    assert manifest.path.tolist() == parent.manifest().path.tolist()
    np.testing.assert_array_equal(labels, parent.manifest().labels("train"))
    val, train, _ = measured_splits
    np.testing.assert_array_equal(features, train["pooled", "scratch"])
    row = next(row for row in result.repairs if row["repair"] == "re-fitted-head")
    head = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(features, labels)
    right = head.score(val["pooled", "scratch"], parent.manifest().labels("val"))
    assert row["accuracy"] == pytest.approx(right, abs=1e-9)


def test_the_parents_own_statistics_bring_every_bit_back(trained):
    parent = load_run(trained / "animals" / "scratch").model
    child = load_run(trained / "canines" / "frozen-weights").model
    pictures = np.random.default_rng(0).normal(size=(8, 32, 32, 3)).astype("float32")
    batches = tf.data.Dataset.from_tensors((pictures, np.zeros(8)))
    tapped = tap(child, parent)
    restored = restore_statistics(parent, tapped)
    chains = {"parent": parent.layers[1:], "tapped": tapped.layers[1:], "restored": restored}
    outputs = predict_all(chains, batches)
    assert (outputs["tapped"] != outputs["parent"]).any()
    np.testing.assert_array_equal(outputs["restored"], outputs["parent"])


def test_pictures_are_read_once_for_all_runs(own_trained, monkeypatch):
    passes = []
    monkeypatch.setattr(
        forgetting,
        "evaluation_dataset",
        lambda manifest, split, config: (
            passes.append(split),
            evaluation_dataset(manifest, split, config),
        )[1],
    )
    done = []
    result = measure_forgetting(
        "canines",
        runs=own_trained,
        strategies=["frozen", "finetune"],
        on_progress=lambda images, of: done.append((images, of)),
    )
    assert sorted(passes) == ["train", "val"] and len(result.rows) == 4
    assert done[-1][0] == done[-1][1] == sum(row["n"] for row in result.baselines)
    assert result.repairs == [] and not (own_trained / "canines" / "forgetting_repair.csv").exists()


def test_the_command_writes_what_the_design_says(own_trained, command, tmp_path):
    before = {path.name for path in (own_trained / "canines").iterdir()}
    status, out, err = command(
        "forget",
        "--task=canines",
        f"--runs={own_trained}",
        "--repair",
        f"--to={tmp_path / 'rows.json'}",
    )
    assert status == 0 and not err
    assert "identical to the parent" in out and "p (Holm)" in out and "re-fitted-head" in out
    folder = own_trained / "canines"
    assert {path.name for path in folder.iterdir()} == before | FILES
    assert (folder / "forgetting.csv").read_text().splitlines()[0] == HEADER
    rows = rows_of(folder / "forgetting.csv")
    assert [(row["run"], row["split"]) for row in rows] == [
        (run, split)
        for split in ("val", "train")
        for run in ("finetune", "frozen", "frozen-weights", "scratch")
    ]
    printed = json.loads((tmp_path / "rows.json").read_text())
    assert {row["run"]: row["identical"] for row in printed} == {
        "finetune": "nothing",
        "frozen": "all",
        "frozen-weights": "weights of stem, stage_1, stage_2",
        "scratch": "nothing",
    }
    assert all({"lost", "gained", "p_value", "p_holm"} <= row.keys() for row in printed)
    assert [str(row["accuracy"]) for row in printed] == [row["accuracy"] for row in rows]
    assert any(row["lost"] != row["gained"] for row in printed)
    for row in printed:
        shown = rf"^ {row['run']} .* {row['lost']} +{row['gained']}  "
        assert re.search(shown, out, re.MULTILINE), row["run"]
    attribution = rows_of(folder / "forgetting_attribution.csv")
    assert ",".join(attribution[0]) == "run,strategy,split,stage,kind,accuracy,cost"
    assert len(attribution) == 4 * 4 * 3
    details = json.loads((folder / "forgetting.json").read_text())
    assert details["parent_task"] == "animals" and len(details["baselines"]) == 2
    assert details["hashes"] == {
        f"{run.parent.name}/{run.name}": load_run(run).hashes["after"]
        for run in (
            own_trained / "animals" / "scratch",
            *sorted((own_trained / "canines").glob("*/")),
        )
    }
    for split in ("val", "train"):
        of_split = [row for row in details["runs"] if row["split"] == split]
        corrected = holm([row["p_value"] for row in of_split])
        assert [row["p_holm"] for row in of_split] == corrected


def test_chosen_strategies_alone_are_measured(own_trained, command):
    status, _, _ = command(
        "forget", "--task=canines", f"--runs={own_trained}", "--strategies=scratch,frozen"
    )
    assert status == 0
    rows = rows_of(own_trained / "canines" / "forgetting.csv")
    assert {row["run"] for row in rows} == {"scratch", "frozen"}


def test_a_run_may_have_any_name(own_trained, measured):
    (own_trained / "canines" / "finetune").rename(own_trained / "canines" / "baseline")
    result = measure_forgetting("canines", runs=own_trained, strategies=["finetune"])
    (expected,) = (r for r in measured.rows if r["run"] == "finetune" and r["split"] == "val")
    assert result.rows[0] == expected | {"run": "baseline"}


def test_parents_of_one_name_in_two_runs_folders_are_told_apart(own_trained, tmp_path):
    shutil.copytree(own_trained / "animals", tmp_path / "others" / "animals")
    change_config(own_trained / "canines" / "finetune", parent_run="../others/animals/scratch")
    result = measure_forgetting("canines", runs=own_trained, strategies=["finetune", "frozen"])
    assert {row["run"] for row in result.baselines} == {
        "animals/scratch", "../others/animals/scratch",
    }  # fmt: skip
    assert {row["run"]: row["parent_run"] for row in result.runs} == {
        "finetune": "../others/animals/scratch", "frozen": "animals/scratch",
    }  # fmt: skip


def test_what_is_identical_is_told_part_by_part(measured):
    told = {
        row["run"]: (row["identical_parts"], row["identical_weights"])
        for row in measured.runs
        if row["split"] == "val"
    }
    assert told == {
        "frozen": ([*SHARED], [*SHARED]),
        "frozen-weights": ([], [*SHARED]),
        "finetune": ([], []),
        "scratch": ([], []),
    }


def test_runs_of_two_parents_and_of_another_precision_are_each_held_to_their_own(own_trained):
    shutil.copytree(own_trained / "animals" / "scratch", own_trained / "animals" / "second")
    change_config(own_trained / "canines" / "finetune", parent_run="animals/second")
    # The same weights in a network that computes in bfloat16, as --precision=bfloat16 trains it.
    frozen = load_run(own_trained / "canines" / "frozen")
    mixed = build_model(2, image_size=32, precision="bfloat16")
    mixed.set_weights(frozen.model.get_weights())
    mixed.save(frozen.folder / "model.keras")
    change_config(frozen.folder, precision="bfloat16")
    result = measure_forgetting("canines", runs=own_trained, strategies=["frozen", "finetune"])
    assert {row["run"] for row in result.baselines} == {"animals/scratch", "animals/second"}
    assert {row["parent_run"] for row in result.runs if row["run"] == "finetune"} == {
        "animals/second"
    }
    assert all(row["identical"] for row in result.runs if row["run"] == "frozen")


def test_a_task_is_measured_on_its_own_parents_pictures(own_trained):
    with pytest.raises(CallError, match="no finished run"):
        measure_forgetting(load_task("retrievers"), runs=own_trained)
    result = measure_forgetting(load_task("wolf"), runs=own_trained)
    parent = load_run(own_trained / "canines" / "frozen")
    assert result.rows[0]["n"] == parent.metrics["val"]["n"]
    assert result.rows[0]["forgetting"] == 0.0
