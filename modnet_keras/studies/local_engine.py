"""Folds on this machine: each in a process of its own, one after another or side by side."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from modnet_keras.errors import CallError
from modnet_keras.studies.fold_events import failure, is_last
from modnet_keras.studies.tables import FOLD_LOG

SECONDS_TO_SAVE = 8
"""What a fold has for its snapshot; who is to end on SIGTERM is killed soon after."""


def check_jobs(side_by_side: int) -> None:
    """Refuse more folds side by side than there are cores."""
    cores = len(_cores())
    if not 1 <= side_by_side <= cores:
        raise CallError(
            f"--jobs={side_by_side}: this machine has {cores} core{'s' if cores > 1 else ''} for "
            f"folds side by side; give 1 to {cores}."
        )


def run_locally(
    jobs: Sequence[dict[str, Any]],
    side_by_side: int,
    tell: Callable[[dict[str, Any], dict[str, Any]], object],
) -> None:
    """Train folds in processes of their own.

    Folds side by side share the cores by affinity. The number of threads of each stays the same,
    for another number would give other bits.

    Parameters
    ----------
    jobs : list of dict
        As `fold_training.train_fold` takes them.
    side_by_side : int
        How many run at a time.
    tell : callable
        Called, in this thread, with the job and each event of its process. The last event of a job
        is `done`, or `failed` with `strategy` None.
    """
    events: queue.SimpleQueue[tuple[dict[str, Any], dict[str, Any]]] = queue.SimpleQueue()
    processes = _Processes(shares_cores=side_by_side > 1)
    pool = ThreadPoolExecutor(side_by_side)
    try:
        for job in jobs:
            pool.submit(_run_process, job, events, processes)
        left = len(jobs)
        while left:
            job, event = events.get()
            tell(job, event)
            left -= is_last(event)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        processes.stop()
        pool.shutdown()


class _Processes:
    """The processes that run: none is left behind, or started, once the caller stops."""

    def __init__(self, shares_cores):
        self.lock = threading.Lock()
        self.running = []
        self.stopped = False
        self.shares_cores = shares_cores

    def start(self, job):
        with self.lock:
            if self.stopped:
                return None
            process = subprocess.Popen(
                [sys.executable, "-m", "modnet_keras.studies.fold_process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={"TF_CPP_MIN_LOG_LEVEL": "3"} | os.environ | {"KERAS_BACKEND": "tensorflow"},
            )
            self.running.append(process)
            self._share_cores()
        with suppress(BrokenPipeError):
            # It stays open: its end is the end of the process.
            print(json.dumps(job), file=process.stdin, flush=True)
        return process

    def end(self, process):
        with self.lock:
            self.running.remove(process)
            self._share_cores()

    def stop(self):
        with self.lock:
            self.stopped = True
            running = list(self.running)
        for process in running:
            process.terminate()
        latest = time.monotonic() + SECONDS_TO_SAVE
        for process in running:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0, latest - time.monotonic()))
            process.kill()

    def _share_cores(self):
        """Deal the cores out anew, so that the last fold has all of them."""
        if self.shares_cores:
            cores = _cores()
            for place, process in enumerate(self.running):
                _bind(process.pid, cores[place :: len(self.running)])


def _cores():
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _bind(process, cores):
    """Let all threads of a process run on these cores alone (Linux; others share by themselves)."""
    # The process, or one of its threads, may have ended meanwhile.
    with suppress(OSError):
        for thread in Path(f"/proc/{process}/task").iterdir():
            with suppress(OSError):
                os.sched_setaffinity(int(thread.name), cores)


def _run_process(job, events, processes):
    """Run one fold's process to its end; pass its events on, and say so if it did not."""
    last = {"event": None}
    try:
        process = processes.start(job)
        if process is None:
            return
        with process:
            for line in process.stdout:
                if not line.endswith("\n"):
                    # Cut off where the process was ended.
                    break
                last = json.loads(line)
                events.put((job, last))
        processes.end(process)
        if not is_last(last):
            events.put((job, _died(process.returncode, job)))
    except Exception as error:  # this fold fails, and the others go on
        if not is_last(last):
            events.put((job, failure(f"{type(error).__name__}: {error}")))


def _died(status, job):
    if status < 0:
        how = f"its process was ended by {signal.Signals(-status).name}"
    else:
        how = f"its process ended with status {status}"
    return failure(f"{how}; '{job['folder']}/{FOLD_LOG}' holds what it said")
