"""What `estimate` shows while it works: a bar over all runs on a terminal, else a line a run."""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from modnet_keras.studies.fold_events import is_last


class EstimateProgress:
    """Shows how far an estimate is and how long the rest will take."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, markup=False, soft_wrap=True)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[shown]}"),
        )
        self.bar = Progress(
            *columns, console=self.console, transient=True, disable=not self.console.is_terminal
        )
        self.work: RemainingWork  # from `plan` on

    def __enter__(self):
        self.bar.start()
        self.row = self.bar.add_task("Preparing", total=None, shown="")
        return self

    def __exit__(self, *_):
        self.bar.stop()

    def plan(self, folds: Sequence[str], runs: Sequence[str]) -> None:
        """Take the names of the folds and of the runs of each."""
        self.work = RemainingWork(folds, runs)
        self.console.print(f"{len(folds)} splits with {len(runs)} runs each: {', '.join(runs)}")
        self.bar.update(self.row, total=len(folds) * len(runs), description="Starting")

    def tell(self, fold: str, event: Mapping[str, Any]) -> None:
        """Take an event of a fold and show it."""
        self.work.count(fold, event)
        kind, shown = event["event"], None
        if kind == "trained":
            shown = f"{fold} {event['run']}: validation accuracy {event['accuracy']:.4f}"
        elif kind == "failed":
            what = f" {event['strategy']}" if event["strategy"] else ""
            shown = f"{fold}{what} failed: {event['reason']}"
        elif kind == "started" and "node" in event:
            shown = f"{fold} starts on node {event['node']}"
        elif kind == "done":
            shown = f"{fold} is done: {self.work.folds_done()}"
        if shown:
            left = f"; {self.work.time_left()}" if kind == "trained" else ""
            self.console.print(shown + ("" if self.console.is_terminal else left))
        if kind == "epoch":
            description = f"{fold} {event['run']} epoch {event['epoch']}/{event['epochs']}"
            self.bar.update(self.row, description=description)
        self.bar.update(
            self.row,
            completed=self.work.runs_done(),
            shown=f"{self.work.folds_done()}, {self.work.time_left()}",
        )


class RemainingWork:
    """Counts what is done of an estimate, and reckons how long the rest takes.

    A run of one name takes alike in every fold, so that what one fold took tells of the others; the
    clock against that tells of starts, evaluations and folds side by side.
    """

    def __init__(self, folds: Sequence[str], runs: Sequence[str]) -> None:
        self.started = time.monotonic()
        self.folds = len(folds)
        self.left = {fold: dict.fromkeys(runs, 0) for fold in folds}
        self.epochs: dict[str, int] = {}
        self.seconds: defaultdict[str, list[float]] = defaultdict(list)
        self.done_seconds = 0.0
        self.runs = len(runs)

    def count(self, fold: str, event: Mapping[str, Any]) -> None:
        """Take an event of a fold."""
        left = self.left.get(fold, {})
        if event["event"] == "epoch":
            self.epochs[event["run"]] = event["epochs"]
            self.seconds[event["run"]].append(event["seconds"])
            self.done_seconds += event["seconds"]
            left[event["run"]] = event["epoch"]
        elif event["event"] == "trained":
            self.epochs[event["run"]] = event["epochs"]
            left.pop(event["run"], None)
        elif is_last(event):
            self.left.pop(fold, None)

    def folds_done(self) -> str:
        """How many folds are done, in words."""
        return f"{self.folds - len(self.left)} of {self.folds} folds done"

    def runs_done(self) -> float:
        """How many runs are done, begun ones as far as they are."""
        left = sum(
            1 - done / self.epochs.get(run, 1) if done else 1
            for of_fold in self.left.values()
            for run, done in of_fold.items()
        )
        return self.folds * self.runs - left

    def time_left(self) -> str:
        """How long the rest takes, in words."""
        if not self.done_seconds:
            return "time left unknown"
        means = {run: sum(found) / len(found) for run, found in self.seconds.items()}
        whole = {run: mean * self.epochs[run] for run, mean in means.items()}
        usual = sum(whole.values()) / len(whole)
        left = sum(
            whole.get(run, usual) - done * means.get(run, 0)
            for of_fold in self.left.values()
            for run, done in of_fold.items()
        )
        clock = (time.monotonic() - self.started) / self.done_seconds
        return f"about {timedelta(seconds=round(left * clock))} left"
