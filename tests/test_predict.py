"""The command `predict`, and `predict` from Python."""

import csv
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from modnet_keras import load_run, load_tree, predict
from modnet_keras.data.image_check import check_image
from modnet_keras.serving.predictor import Predictor

BEAGLES = "n02088364"


@pytest.fixture
def pictures(demo, tmp_path):
    """A folder of one's own: four pictures, what is none, and names that are no text."""
    folder = tmp_path / "mine"
    (folder / "a folder" / "[deep]").mkdir(parents=True)
    files = sorted((demo / BEAGLES / "images").iterdir())
    for name, file in zip(
        ["b.JPEG", "a folder/a.jpg", "a folder/[deep]/c.jpg"], files, strict=False
    ):
        shutil.copy(file, folder / name)
    shutil.copy(files[3], bytes(folder) + b"/\xff.jpg")
    (folder / "broken.png").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("no picture either")
    return folder


def test_predictions_are_those_of_the_run(runs):
    run = load_run(runs / "canines" / "frozen")
    with (run.folder / "predictions.csv").open() as text:
        known = {row["path"]: float(row["probability"]) for row in csv.DictReader(text)}
    rows = predict(run.folder, run.manifest().paths("val"))
    assert len(rows) == len(known) > 64
    for row, path in zip(rows, run.manifest().paths("val"), strict=True):
        assert list(row) == ["path", "label", "probability", "valid"] and row["path"] == str(path)
        assert row["label"] == ("canines" if row["probability"] > 0.5 else "not-canines")
    found = [row["probability"] for row in rows]
    np.testing.assert_allclose(found, list(known.values()), atol=1e-5)


def test_a_folder_is_walked_and_what_is_no_picture_is_named(runs, pictures, tmp_path, command):
    to = tmp_path / "out" / "answers.csv"
    run = runs / "canines" / "frozen"
    status, out, err = command("predict", f"--run={run}", pictures, f"--to={to}")
    assert status == 0 and "Written to" in out
    assert err.count("Left out") == 1 and "broken.png" in err and "not an image" in err
    with to.open(errors="surrogateescape", newline="") as text:
        rows = list(csv.DictReader(text))
    below = ["a folder/[deep]/c.jpg", "a folder/a.jpg", "b.JPEG", "broken.png", "\udcff.jpg"]
    assert [row["path"] for row in rows] == [f"{pictures}/{name}" for name in below]
    assert [row["valid"] for row in rows] == ["True", "True", "True", "False", "True"]
    assert (rows[3]["label"], float(rows[3]["probability"])) == ("", 0.0)


def test_lines_are_printed_in_order_or_the_most_probable_first(runs, pictures, command):
    run = f"--run={runs / 'canines' / 'frozen'}"
    _, in_order, _ = command("predict", run, pictures / "b.JPEG", pictures / "a folder")
    _, by_probability, _ = command("predict", run, pictures, "--sort")

    def lines(out):
        return [line for line in out.splitlines() if str(pictures) in line]

    assert [line.split("/")[-1] for line in lines(in_order)] == ["b.JPEG", "c.jpg", "a.jpg"]
    shown = [float(line.split()[0]) for line in lines(by_probability)]
    assert len(shown) == 4 and shown == sorted(shown, reverse=True)


def test_a_tree_gives_a_probability_a_task(runs, pictures, tmp_path, command):
    to = tmp_path / "answers.jsonl"
    status, *_ = command("predict", "--tree=animals", f"--runs={runs}", pictures, f"--to={to}")
    rows = [json.loads(line) for line in to.read_text().splitlines()]
    assert status == 0 and len(rows) == 5
    columns = ["path", "label", "probability", "valid", "animals", "canines", "wolf"]
    assert all(list(row) == columns for row in rows)
    alone = predict(runs / "wolf" / "frozen", pictures)
    assert [row["wolf"] for row in rows] == [row["probability"] for row in alone]


def test_a_trees_probability_is_that_of_its_path_and_not_of_its_root(runs, pictures, monkeypatch):
    said = {"valid": True, "label": "canines", "probability": [0.9, 0.8, 0.1]}
    said |= {"path_probability": 0.72}
    predictor = Predictor(load_tree("animals", runs))
    monkeypatch.setattr(predictor, "_answered", lambda paths: [(said, None) for _ in paths])
    (prediction,) = predictor.predict([pictures / "b.JPEG"])
    assert prediction.row["probability"] == 0.72
    assert [prediction.row[task] for task in ("animals", "canines", "wolf")] == [0.9, 0.8, 0.1]


def test_heat_maps_lie_beside_the_pictures_and_are_not_taken_for_some(runs, pictures, command):
    run = f"--run={runs / 'animals' / 'scratch'}"
    first = command("predict", run, pictures, "--explain")
    again = command("predict", run, pictures, "--explain")
    assert first == again and first[0] == 0
    explained = sorted(path.name for path in pictures.rglob("*.explained.png"))
    assert explained == ["a.jpg.explained.png", "b.JPEG.explained.png", "c.jpg.explained.png",
                         "\udcff.jpg.explained.png"]  # fmt: skip
    assert check_image(pictures / "b.JPEG.explained.png") is None
    assert Image.open(pictures / "b.JPEG.explained.png").width > 500


def test_heat_maps_are_not_written_through_a_link_into_the_data(runs, demo, pictures, command):
    (pictures / "link").symlink_to(demo / BEAGLES)
    run = f"--run={runs / 'animals' / 'scratch'}"
    status, _, err = command("predict", run, pictures, "--explain")
    assert status == 2 and "data folder" in err and err.count("\n") == 1
    assert not [*demo.rglob("*.explained.png"), *pictures.rglob("*.explained.png")]


def test_heat_maps_may_go_into_a_folder(runs, pictures, tmp_path, command):
    call = ("predict", f"--run={runs / 'animals' / 'scratch'}", pictures)
    status, *_ = command(*call, f"--explain={tmp_path / 'maps'}")
    assert status == 0 and len(list((tmp_path / "maps").iterdir())) == 4
    assert not list(pictures.rglob("*.explained.png"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["{demo}/n02088364", "--explain"], "data folder"),
        (["{mine}", "--explain={demo}/maps"], "data folder"),
        (["{mine}", "--to={demo}/out.csv"], "data folder"),
        (["{mine}/gone.jpg"], "not there"),
        (["{mine}/empty"], "holds no pictures"),
        (["{mine}", "--to=out.txt"], "ends in none"),
        (["{mine}", "--to={mine}/table.csv"], "is a folder"),
        (["{mine}", "--tree=animals"], "either --run"),
        ([], "IMAGES"),
    ],
)
def test_a_wrong_call_is_refused_and_leaves_nothing(
    runs, demo, pictures, here, command, options, words
):
    (pictures / "empty").mkdir()
    (pictures / "table.csv").mkdir()
    before = sorted(map(bytes, [*demo.rglob("*"), *here.rglob("*")]))
    options = [option.format(demo=demo, mine=pictures) for option in options]
    status, _, err = command("predict", f"--run={runs / 'animals' / 'scratch'}", *options)
    assert status == 2 and words in err and err.count("\n") == 1
    assert sorted(map(bytes, [*demo.rglob("*"), *here.rglob("*")])) == before


def test_a_damaged_network_is_named(own_runs, pictures, command):
    model = own_runs / "animals" / "scratch" / "model.keras"
    model.write_bytes(model.read_bytes()[:5000])
    status, _, err = command("predict", f"--run={model.parent}", pictures)
    assert status == 1 and "model.keras" in err and err.count("\n") == 1


def test_no_picture_at_all_is_a_failure(runs, pictures, command):
    run = f"--run={runs / 'animals' / 'scratch'}"
    status, _, err = command("predict", run, pictures / "broken.png", pictures / "notes.txt")
    assert status == 1 and "none of the 2 files" in err
