"""A fold in a process of its own: `python -m modnet_keras.studies.fold_process`.

The job comes as a line of JSON on standard input, events go as lines of JSON to standard output,
and what libraries print goes to the fold's `log.txt`. Standard input stays open as long as the
caller lives: at its end the process ends too, however the caller ended, so that no fold trains on
unseen while the caller is started anew with `--resume`.
"""

import contextlib
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from modnet_keras.errors import TERMINATED, CallError, WorkError
from modnet_keras.loading import loaded_for_good
from modnet_keras.studies.fold_events import failure
from modnet_keras.studies.tables import FOLD_LOG


def main() -> None:
    """Train the fold that standard input describes."""
    job = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_caller, daemon=True).start()
    # Ctrl-C reaches every process of a terminal; the caller decides, and has us end by SIGTERM.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _save_and_end)
    events = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    run_job(job, lambda event: events.write(json.dumps(event) + "\n"))


def run_job(job: dict[str, Any], tell: Callable[[dict[str, Any]], object]) -> None:
    """Train a fold in this process; how it ends is told, a fault of the program too.

    Parameters
    ----------
    job : dict
        As `fold_training.train_fold` takes it.
    tell : callable
        Called with each event, a dict: first `started`, last `done` or `failed` of no strategy.
    """
    with _output_in_log(Path(job["folder"])):
        tell({"event": "started", "process": os.getpid()})
        try:
            with loaded_for_good():
                # Imported here: it loads TensorFlow, whose words belong in the log.
                from modnet_keras.studies.fold_training import train_fold

            train_fold(job, tell)
        except (CallError, WorkError) as error:
            tell(failure(str(error)))
        except Exception as error:  # a fault of the program: this fold fails, the others go on
            traceback.print_exc()
            tell(failure(f"{type(error).__name__}: {error}".split("\n", 1)[0]))
        else:
            tell({"event": "done"})


@contextlib.contextmanager
def _output_in_log(folder):
    """Lead all that the process prints, C++ included, to the end of a fold's log."""
    folder.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    with (folder / FOLD_LOG).open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for place, stream in enumerate(kept, start=1):
            os.dup2(stream, place)
            os.close(stream)


def _save_and_end(*_):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(TERMINATED)


def _end_with_caller():
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    main()
