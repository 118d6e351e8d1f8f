"""Two sides, each in a process of its own, timed in turns: A B A B ..."""

import importlib
import multiprocessing
import os
import statistics
import time
from typing import NamedTuple


class Side(NamedTuple):
    """A function of one of the modules beside this one, by name, and its options."""

    module: str
    function: str
    options: dict


class Turns(NamedTuple):
    """What two sides reached in each round."""

    ours: list
    peer: list


class Worker:
    """A side set up in a new process, which waits until it is asked."""

    def __init__(self, side):
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(other, side))
        self.process.start()
        other.close()

    def wait_until_ready(self):
        """Let it set up."""
        self._result()

    def measure(self, seconds):
        """Images a second over at least so many seconds; None for what one call of `work` gives."""
        self.connection.send(seconds)
        return self._result()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.terminate()
        self.process.join()
        self.connection.close()

    def _result(self):
        try:
            return self.connection.recv()
        except EOFError:
            raise SystemExit("a side of the benchmark ended; see above for why.") from None


def take_turns(ours, peer, *, rounds, seconds, fresh=False):
    """Measure both sides alternately; `fresh` gives every turn a process of its own."""
    if fresh:
        sides = (ours, peer)
        found = [[measure_alone(side, seconds) for side in sides] for _ in range(rounds)]
    else:
        with Worker(ours) as first, Worker(peer) as second:
            for worker in (first, second):
                worker.wait_until_ready()
            found = [[worker.measure(seconds) for worker in (first, second)] for _ in range(rounds)]
    return Turns(*(list(values) for values in zip(*found, strict=True)))


def median(values):
    """The median; None where a side never got there."""
    return None if None in values else statistics.median(values)


def measure_alone(side, seconds=None):
    """What one side reaches, in a process of its own."""
    with Worker(side) as worker:
        worker.wait_until_ready()
        return worker.measure(seconds)


def _serve(connection, side):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    module = importlib.import_module(f"benchmarks.{side.module}")
    work = getattr(module, side.function)(**side.options)
    connection.send("ready")
    warm = False
    while True:
        seconds = connection.recv()
        if seconds is None:
            connection.send(work())
            continue
        if not warm:
            work()
            warm = True
        images, start = 0, time.perf_counter()
        while (passed := time.perf_counter() - start) < seconds:
            images += work()
        connection.send(images / passed)
