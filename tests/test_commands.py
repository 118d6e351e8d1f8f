"""The commands that train nothing: `tasks` and `data`."""

import csv
import inspect
import json
import shutil

import pytest

import modnet_keras
from modnet_keras.tools.__main__ import COMMANDS
from modnet_keras.tools.arguments import signature_of


def test_tasks_shows_the_hierarchy_and_its_runs(runs, tmp_path, command):
    status, out, _ = command("tasks", f"--runs={runs}", f"--to={tmp_path / 'tasks.json'}")
    assert status == 0
    lines = out.splitlines()
    places = {
        name: next(number for number, line in enumerate(lines) if f"{name} (level" in line)
        for name in ("animals", "canines", "felines", "wolf")
    }
    assert places["animals"] < places["canines"] < places["wolf"] < places["felines"]
    assert "canines/frozen  val accuracy 0." in out
    rows = json.loads((tmp_path / "tasks.json").read_text())
    trained = {row["task"] for row in rows if row["finished"]}
    assert trained == {"animals", "canines", "wolf"}


def test_a_broken_spec_hides_no_other_task(here, command):
    (here / "task_specs").mkdir()
    (here / "task_specs" / "broken.yaml").write_text("name: broken\npositve: [dog]\n")
    status, out, _ = command("tasks")
    assert status == 0 and "canines (level 2)" in out and "positve" in out


def test_a_full_check_names_what_a_quick_one_lets_pass(demo, tmp_path, command):
    data = shutil.copytree(demo, tmp_path / "data")
    broken = sorted((data / "n02099601").rglob("*.JPEG"))[0]
    contents = broken.read_bytes()
    # A table of codes of which there are more than its bits can tell apart.
    table = contents.index(b"\xff\xc4") + 5
    broken.write_bytes(contents[:table] + b"\xff" * 16 + contents[table + 16 :])
    options = ["data", "--task=canines", f"--data={data}"]
    assert broken.name not in command(*options)[1]
    status, out, _ = command(*options, "--check=full")
    assert status == 0 and broken.name in out and "cannot be decoded" in out
    # From then on it is left out whoever asks.
    assert broken.name in command(*options)[1]
    status, _, err = command(*options, "--check=fast")
    assert status == 2 and "'fast'" in err and "full" in err


def test_data_shows_counts_and_names_what_is_left_out(demo, tmp_path, command):
    data = shutil.copytree(demo, tmp_path / "data")
    (data / "n02099601" / "images" / "broken.jpg").write_bytes(b"not a picture")
    status, out, _ = command("data", "--task=canines", f"--data={data}")
    assert status == 0
    assert "golden retriever" in out and "n02099601" in out
    assert "n02099601/images/broken.jpg" in out and "not an image" in out


def test_data_to_writes_the_balanced_pictures_out(demo, tmp_path, command):
    target = tmp_path / "out"
    status, *_ = command("data", "--task=canines", f"--data={demo}", f"--to={target}")
    assert status == 0
    with (target / "manifest.csv").open() as text:
        rows = list(csv.DictReader(text))
    for split in ("train", "val"):
        sides = [len(list((target / split / label).iterdir())) for label in ("0", "1")]
        assert (
            sides[0]
            == sides[1]
            == sum(row["split"] == split and row["label"] == "1" for row in rows)
        )
    first = rows[0]
    written = target / first["split"] / first["label"] / ("000000-" + first["path"].split("/")[-1])
    assert written.samefile(demo / first["path"])


def test_data_to_keeps_pictures_of_like_names_apart(demo, tmp_path, command):
    """Written through a link, one picture would overwrite another of the user's."""
    for name in ("a/b", "a__b", "cups"):
        shutil.copytree(demo / "n02099601" / "images", tmp_path / "data" / name)
    before = {path: path.read_bytes() for path in (tmp_path / "data").rglob("*.JPEG")}
    (tmp_path / "t.yaml").write_text("name: t\npositive: [a, a__b]\nnegative: [cups]\n")
    status, *_ = command(
        "data", f"--task={tmp_path / 't.yaml'}", f"--data={tmp_path / 'data'}",
        f"--to={tmp_path / 'out'}",
    )  # fmt: skip
    assert status == 0 and len(list((tmp_path / "out").rglob("*.JPEG"))) == 40
    assert before == {path: path.read_bytes() for path in (tmp_path / "data").rglob("*.JPEG")}


@pytest.mark.parametrize("target", ["new", "n02099601/new", "."])
def test_data_to_never_writes_in_the_data_folder(demo, command, target):
    before = sorted(demo.rglob("*"))
    status, _, err = command("data", "--task=canines", f"--data={demo}", f"--to={demo / target}")
    assert status == 2 and "data folder" in err and err.count("\n") == 1
    assert sorted(demo.rglob("*")) == before


def test_data_to_refuses_a_folder_that_exists(demo, tmp_path, command):
    status, _, err = command("data", "--task=canines", f"--data={demo}", f"--to={tmp_path}")
    assert status == 2 and "exists" in err and not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["train", "estimate"])
def test_a_command_takes_what_python_takes(name):
    """Its options are passed on by their names."""
    of_command = signature_of(COMMANDS[name].load()).options.keys() - {"to"}
    of_python = inspect.signature(getattr(modnet_keras, name)).parameters
    assert of_command == of_python.keys() - {"on_plan", "on_epoch", "on_event"}
