"""What a training refuses, in one sentence and before anything is written."""

import shutil

import pytest
from trainings import SMALL_OPTIONS, listing, refused

from modnet_keras import load_run, load_task, train
from modnet_keras.errors import CallError
from modnet_keras.training.options import Options
from modnet_keras.training.plan import plan_training

pytestmark = pytest.mark.usefixtures("thin_networks")


@pytest.mark.parametrize(
    ("status", "words", "options"),
    [
        (2, ["canine", "canines"], ["--task=canine"]),
        (2, ["--epoch", "--epochs"], ["--task=animals", "--epoch=2"]),
        (2, ["frozn", "frozen"], ["--task=canines", "--strategy=frozn"]),
        (2, ["root", "scratch"], ["--task=animals", "--strategy=frozen"]),
        (2, ["no/such"], ["--task=animals", "--data=no/such"]),
        (2, ["7"], ["--task=animals", "--batch_size=7"]),
        (2, ["nan"], ["--task=animals", "--learning_rate=nan"]),
        (2, ["1.5"], ["--task=animals", "--val_fraction=1.5"]),
        (2, ["no/spec.yaml"], ["--task=no/spec.yaml"]),
        (2, ["animals is a root"], ["--task=animals", "--parent=."]),
        (2, ["give one"], ["--task=animals", "--resume", "--overwrite"]),
    ],
)
def test_a_wrong_call_is_refused_before_anything_is_written(status, words, options, here, command):
    refused(command, status, *words, options=["train", *options])
    assert listing(here) == []


def test_data_without_one_of_the_classes_leaves_nothing(demo, here, command):
    """The parent could be trained; that its child cannot is found before it is."""
    data = shutil.copytree(demo, here / "data")
    for name in ("n02123045", "n02123394", "n02129165", "n02129604"):
        shutil.rmtree(data / name, ignore_errors=True)
    before = listing(here)
    (here / "felines-only.yaml").write_text(
        "name: felines-only\nparent: animals\npositive: [n02121620]\nnegative: [n02083346]\n"
    )
    shutil.rmtree(here / "data" / "n02128385", ignore_errors=True)
    before = listing(here)
    options = ["train", "--task=felines-only.yaml", "--data=data", *SMALL_OPTIONS]
    refused(command, 1, "positive", "n02121620", options=options)
    assert listing(here) == before


def test_runs_are_never_written_in_the_data_folder(demo, command):
    before = listing(demo)
    options = ["train", "--task=animals", f"--data={demo}", f"--runs={demo / 'runs'}"]
    refused(command, 2, "--runs", "data folder", options=options)
    assert listing(demo) == before


def test_an_unknown_synset_is_refused(here, demo, command):
    (here / "odd.yaml").write_text("name: odd\npositive: [unicornfish]\nnegative: [dog.n.01]\n")
    refused(command, 2, "unicornfish", options=["train", "--task=odd.yaml", f"--data={demo}"])
    assert listing(here) == ["odd.yaml"]


def test_overwrite_removes_nothing_but_a_run(demo, tmp_path, command):
    folder = tmp_path / "runs" / "animals" / "scratch"
    folder.mkdir(parents=True)
    (folder / "thesis.txt").write_text("mine")
    options = ["train", "--task=animals", f"--runs={tmp_path / 'runs'}", "--overwrite"]
    refused(command, 2, "no run", options=[*options, f"--data={demo}"])
    shutil.copytree(demo, folder / "pictures")
    (folder / "config.json").write_text("{}")
    refused(command, 2, "data folder", options=[*options, f"--data={folder / 'pictures'}"])
    assert (folder / "thesis.txt").exists() and len(listing(folder / "pictures")) > 100


def test_resume_holds_the_run_to_its_spec_and_parent(own_runs, here, command):
    (own_runs / "canines" / "frozen" / "metrics.json").unlink()
    shutil.copytree(own_runs / "animals" / "scratch", own_runs / "animals" / "other")
    options = ["train", "--task=canines", f"--runs={own_runs}", "--resume"]
    other = f"--parent={own_runs / 'animals' / 'other'}"
    refused(command, 2, "grows out of animals/scratch", options=[*options, other])
    (here / "task_specs").mkdir()
    (here / "task_specs" / "canines.yaml").write_text(
        "name: canines\nparent: animals\npositive: [n01861778]\nnegative: [n02083346]\n"
    )
    refused(command, 2, "spec of task canines has changed", options=options)


def test_a_root_cannot_be_resumed_with_a_parent(own_runs, command):
    options = ["--task=animals", f"--parent={own_runs / 'animals' / 'scratch'}"]
    refused(command, 2, "--parent", options=["train", *options, f"--runs={own_runs}", "--resume"])


def test_a_finished_run_is_shown_without_its_parent(own_runs, command):
    shutil.rmtree(own_runs / "animals")
    status, out, _ = command("train", "--task=canines", f"--runs={own_runs}", "--resume")
    assert status == 0 and "specificity" in out


def test_an_existing_run_is_refused_and_both_ways_out_are_named(own_runs, command):
    before = listing(own_runs)
    options = ["train", "--task=canines", f"--runs={own_runs}"]
    refused(command, 2, "--resume", "--overwrite", "canines/frozen", options=options)
    assert listing(own_runs) == before


def test_overwrite_replaces_the_named_task_alone(own_runs, command):
    parent = (own_runs / "animals" / "scratch" / "model.keras").read_bytes()
    status, *_ = command(
        "train", "--task=canines", f"--runs={own_runs}", "--overwrite", "--epochs=1",
        "--batch_size=64", "--precision=float32",
    )  # fmt: skip
    assert status == 0 and len(load_run(own_runs / "canines" / "frozen").history) == 1
    assert (own_runs / "animals" / "scratch" / "model.keras").read_bytes() == parent


@pytest.mark.parametrize("option", ["--image_size=64", "--seed=1", "--val_fraction=0.3"])
def test_a_child_cannot_differ_from_its_parents_run(own_runs, command, option):
    before = listing(own_runs)
    options = ["train", "--task=felines", f"--runs={own_runs}", option]
    refused(command, 2, option, "animals", "parent", options=options)
    assert listing(own_runs) == before


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("model.keras", lambda contents: contents[: len(contents) // 2]),
        ("model.keras", lambda contents: b""),
        ("config.json", lambda contents: contents[:100]),
        ("config.json", lambda contents: b"{}"),
        (
            "config.json",
            lambda contents: contents.replace(b'"image_size": 32', b'"image_size": "x"'),
        ),
        ("config.json", lambda contents: contents.replace(b'"val_fraction"', b'"other"')),
    ],
)
def test_a_damaged_parent_is_refused(own_runs, command, file, damage):
    damaged = own_runs / "animals" / "scratch" / file
    damaged.write_bytes(damage(damaged.read_bytes()))
    before = listing(own_runs)
    options = ["train", "--task=felines", f"--runs={own_runs}"]
    refused(command, 1, "damaged", file, "animals/scratch", options=options)
    assert listing(own_runs) == before


def test_resume_with_other_settings_is_refused(own_runs, command):
    (own_runs / "canines" / "frozen" / "metrics.json").unlink()
    options = ["train", "--task=canines", f"--runs={own_runs}", "--resume", "--epochs=3"]
    refused(command, 2, "--epochs=3", "started with 2", options=options)


def test_an_unfinished_parent_is_refused_without_resume(own_runs, command):
    (own_runs / "animals" / "scratch" / "metrics.json").unlink()
    options = ["train", "--task=felines", f"--runs={own_runs}"]
    refused(command, 2, "not finished", "--resume", options=options)


def test_among_several_parents_one_must_be_named(own_runs, command):
    shutil.copytree(own_runs / "animals" / "scratch", own_runs / "animals" / "other")
    options = ["train", "--task=felines", f"--runs={own_runs}"]
    refused(command, 2, "--parent", "animals/other", "animals/scratch", options=options)
    parent = own_runs / "animals" / "other"
    plan = plan_training(load_task("felines"), Options(), runs=own_runs, parent=parent)[-1]
    assert plan.config["parent_run"] == "animals/other"


def test_the_parent_is_found_again_where_runs_is_a_link(own_runs, tmp_path):
    linked = tmp_path / "deeper" / "down" / "runs"
    linked.parent.mkdir(parents=True)
    linked.symlink_to(own_runs)
    for parent in (None, linked / "animals" / "scratch", own_runs / "animals" / "scratch"):
        plan = plan_training(
            load_task("canines"), Options(), runs=linked, name="another", parent=parent
        )[-1]
        assert plan.config["parent_run"] == "animals/scratch"


def test_python_refuses_as_the_command_does(runs):
    with pytest.raises(CallError, match="frozn"):
        train("canines", strategy="frozn", runs=runs)
    with pytest.raises(CallError, match="is no run"):
        load_run(runs)
    with pytest.raises(CallError, match="batch_size"):
        train(load_task("canines"), runs=runs, batch_size=3, name="other")
