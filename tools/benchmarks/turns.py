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
        self._result()

    def measure(self, seconds):
        """Images a second over at least so many seconds; None for what one call of `work` gives."""
        self.connection.send(seconds)
        return self._result()

    def close(self):
        """End the process."""
        self.process.terminate()
        self.process.join()
        self.connection.close()

    def _result(self):
        try:
            result = self.connection.recv()
        except EOFError:
            raise SystemExit("a side of the benchmark ended; see above for why.") from None
        if isinstance(result, Exception):
            raise result
        return result


def take_turns(ours, peer, *, rounds, seconds, fresh=False):
    """Measure both sides alternately; `fresh` gives every turn a process of its own."""
    if fresh:
        sides = (ours, peer)
        found = [[_measure_alone(side, seconds) for side in sides] for _ in range(rounds)]
    else:
        workers = [Worker(side) for side in (ours, peer)]
        try:
            found = [[worker.measure(seconds) for worker in workers] for _ in range(rounds)]
        finally:
            for worker in workers:
                worker.close()
    return Turns(*(list(values) for values in zip(*found, strict=True)))


def median(values):
    """The median; None where a side never got there."""
    return None if None in values else statistics.median(values)


def _measure_alone(side, seconds):
    worker = Worker(side)
    try:
        return worker.measure(seconds)
    finally:
        worker.close()


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
