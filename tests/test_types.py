"""What a type checker makes of calls of the package, as whoever installed it calls it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import modnet_keras

PACKAGE = Path(modnet_keras.__file__).parent
# Nothing but the package itself is looked into: its dependencies would take half a minute.
SETTINGS = """\
[mypy]
follow_imports = skip
ignore_missing_imports = True
[mypy-modnet_keras.*]
follow_imports = silent
"""
CALLS = """\
from modnet_keras import build_manifest, estimate, evaluate, export, grow, load_run, load_task
from modnet_keras import load_tree, measure_forgetting, predict, train

run = train("canines", strategy="frozen", on_plan=lambda plan: print(plan.run.folder.name))
print(run.metrics["val"]["accuracy"], run.history[-1]["loss"] + 1.0, run.task.ancestors[0].name)
print(run.parent_folder / "config.json")  # wrong: a root has none
print(run.metric)  # wrong
train("canines", strategi="frozen")  # wrong
train(load_task("canines"), epochs="20")  # wrong
load_run()  # wrong
evaluate("runs/canines/frozen")  # wrong: it takes a run
evaluate(load_run("runs/canines/frozen"), data="pictures")["accuracy"]
estimate("canines", folds=5, val_fraction=None).rows[0]["strategy"]
estimate("canines", folds=5).tables  # wrong
measure_forgetting("canines", strategies=["frozen"]).kinds["frozen"][0].upper()
measure_forgetting("canines", strategies=[1])  # wrong
predict(load_tree("animals"), ["a.jpg"])[0]["label"]
predict(run, 7)  # wrong
export(run, to="served").folder.with_name("2")
export(run, "served", kind="onnx")  # wrong
load_tree("animals").parents[1].upper()  # wrong: it may be None
manifest = build_manifest(load_task("canines"), "demo", seed=0)
print(manifest.paths("val")[0].upper(), manifest.labels("val").mean(), len(manifest.unmatched))
build_manifest("canines")  # wrong: it takes a task
grow(run.model, "canines")  # wrong
"""


def test_a_type_checker_tells_right_calls_from_wrong_ones(tmp_path):
    pytest.importorskip("mypy")
    assert (PACKAGE / "py.typed").is_file()
    calls, settings = tmp_path / "calls.py", tmp_path / "mypy.ini"
    calls.write_text(CALLS)
    settings.write_text(SETTINGS)
    environment = dict(os.environ)
    if "site-packages" not in PACKAGE.parts:
        environment["MYPYPATH"] = str(PACKAGE.parent)
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", f"--config-file={settings}", "--no-incremental", calls],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    wrong = [place for place, line in enumerate(CALLS.splitlines(), start=1) if "# wrong" in line]
    found = [int(line) for line in re.findall(r"^calls\.py:(\d+): error:", checked.stdout, re.M)]
    assert found == wrong, checked.stdout + checked.stderr
