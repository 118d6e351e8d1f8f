"""The estimator: folds in processes of their own, going on, failing, by Ray, and its files."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import SMALL
from trainings import ESTIMATED_STRATEGIES, estimate_options

from modnet_keras import estimate, load_run, measure_forgetting
from modnet_keras.errors import CallError
from modnet_keras.tools.estimate_progress import RemainingWork
from modnet_keras.training.run import find_runs

pytestmark = pytest.mark.usefixtures("thin_networks")

COLUMNS = "task,strategy,val_fraction,repeat,fold,seed,n,accuracy,sensitivity,specificity,auc,"
COLUMNS += "forgetting,seconds,run"


def rows_of(runs):
    with (runs / "canines" / "estimate.csv").open(newline="") as text:
        return list(csv.DictReader(text))


def interrupt(*_):
    raise KeyboardInterrupt


def figures_of(runs):
    """Everything that an estimate found out, seconds aside: bits of weights too."""
    found = [{key: row[key] for key in row if key != "seconds"} for row in rows_of(runs)]
    for folder in sorted((runs / "canines" / "estimate").glob("fold-*/*/*")):
        run = load_run(folder)
        history = [{key: row[key] for key in row if key != "seconds"} for row in run.history]
        predictions = (folder / "predictions.csv").read_text()
        found.append((folder.name, run.hashes, run.metrics, history, predictions))
    return found


def test_every_fold_is_a_runs_folder_of_its_own(estimated):
    folds = estimated / "canines" / "estimate"
    for fold in ("fold-1", "fold-2"):
        assert [run.name for run in find_runs(folds / fold, "animals")] == ["scratch"]
        assert [run.name for run in find_runs(folds / fold, "canines")] == ["finetune", "frozen"]
        assert all(
            (run.folder / "history.png").is_file() for run in find_runs(folds / fold, "canines")
        )
        assert "canines (frozen): epoch 2/2" in (folds / fold / "log.txt").read_text()
    assert find_runs(estimated, "canines") == find_runs(estimated, "animals") == []


def test_the_table_is_what_the_runs_say(estimated, tmp_path):
    text = (estimated / "canines" / "estimate.csv").read_text()
    assert text.splitlines()[0] == COLUMNS
    rows = rows_of(estimated)
    assert [(row["strategy"], row["fold"]) for row in rows] == [
        ("finetune", "1"), ("frozen", "1"), ("finetune", "2"), ("frozen", "2")
    ]  # fmt: skip
    for row in rows:
        run = load_run(estimated / row["run"])
        for key in ("accuracy", "sensitivity", "specificity", "auc", "n"):
            assert float(row[key]) == run.metrics["val"][key]
        assert int(row["seed"]) == run.config["seed"] == int(row["fold"]) - 1
        assert run.config["fold"] == {"number": int(row["fold"]), "folds": 2, "seed": 0}
        assert float(row["seconds"]) == pytest.approx(sum(e["seconds"] for e in run.history))
    own = shutil.copytree(estimated / "canines" / "estimate" / "fold-1", tmp_path / "fold-1")
    measured = {
        row["run"]: row["forgetting"]
        for row in measure_forgetting("canines", runs=own).rows
        if row["split"] == "val"
    }
    assert {row["strategy"]: float(row["forgetting"]) for row in rows[:2]} == measured
    assert float(rows[1]["forgetting"]) == 0.0 != float(rows[0]["forgetting"])


def test_one_split_serves_parent_and_child_and_one_parent_all_strategies(estimated):
    held_out = []
    for fold in ("fold-1", "fold-2"):
        folder = estimated / "canines" / "estimate" / fold
        parent = load_run(folder / "animals" / "scratch")
        trained_on = set(parent.manifest().path[parent.manifest().split == "train"])
        for strategy in ESTIMATED_STRATEGIES:
            child = load_run(folder / "canines" / strategy)
            assert child.hashes["parent"] == parent.hashes["after"]
            validation = set(child.manifest().path[child.manifest().split == "val"])
            assert validation and not validation & trained_on
        held_out.append(validation)
    assert not held_out[0] & held_out[1]


def test_going_on_trains_nothing_that_is_done(estimated, own_estimate, demo, command):
    def state():
        files = (own_estimate / "canines" / "estimate").rglob("*")
        return {file: file.stat().st_mtime_ns for file in files}

    before = state()
    status, out, _ = command(
        "estimate", "--task=canines", "--strategies=finetune,frozen", "--folds=2", "--resume",
        f"--data={demo}", f"--runs={own_estimate}", *(f"--{k}={v}" for k, v in SMALL.items()),
        f"--to={own_estimate / 'said.json'}",
    )  # fmt: skip
    assert status == 0 and state() == before
    assert "2 of 2 folds done" in out and "95 % of forgetting" in out
    intervals = re.findall(r"(-?\d\.\d{3}) to (-?\d\.\d{3})", out)
    assert intervals and all(float(low) <= float(high) for low, high in intervals)
    assert "the accuracy of finetune and frozen apart" in out
    said = json.loads((own_estimate / "said.json").read_text())
    assert {row["other"] for row in said} == {None, "frozen"}
    assert figures_of(own_estimate) == figures_of(estimated)


def take_away(fold, *strategies):
    """Leave of a fold the other runs alone."""
    for strategy in strategies:
        shutil.rmtree(fold / "canines" / strategy)
    (fold / "result.json").unlink()


def test_interrupted_and_killed_it_goes_on_to_the_same_bits(estimated, own_estimate, demo):
    fold = own_estimate / "canines" / "estimate" / "fold-1"
    take_away(fold, "finetune", "frozen")

    def stop(_, event):
        if event["event"] == "epoch":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        estimate("canines", **estimate_options(demo, own_estimate, on_event=stop))
    said = (fold / "log.txt").read_text()
    # It may have had its last epoch already.
    assert "saved after step" in said or "epoch 2/2" in said.rpartition("canines (finetune)")[2]
    settings = (f"--{key}={value}" for key, value in SMALL.items())
    caller = subprocess.Popen(
        [sys.executable, "-m", "modnet_keras.tools", "estimate", "--task=canines", "--resume",
         "--strategies=finetune,frozen", "--folds=2", f"--data={demo}", f"--runs={own_estimate}",
         *settings],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_for(lambda: (fold / "canines" / "frozen" / "history.csv").exists())
        folds = children_of(caller)
        assert folds and not any(map(has_ended, folds))
    finally:
        caller.kill()
        caller.wait()
    wait_for(lambda: all(map(has_ended, folds)), seconds=10)
    assert not (fold / "result.json").exists()
    estimate("canines", **estimate_options(demo, own_estimate))
    assert figures_of(own_estimate) == figures_of(estimated)


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def children_of(process):
    """Process ids (Linux) of what a process has started, by whichever of its threads."""
    tasks = Path(f"/proc/{process.pid}/task").glob("*/children")
    return [child for task in tasks for child in task.read_text().split()]


def has_ended(process):
    try:
        # The state comes after the name, which may hold anything but a closing bracket last.
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def test_by_ray_with_a_worker_killed_the_bits_are_the_same(
    estimated, own_estimate, demo, monkeypatch
):
    """From pictures that were sent, and what there is of each fold; fold 1 loses its worker."""
    # Ray would write a token into the user's home folder.
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    take_away(own_estimate / "canines" / "estimate" / "fold-1", "finetune")
    take_away(own_estimate / "canines" / "estimate" / "fold-2", "frozen")
    workers, killed = [], []

    def kill(fold, event):
        if fold != "fold-1":
            return
        if event["event"] == "started":
            workers.append(event["process"])
        elif event["event"] == "epoch" and event["run"] == "canines/finetune" and not killed:
            killed.append(workers[-1])
            os.kill(workers[-1], signal.SIGKILL)

    given = estimate_options(demo, own_estimate, engine="ray", ship=True, on_event=kill)
    result = estimate("canines", **given)
    assert killed and len(workers) == 2 and result.failed == []
    assert figures_of(own_estimate) == figures_of(estimated)
    assert not list(
        (Path(os.environ["XDG_CACHE_HOME"]) / "modnet_keras" / "shipped").glob("*/fold*")
    )


def test_a_fold_that_fails_is_reported_and_the_rest_goes_on(own_estimate, demo, capsys):
    (own_estimate / "canines" / "estimate" / "fold-1" / "result.json").unlink()

    def kill(fold, event):
        if event["event"] == "started":
            os.kill(event["process"], signal.SIGKILL)

    result = estimate("canines", **estimate_options(demo, own_estimate, on_event=kill))
    (failure,) = result.failed
    assert failure["fold"] == "fold-1" and failure["strategy"] is None
    assert "SIGKILL" in failure["reason"] and "log.txt" in failure["reason"]
    assert {row["fold"] for row in result.rows} == {2}
    assert json.loads((own_estimate / "canines" / "estimate.json").read_text())["failed"] == [
        failure
    ]


def test_a_strategy_that_fails_leaves_the_others_of_its_fold(own_estimate, demo, command):
    fold = own_estimate / "canines" / "estimate" / "fold-1"
    (fold / "result.json").unlink()
    (fold / "canines" / "finetune" / "metrics.json").write_text("{")
    status, out, err = command(
        "estimate", "--task=canines", "--strategies=finetune,frozen", "--folds=2", "--resume",
        f"--data={demo}", f"--runs={own_estimate}", *(f"--{k}={v}" for k, v in SMALL.items()),
    )  # fmt: skip
    assert status == 1 and err.count("\n") == 1 and "fold-1" in err and "--resume" in err
    assert "fold-1 finetune failed: run" in out and "metrics.json" in out
    assert [(row["strategy"], row["fold"]) for row in rows_of(own_estimate)] == [
        ("frozen", "1"), ("finetune", "2"), ("frozen", "2")
    ]  # fmt: skip


def test_what_is_not_given_is_what_it_was_started_with(estimated, own_estimate):
    given = {"runs": own_estimate, "resume": True}
    estimate("canines", **given)
    assert figures_of(own_estimate) == figures_of(estimated)
    # One strategy of those that are there takes none away.
    estimate("canines", strategies="frozen", **given)
    assert figures_of(own_estimate) == figures_of(estimated)
    with pytest.raises(CallError, match="--val_fraction: .* was started with --folds=2"):
        estimate("canines", val_fraction=0.3, **given)


def test_what_is_added_is_trained_besides(own_estimate):
    def refuse(fold, event):
        if event["event"] == "started":
            os.kill(event["process"], signal.SIGKILL)

    given = {"runs": own_estimate, "resume": True, "on_event": refuse}
    result = estimate("canines", strategies=["scratch"], repeats=2, **given)
    settings = json.loads((own_estimate / "canines" / "estimate" / "settings.json").read_text())
    assert settings["strategies"] == ["finetune", "frozen", "scratch"]
    assert settings["folds"] == settings["repeats"] == 2
    assert [failure["fold"] for failure in result.failed] == [
        "fold-1", "fold-2", "fold-1-repeat-2", "fold-2-repeat-2"
    ]  # fmt: skip
    assert len(result.rows) == 4


def test_a_replaced_estimate_leaves_no_table_of_the_old_one(own_estimate, demo):
    with pytest.raises(KeyboardInterrupt):
        given = estimate_options(
            demo, own_estimate, resume=False, overwrite=True, on_event=interrupt
        )
        estimate("canines", **given)
    folder = own_estimate / "canines"
    assert [file.name for file in folder.iterdir()] == ["estimate"]
    assert not list((folder / "estimate").glob("*/result.json"))


def test_a_start_that_was_killed_at_once_is_no_estimate(demo, tmp_path):
    folder = tmp_path / "canines" / "estimate"
    folder.mkdir(parents=True)
    (folder / ".unfinished-x.json").touch()
    with pytest.raises(KeyboardInterrupt):
        estimate("canines", **estimate_options(demo, tmp_path, resume=False, on_plan=interrupt))


@pytest.mark.parametrize("text", ["", "[]", '{"rows": [{"strategy": "frozen"}]}'])
def test_a_damaged_result_is_measured_anew(own_estimate, demo, text):
    (own_estimate / "canines" / "estimate" / "fold-1" / "result.json").write_text(text)
    started = []

    def stop(fold, event):
        if event["event"] == "started":
            started.append(fold)
            os.kill(event["process"], signal.SIGKILL)

    estimate("canines", **estimate_options(demo, own_estimate, on_event=stop))
    assert started == ["fold-1"]


def test_a_fold_that_only_says_it_is_done_is_reported(own_estimate, demo, monkeypatch):
    (own_estimate / "canines" / "estimate" / "fold-1" / "result.json").unlink()

    def say_done(jobs, side_by_side, tell):
        for job in jobs:
            tell(job, {"event": "done"})

    monkeypatch.setattr("modnet_keras.studies.estimator.run_locally", say_done)
    (failure,) = estimate("canines", **estimate_options(demo, own_estimate)).failed
    assert failure["fold"] == "fold-1" and "does not hold its result" in failure["reason"]


def test_the_time_left_is_reckoned_from_what_is_done():
    work = RemainingWork(["fold-1", "fold-2"], ["animals/scratch", "canines/frozen"])
    assert work.time_left() == "time left unknown"
    work.started -= 60
    for epoch in (1, 2):
        work.count("fold-1", {"event": "epoch", "run": "animals/scratch", "epoch": epoch,
                              "epochs": 2, "seconds": 15})  # fmt: skip
    work.count("fold-1", {"event": "trained", "run": "animals/scratch", "epochs": 2})
    assert work.runs_done() == 1 and work.folds_done() == "0 of 2 folds done"
    # Three runs as long as the one that took 60 seconds by the clock.
    assert work.time_left() == "about 0:03:00 left"
    work.count("fold-1", {"event": "failed", "strategy": None, "reason": "why"})
    assert work.folds_done() == "1 of 2 folds done" and work.runs_done() == 2


def test_the_figure_and_the_page_show_it(own_estimate, command, tmp_path):
    assert (own_estimate / "canines" / "estimate.png").read_bytes().startswith(b"\x89PNG")
    page = tmp_path / "page.html"
    assert command("report", f"--runs={own_estimate}", f"--to={page}")[0] == 0
    text = page.read_text()
    assert "<h3>Estimate</h3>" in text and "the accuracy of finetune and frozen apart" in text
    assert "forgetting of the parent&#39;s task by strategy, with 95 % intervals" in text
    (own_estimate / "canines" / "estimate.csv").write_text("task\n")
    assert command("report", f"--runs={own_estimate}", f"--to={page}")[0] == 0
    assert "is not the outcome of an estimate" in page.read_text()
    data = json.loads((own_estimate / "canines" / "estimate.json").read_text())["options"]["data"]
    status, _, err = command("report", f"--runs={own_estimate}", f"--to={data}/page.html")
    assert status == 2 and "data folder" in err
