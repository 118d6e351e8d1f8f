"""The report: one page from the files of a runs folder."""

import base64
import csv
import io
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser

import pytest
from PIL import Image

from modnet_keras.errors import CallError
from modnet_keras.reports.report import write_report
from modnet_keras.reports.report_studies import read_studies
from modnet_keras.reports.thumbnails import SIDE, run_pictures

VOID = {"meta", "img", "br", "path", "use"}


class Page(HTMLParser):
    """A page's elements, the text of each section and the cells of each table's rows."""

    def __init__(self, text):
        super().__init__()
        self.text = text
        self.elements, self.sections, self.rows = [], {None: ""}, []
        self.section, self.open = None, []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.elements.append((tag, attributes))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "section":
            self.section = attributes["id"]
            self.sections[self.section] = ""
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag == "section":
            self.section = None

    def handle_data(self, data):
        if self.open and self.open[-1] in ("style", "script"):
            return
        self.sections[self.section] += data
        if {"th", "td"} & set(self.open):
            self.rows[-1][-1] += data.strip()

    def named(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def row(self, first):
        return next(row for row in self.rows if row and row[0] == first)


def page_of(runs, tmp_path):
    file = write_report(runs, tmp_path / "report.html")
    return Page(file.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page(runs, tmp_path_factory):
    return page_of(runs, tmp_path_factory.mktemp("page"))


def interval(value, spread=0.01):
    return {"value": value, "low": value - spread, "high": value + spread}


def write_table(file, rows):
    with file.open("w", newline="") as text:
        writer = csv.DictWriter(text, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def write_studies(folder, run="finetune", parent="animals"):
    of_parent = {"run": "animals/scratch", "split": "val", "n": 400}
    before = {"accuracy": 0.9, "sensitivity": 0.91, "specificity": 0.89}
    after = {"accuracy": 0.777, "sensitivity": 0.5, "specificity": None}
    row = {
        "run": run,
        "strategy": "finetune",
        "parent_run": "animals/scratch",
        "split": "val",
        "n": 400,
        **{key: value and interval(value) for key, value in after.items()},
        "forgetting": interval(0.123),
        "lost": 61,
        "gained": 12,
        "p_value": 0.0004,
        "p_holm": 0.0008,
        "identical": False,
        "identical_parts": ["stem"],
    }
    same = {"run": "same", "strategy": "frozen", "identical": True, "lost": 0, "gained": 0}
    same |= {"forgetting": interval(0.0, 0.0), "p_holm": 1.0}
    control = {"run": "apart", "strategy": "scratch", "forgetting": interval(0.4)}
    details = {
        "task": "canines",
        "parent_task": parent,
        "baselines": [of_parent | {key: interval(value) for key, value in before.items()}],
        "runs": [row, row | same, row | control],
        "hashes": {},
    }
    (folder / "forgetting.json").write_text(json.dumps(details))
    about = {"run": run, "strategy": "finetune", "split": "val"}
    write_table(
        folder / "forgetting_attribution.csv",
        [
            about | {"stage": stage, "kind": kind, "accuracy": 0.9 - cost, "cost": cost}
            for stage, kind, cost in [
                ("stem", "statistics", 0.031),
                ("stage_1", "convolutions", -0.002),
                ("all", "statistics", 0.057),
            ]
        ],
    )
    repair = about | {"repair": "re-fitted-head", "n": 400, "accuracy_before": 0.777}
    repair |= {"accuracy": 0.861, "given_back": 0.084, "ci_low": 0.07, "ci_high": 0.098}
    write_table(folder / "forgetting_repair.csv", [repair])


def test_every_run_is_in_the_table_with_the_figures_of_its_files(runs, page):
    for name in ("animals/scratch", "canines/frozen", "wolf/frozen"):
        metrics = json.loads((runs / name / "metrics.json").read_text())
        with (runs / name / "history.csv").open() as text:
            seconds = sum(float(row["seconds"]) for row in csv.DictReader(text))
        val = [f"{metrics['val'][key]:.3f}" for key in ("accuracy", "sensitivity", "specificity")]
        assert page.row(name)[3:] == [
            str(metrics["val"]["n"]),
            *val,
            f"{metrics['val']['auc']:.3f}",
            f"{metrics['train']['accuracy']:.3f}",
            "2",
            f"{seconds:,.0f}",
            "finished",
        ]
    assert page.row("wolf/frozen")[1:3] == ["frozen", "canines/frozen"]


def test_the_hierarchy_is_a_tree_of_tasks_and_runs(runs, page):
    text = " ".join(page.sections["hierarchy"].split())
    assert re.search(
        r"animals level 1 scratch .*canines level 2 frozen .*wolf level 3 frozen", text
    )
    accuracy = json.loads((runs / "wolf" / "frozen" / "metrics.json").read_text())["val"][
        "accuracy"
    ]
    assert text.endswith(f"{accuracy:.3f}")


def test_every_task_has_its_curves_and_pictures(page):
    assert len(page.named("svg")) == 4 * 3
    for section in ("task-0", "task-1", "task-2"):
        assert "Training curves" in page.sections[section]
        assert "Samples" in page.sections[section]
        assert "probability of" in page.sections[section]
    for picture in page.named("img"):
        image = Image.open(io.BytesIO(base64.b64decode(picture["src"].partition(",")[2])))
        assert image.format == "JPEG" and max(image.size) <= SIDE
    assert 3 * 8 <= len(page.named("img")) <= 3 * 16
    assert "not-canines" in page.sections["task-1"]
    # Classes are shown by name.
    assert not re.search(r"\bn\d{8}\b", "".join(page.sections.values()))


def test_nothing_of_the_page_lies_elsewhere(page):
    for tag, attributes in page.elements:
        assert tag not in ("link", "iframe", "object", "embed", "base", "form")
        for key in ("src", "href", "xlink:href", "srcset", "data", "action", "poster"):
            value = attributes.get(key, "#")
            assert value.startswith(("#", "data:image/")), (tag, key, value)
    addresses = re.findall(r"url\(([^)]*)", page.text)
    assert all(address.startswith("#") for address in addresses) and "@import" not in page.text
    for address in re.findall(r"https?://[^\s\"'<]*", page.text):
        assert address.startswith("http://www.w3.org/")  # names of XML's own, never fetched


def test_ids_are_there_once_and_links_lead_to_them(page):
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [attributes["href"] for attributes in page.named("a")]
    links += [attributes["xlink:href"] for attributes in page.named("use")]
    links += [f"#{name}" for name in re.findall(r"url\(#([^)]*)", page.text)]
    assert len(links) > 10 and {link[1:] for link in links} <= set(ids)


def test_what_was_measured_of_forgetting_is_shown(own_runs, tmp_path):
    write_studies(own_runs / "canines")
    page = page_of(own_runs, tmp_path)
    text = " ".join(page.sections["task-1"].split())
    assert "Forgetting of animals" in text and len(page.named("svg")) == 13
    row = page.row("finetune")
    assert row[:12] == [
        "finetune", "finetune", "validation", "400", "0.900", "0.777", "+0.123", "+0.113", "+0.133",
        "61", "12", "< 0.001",
    ]  # fmt: skip
    assert row[-3:] == ["0.890", "–", "no"] and page.row("same")[-1] == "yes"
    assert "finetune lost most, 0.123 (95 % interval 0.113 to 0.133): of 400 pictures 61" in text
    assert "own network: same; took nothing over and cannot remember: apart." in text
    assert page.row("stage 1") == ["stage 1", "–", "−0.002"]
    assert "the dearest is batch-norm statistics in stem of finetune, 0.031." in text
    assert next(row[5:] for row in page.rows if "re-fitted-head" in row) == [
        "0.777",
        "0.861",
        "+0.084",
        "+0.070",
        "+0.098",
    ]
    assert "finetune by re-fitted-head, 0.084 (95 % interval 0.070 to 0.098)." in text


@pytest.mark.parametrize(
    ("name", "contents"),
    [
        ("forgetting.json", "{}"),
        ("forgetting.json", "["),
        ("forgetting.json", '{"baselines": [], "runs": [], "parent_task": "animals"}'),
        ("forgetting_attribution.csv", "run,cost\nfinetune,0.1\n"),
        ("forgetting_repair.csv", ""),
    ],
)
def test_a_damaged_study_is_named_and_the_others_are_kept(tmp_path, name, contents):
    write_studies(tmp_path)
    (tmp_path / name).write_text(contents)
    studies = read_studies(tmp_path)
    (problem,) = studies.pop("problems")
    assert f"{name}' cannot be used" in problem
    assert sum(study is not None for study in studies.values()) == 2


def test_figures_of_weights_that_are_gone_are_said_to_be(own_runs, tmp_path):
    write_studies(own_runs / "canines")
    file = own_runs / "canines" / "forgetting.json"
    hashes = json.loads((own_runs / "canines" / "frozen" / "hashes.json").read_text())
    details = json.loads(file.read_text())
    for measured, said in ((hashes["after"], False), (hashes["before"], True)):
        file.write_text(json.dumps(details | {"hashes": {"canines/frozen": measured}}))
        text = page_of(own_runs, tmp_path).sections["task-1"]
        assert ("Since forgetting was measured, canines/frozen changed" in text) is said
    file.write_text(json.dumps(details | {"hashes": {"canines/gone": hashes["after"]}}))
    assert "canines/gone changed" in page_of(own_runs, tmp_path).sections["task-1"]


def test_names_cannot_break_the_page(own_runs, demo, tmp_path, page):
    name = "<img src=x onerror=alert(1)>&amp;\"'$x$ 狼"
    (own_runs / "canines" / "frozen").rename(own_runs / "canines" / name)
    shutil.copytree(own_runs / "wolf" / "frozen", own_runs / "<script>&" / "r")
    write_studies(own_runs / "canines", run=name, parent="<b>&animals")
    with (own_runs / "animals" / "scratch" / "predictions.csv").open("a") as text:
        text.write('"<i>&.jpg","</figcaption><u>",1,0.000001\n')
    broken = page_of(own_runs, tmp_path)
    assert page.row("canines/frozen")[3:] == broken.row(f"canines/{name}")[3:]
    assert name in broken.sections["hierarchy"] and "</figcaption><u>" in broken.sections["task-0"]
    assert "Forgetting of <b>&animals" in broken.sections["task-1"]
    assert not {"u", "i"} & (
        {tag for tag, _ in broken.elements} - {tag for tag, _ in page.elements}
    )
    assert len(broken.named("script")) == 1 and "damaged" in broken.row("<script>&/r")
    assert not any("onerror" in attributes for _, attributes in broken.elements)


def test_runs_that_are_not_whole_are_listed_with_the_reason(own_runs, tmp_path):
    (own_runs / "animals" / "scratch" / "config.json").unlink()
    metrics = (own_runs / "canines" / "frozen" / "metrics.json").read_bytes()
    (own_runs / "canines" / "frozen" / "metrics.json").unlink()
    (own_runs / "wolf" / "frozen" / "metrics.json").write_text('{"train": {}, "val": {"n": "x"}}')
    shutil.copytree(own_runs / "canines" / "frozen", own_runs / "canines" / "short")
    (own_runs / "canines" / "short" / "history.csv").write_text("epoch,loss\n1,0.5\n")
    shutil.copytree(own_runs / "canines" / "frozen", own_runs / "canines" / "fresh")
    (own_runs / "canines" / "fresh" / "history.csv").unlink()
    shutil.copytree(own_runs / "canines" / "frozen", own_runs / "canines" / "blind")
    (own_runs / "canines" / "blind" / "metrics.json").write_bytes(metrics)
    (own_runs / "canines" / "blind" / "predictions.csv").write_text("path\na.jpg\n")
    (own_runs / "canines" / "forgetting.json").write_text("{}")
    page = page_of(own_runs, tmp_path)
    states = {row[0]: (row[-3], row[-1]) for row in page.rows if row and "/" in row[0]}
    del states["task / run"]
    assert states == {
        "animals/scratch": ("2", "damaged"),
        "canines/blind": ("2", "finished"),
        "canines/frozen": ("2", "not finished"),
        "canines/fresh": ("0 of 2", "not finished"),
        "canines/short": ("0 of 2", "damaged"),
        "wolf/frozen": ("2", "damaged"),
    }
    text = " ".join(page.sections["runs"].split())
    assert "canines/frozen: not finished; train --resume goes on." in text
    for name, file in (("animals/scratch", "config"), ("wolf/frozen", "metrics")):
        assert re.search(rf"{name}: run '[^']*{name}' is damaged: {file}.json cannot", text)
    for name in ("forgetting.json", "predictions.csv"):
        assert f"{name}' cannot be used" in page.sections["task-1"]


def test_a_run_that_is_older_than_a_metric_is_shown_without(own_runs, tmp_path):
    file = own_runs / "canines" / "frozen" / "metrics.json"
    metrics = json.loads(file.read_text())
    for split in metrics.values():
        del split["auc"]
    file.write_text(json.dumps(metrics))
    accuracy, *_, auc = page_of(own_runs, tmp_path).row("canines/frozen")[4:8]
    assert auc == "–" and accuracy == f"{metrics['val']['accuracy']:.3f}"
    assert page_of(own_runs, tmp_path).row("canines/frozen")[-1] == "finished"


def test_pictures_that_are_gone_are_said_to_be(own_runs, demo, tmp_path):
    data = shutil.copytree(demo, tmp_path / "pictures")
    for config in own_runs.glob("*/*/config.json"):
        settings = json.loads(config.read_text())
        config.write_text(json.dumps(settings | {"data": str(data)}))
    with (own_runs / "canines" / "frozen" / "predictions.csv").open() as text:
        for row in csv.DictReader(text):
            if row["label"] == "1":
                (data / row["path"]).unlink()
    page = page_of(own_runs, tmp_path)
    assert re.search(r"\d+ of \d+ pictures are not there any more", page.sections["task-1"])
    assert page.named("img") and page.sections["task-1"].count("not there\n") >= 4
    shutil.rmtree(data)
    page = page_of(own_runs, tmp_path)
    assert not page.named("img")
    assert f"data folder '{data}' is not there" in page.sections["task-1"]


@pytest.mark.parametrize("data", ["demo", "tiny-imagenet"])
def test_a_report_draws_and_fetches_no_data(own_runs, tmp_path, monkeypatch, data):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    pictures = run_pictures(own_runs / "canines" / "frozen", data, "canines")
    assert "not in the cache" in pictures["note"] and not pictures["samples"]
    assert not (tmp_path / "cache").exists()
    # The demo of another version of the package is another demo.
    (tmp_path / "cache" / "modnet_keras" / "demo-0123456789ab").mkdir(parents=True)
    pictures = run_pictures(own_runs / "canines" / "frozen", data, "canines")
    assert "not in the cache" in pictures["note"]
    assert len([*(tmp_path / "cache").rglob("*")]) == 2


def test_the_command_writes_the_page_and_names_it(runs, tmp_path, command):
    target = tmp_path / "new" / "page.html"
    status, out, _ = command("report", f"--runs={runs}", f"--to={target}")
    assert status == 0 and out.split() == [str(target)]
    assert target.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [file.name for file in target.parent.iterdir()] == ["page.html"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--runs=no-such"], "no-such"),
        (["--runs=empty"], "no run"),
        (["--runs=empty", "--to=report.txt"], "report.txt"),
    ],
)
def test_a_wrong_call_is_one_sentence(here, command, arguments, reason):
    (here / "empty" / "canines").mkdir(parents=True)
    status, _, err = command("report", *arguments)
    assert status == 2 and reason in err and err.count("\n") == 1
    assert [path.name for path in here.iterdir()] == ["empty"]


def test_a_call_from_python_is_refused_alike(tmp_path):
    with pytest.raises(CallError, match="no run"):
        write_report(tmp_path, tmp_path / "report.html")


def test_tensorflow_is_not_loaded(runs, tmp_path):
    check = (
        "from modnet_keras.tools.__main__ import main; import sys;"
        f"main(['report', '--runs={runs}', '--to={tmp_path / 'report.html'}']);"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", check], check=True, capture_output=True, text=True)
