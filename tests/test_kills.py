"""Trainings that are killed at random moments end, resumed, as one that was left alone."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from modnet_keras import load_run

pytestmark = pytest.mark.usefixtures("thin_networks")

TOOLS = Path(__file__).parents[1] / "tools"


@pytest.fixture
def kill_trainings(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    import kill_trainings

    return kill_trainings


def test_kills_change_no_bit(kill_trainings, demo, tmp_path):
    tally = kill_trainings.kill_trainings(
        kills=3,
        task="animals",
        data=demo,
        epochs=4,
        batch_size=32,
        folder=tmp_path,
    )
    assert tally.kills == 3 and tally.inside_a_save > 0
    assert tally.trainings > 0 and tally.mismatches == 0


@pytest.mark.parametrize("what", ["weights", "history", "metrics", "predictions"])
def test_a_difference_would_be_found(kill_trainings, own_runs, tmp_path, what):
    expected, killed = tmp_path / "expected", tmp_path / "killed"
    for folder in (expected, killed):
        shutil.copytree(own_runs / "animals", folder / "runs" / "animals")
    assert kill_trainings.differences(expected, killed) == []
    run = killed / "runs" / "animals" / "scratch"
    if what == "weights":
        model = load_run(run).model
        kernel = model.get_layer("head").get_layer("head_logit").kernel
        kernel.assign(np.nextafter(kernel, np.inf))
        model.save(run / "model.keras")
    else:
        (file,) = run.glob(f"{what}.*[nv]")
        # The first figure of each: the last of a history is `seconds`.
        file.write_text(file.read_text().replace("0.", "0.5", 1))
    assert kill_trainings.differences(expected, killed) == [f"runs/animals/scratch: {what}"]
