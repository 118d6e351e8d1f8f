"""Kill trainings at random moments; compare what --resume ends in with one that was left alone.

    python tools/kill_trainings.py [--kills=200] [--task=canines] [--data=demo] [--epochs=3]
        [--image_size=32] [--batch_size=64] [--seed=0] [--folder=FOLDER]

Each training is a process of its own, forked off one that has loaded TensorFlow and done nothing
with it. It saves a snapshot after every step and is ended by SIGKILL at a moment drawn uniformly
from its start to a little past its end, at least one in four while a snapshot is being written;
then it goes on by `resume`, until it is done. What it ended in is compared to the bit: the weights,
the last snapshot (optimizer and metrics too), history (seconds aside), metrics and predictions.
Then the next one starts from nothing.
"""

import contextlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

# A little longer than the training takes, so that some are killed as they end.
LATEST = 1.1
IN_A_SAVE = 4
"""Of so many kills, at least one falls into a snapshot that is being written."""

HALTED = 0.01
"""Seconds that a process takes to stop."""

LONGEST = 600
"""Seconds after which a training hangs."""


@dataclass
class Tally:
    """What was done and found."""

    kills: int = 0
    inside_a_save: int = 0
    before_a_snapshot: int = 0
    trainings: int = 0
    mismatches: int = 0


def kill_trainings(
    kills=200,
    task="canines",
    data="demo",
    epochs=3,
    image_size=32,
    batch_size=64,
    seed=0,
    folder=None,
):
    """Kill so many times and give the tally; prints a line for each training that came through."""
    options = {"task": task, "data": str(data), "epochs": epochs, "image_size": image_size}
    options |= {"batch_size": batch_size, "snapshot_seconds": 0, "resume": True}
    moments = random.Random(seed)
    tally = Tally()
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["modnet_keras.training.trainer", "modnet_keras.api"])
    # Loads them, which is not to be counted.
    _run(processes.Process(target=int))
    with contextlib.ExitStack() as stack:
        root = Path(folder or stack.enter_context(tempfile.TemporaryDirectory()))
        start = _starter(processes, options)
        expected = root / "left-alone"
        seconds = _time(start, expected)
        killed = root / "killed"
        while tally.kills < kills:
            unfinished = _unfinished_snapshots(killed)
            process = start(killed)
            process.join(moments.uniform(0, LATEST * seconds))
            if tally.inside_a_save * IN_A_SAVE <= tally.kills:
                _halt_in_a_save(process, killed, unfinished)
            if process.exitcode is None:
                _kill(process, killed, unfinished, tally)
            else:
                _conclude(process, expected, killed, tally)
        process = start(killed)
        process.join(LONGEST)
        _conclude(process, expected, killed, tally)
    return tally


def _run(process):
    process.start()
    process.join()


def _starter(processes, options):
    def start(folder):
        folder.mkdir(parents=True, exist_ok=True)
        process = processes.Process(target=_train, args=(folder, options))
        process.start()
        return process

    return start


def _train(folder, options):
    """What is killed. The last snapshot is kept aside, for the training removes it at its end."""
    with (folder / "log.txt").open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    from modnet_keras import train

    def keep(plan, _=None):
        snapshot = plan.run.folder / "snapshot.npz"
        if snapshot.exists():
            kept = folder / f"{plan.task.name}.npz"
            shutil.copy(snapshot, kept.with_suffix(".part"))
            kept.with_suffix(".part").replace(kept)

    train(runs=folder / "runs", on_plan=keep, on_epoch=keep, **options)


def _time(start, folder):
    """Train once without a kill; gives the seconds."""
    started = time.perf_counter()
    process = start(folder)
    process.join()
    if process.exitcode:
        raise SystemExit(f"the training failed:\n{(folder / 'log.txt').read_text()[-2000:]}")
    return time.perf_counter() - started


def _halt_in_a_save(process, folder, unfinished):
    """Stop the process while a snapshot is being written, unless it ends before."""
    while process.exitcode is None:
        time.sleep(0.0005)
        if _unfinished_snapshots(folder) - unfinished:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGSTOP)
                # What the system does for it at the moment is still done.
                time.sleep(HALTED)
                if _unfinished_snapshots(folder) - unfinished:
                    return
                os.kill(process.pid, signal.SIGCONT)


def _kill(process, folder, unfinished, tally):
    """Kill, and count where, unless it ended by itself just then."""
    process.kill()
    process.join()
    if process.exitcode == -signal.SIGKILL:
        tally.kills += 1
        tally.inside_a_save += bool(_unfinished_snapshots(folder) - unfinished)
        tally.before_a_snapshot += not list(folder.rglob("snapshot.npz"))


def _unfinished_snapshots(folder):
    return {path for path in folder.rglob(".unfinished-*") if path.suffix == ".npz"}


def _conclude(process, expected, folder, tally):
    """Compare a training that came through, and clear it away for the next."""
    process.kill()
    process.join()
    tally.trainings += 1
    wrong = differences(expected, folder) if process.exitcode == 0 else ["it failed"]
    tally.mismatches += bool(wrong)
    print(f"{tally}{f': {wrong}' if wrong else ''}", flush=True)
    if wrong:
        folder.rename(folder.with_name(f"mismatch-{tally.mismatches}"))
    else:
        shutil.rmtree(folder)


def differences(expected, folder):
    """Names of what is not the same to the bit."""
    runs = sorted(path.parent.relative_to(expected) for path in expected.rglob("metrics.json"))
    wrong = []
    for run in runs:
        for what in (_weights, _history, _metrics, _predictions):
            if what(expected / run) != what(folder / run):
                wrong.append(f"{run}: {what.__name__[1:]}")
    for snapshot in expected.glob("*.npz"):
        if _snapshot(snapshot) != _snapshot(folder / snapshot.name):
            wrong.append(f"{snapshot.name}: optimizer and metrics")
    return wrong + [f"left behind: {path}" for path in _unfinished_snapshots(folder)]


def _weights(run):
    from modnet_keras import load_run

    return {v.path: v.numpy().tobytes() for v in load_run(run).model.variables}


def _history(run):
    from modnet_keras import load_run

    return [_without_seconds(row) for row in load_run(run).history]


def _metrics(run):
    return json.loads((run / "metrics.json").read_text())


def _predictions(run):
    return (run / "predictions.csv").read_bytes()


def _snapshot(file):
    from modnet_keras.training.checkpoint import load_snapshot

    snapshot = load_snapshot(file)
    weights = {name: value.tobytes() for name, value in snapshot.weights.items()}
    return snapshot.step, [_without_seconds(row) for row in snapshot.history], weights


def _without_seconds(row):
    return {key: value for key, value in row.items() if key != "seconds"}


if __name__ == "__main__":
    import fire

    # Its result was printed.
    fire.Fire(kill_trainings, serialize=lambda _: "")
