"""Trainings in processes of their own that are ended by signals."""

import signal
import subprocess
import sys

import numpy as np
import pytest
from conftest import SMALL
from trainings import SMALL_OPTIONS, weights, without_seconds

from modnet_keras import train
from modnet_keras.training.checkpoint import load_snapshot

pytestmark = pytest.mark.usefixtures("thin_networks")


def test_an_interrupted_run_goes_on_to_the_same_bits(demo, tmp_path, command):
    """Real processes are terminated and interrupted; it ends where none would have been.

    `test_kills` kills them.
    """
    options = ["--task=animals", f"--data={demo}", f"--runs={tmp_path}", *SMALL_OPTIONS]
    options = [option for option in options if "epochs" not in option] + ["--epochs=8", "--resume"]
    call = [sys.executable, "-m", "modnet_keras.tools", "train", *options]
    steps = []
    for number, status in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        process = subprocess.Popen(
            call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        shown = [line for _, line in zip(range(3), process.stdout, strict=False)]
        assert "epoch" in shown[-1]
        process.send_signal(number)
        # A machine that is preempted has not much longer.
        out, err = process.communicate(timeout=10)
        assert process.returncode == status and "Traceback" not in err
        (line,) = (line for line in out.splitlines() if "saved after step" in line)
        steps.append(int(line.split("step ")[1].split(" of ")[0]))
    status, out, _ = command("tasks", f"--runs={tmp_path}")
    assert status == 0 and "not finished" in out
    of_epoch = load_snapshot(tmp_path / "animals" / "scratch" / "snapshot.npz")
    assert of_epoch.step == steps[1] > steps[0] > 0
    resumed = train("animals", data=demo, runs=tmp_path, resume=True)
    assert [row["epoch"] for row in resumed.history] == [1, 2, 3, 4, 5, 6, 7, 8]
    through = train("animals", data=demo, runs=tmp_path, name="through", **SMALL | {"epochs": 8})
    for path, value in weights(through.folder).items():
        np.testing.assert_array_equal(weights(resumed.folder)[path], value)
    assert without_seconds(resumed) == without_seconds(through)
    assert resumed.metrics == through.metrics
    assert not (resumed.folder / "snapshot.npz").exists()
