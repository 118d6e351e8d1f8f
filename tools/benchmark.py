"""Measure modnet-keras against what a user would pick instead: in one run, in turns, as ratios.

    pip install ".[bench]" --extra-index-url https://download.pytorch.org/whl/cpu
    python tools/benchmark.py [--only=NAME,...] [--out=FILE] [--data=FOLDER] [--rounds=5]
                              [--seconds=10] [--epochs=72] [--scratch=FOLDER]

Nothing else should run meanwhile. Each pair is two processes that work in turns, A B A B ..., for
`seconds` each; what counts is the ratio of the medians, over 1 where ours is better. `data` holds
`tiny-imagenet-31.tar` and `imagenet-full-size-160.tar` (MODNET_REAL_DATA where it is not given).
`epochs` is the length of the peer's training in whole_job. FILE is a JSON list.
"""

import dataclasses
import importlib.util
import json
import os
import sys
import tempfile
from pathlib import Path

import fire
from benchmarks.pictures import FULL, TINY, link_many, unpack
from benchmarks.turns import Side, measure_alone, median, take_turns
from rich.console import Console
from rich.table import Table

INSTALL = 'pip install ".[bench]" --extra-index-url https://download.pytorch.org/whl/cpu'
IMAGES = "images/s"
SECONDS = "s"
MEMORY = "MiB"
ORIGINAL_AREA = (0.08, 1.0)
BATCHES = {64: 128, 224: 64}
STEPS_A_CALL = 4
FORGET = {"size": 64, "pictures": 1024, "batch": 256}


@dataclasses.dataclass(frozen=True)
class Pair:
    """What is compared: two sides, in what unit, and the ratio that is aimed at."""

    name: str
    goal: float
    ours: Side
    peer: Side
    peer_name: str
    unit: str = IMAGES
    fresh: bool = False


class Bench:
    """The pairs on this machine: its pictures, and whether it computes bfloat16."""

    def __init__(self, data, scratch):
        from modnet_keras.training.devices import computes_bfloat16

        self.data, self.scratch = Path(data), Path(scratch)
        self.bfloat16 = computes_bfloat16()
        self.precision = "bfloat16" if self.bfloat16 else "float32"
        self.torch = f"torch {self.precision} channels_last"

    @property
    def tiny(self):
        """Folder of Tiny ImageNet's pictures."""
        return str(unpack(TINY, self.data, self.scratch) / "train")

    @property
    def full(self):
        """Folder of the full-size pictures."""
        return str(unpack(FULL, self.data, self.scratch))

    def pairs(self):
        """From each name to what makes its `Pair`: pictures are unpacked when they are needed."""
        made = {}
        for size, level in ((64, 1), (64, 3), (224, 1), (224, 3)):
            made[f"train_step.{size}.level{level}"] = lambda s=size, n=level: self.train_step(s, n)
        for size in (64, 224):
            made[f"train_step_original.{size}.level1"] = lambda s=size: self.train_step_original(s)
        for size, level in ((64, 1), (224, 3)):
            made[f"inference.{size}.level{level}"] = lambda s=size, n=level: self.inference(s, n)
        made["forget.64"] = self.forget
        for name, size, goal in (("full", 224, 2.0), ("full", 64, 4.0), ("tiny", 64, 3.0)):
            made[f"input.{name}_to_{size}"] = lambda n=name, s=size, g=goal: self.inputs(n, s, g)
        made["input.decode_limit"] = self.decode_limit
        made["overlap.epoch"] = self.overlap
        made["frozen_step.64.level2"] = self.frozen_step
        made["files.100000"] = self.files
        made["memory.224"] = self.memory
        return made

    def train_step(self, size, level, *, name="train_step", original=False, goal=1.0):
        """A step of training, on pictures that are in memory."""
        common = {"level": level, "size": size, "batch": BATCHES[size], "steps": STEPS_A_CALL}
        return Pair(
            f"{name}.{size}.level{level}",
            goal,
            Side("ours", "train_step", common | {"precision": self.precision}),
            Side("peers", "train_step", common | {"bfloat16": self.bfloat16, "original": original}),
            "torch float32, as the original" if original else self.torch,
        )

    def train_step_original(self, size):
        """The same against the original's step."""
        return self.train_step(size, 1, name="train_step_original", original=True, goal=2.0)

    def inference(self, size, level):
        """Logits of pictures that are in memory."""
        common = {"level": level, "size": size, "batch": BATCHES[size]}
        return Pair(
            f"inference.{size}.level{level}",
            1.0,
            Side("ours", "inference", common | {"precision": self.precision}),
            Side("peers", "inference", common | {"bfloat16": self.bfloat16}),
            f"{self.torch}, inference_mode",
        )

    def forget(self):
        """The forgetting test of four children, without reading."""
        return Pair(
            "forget.64",
            1.0,
            Side("ours", "forget", FORGET | {"precision": self.precision}),
            Side("peers", "forget", FORGET | {"bfloat16": self.bfloat16}),
            f"{self.torch}, inference_mode",
        )

    def inputs(self, name, size, goal):
        """Files to augmented batches."""
        options = {
            "folder": getattr(self, name),
            "size": size,
            "batch": BATCHES[size],
            "batches": 4,
            "area": ORIGINAL_AREA,
        }
        return Pair(
            f"input.{name}_to_{size}",
            goal,
            Side("ours", "inputs", options),
            Side("peers", "inputs", options),
            "PIL in the original's order, DataLoader with 2 workers",
        )

    def decode_limit(self):
        """The whole pipeline against decoding alone."""
        ours = self.inputs("full", 224, 0.85).ours
        options = {"folder": self.full, "area": ORIGINAL_AREA}
        peer = Side("decode_limit", "decode_windows", options)
        return Pair("input.decode_limit", 0.85, ours, peer, "libjpeg-turbo, crop-decode alone")

    def overlap(self):
        """An epoch of training against the longer of its input and its steps."""
        common = {"folder": self.tiny, "size": 64, "batch": 64, "precision": self.precision}
        sides = [Side("ours", "whole_epoch", common | {"apart": apart}) for apart in (False, True)]
        return Pair("overlap.epoch", 0.93, *sides, "the longer of input and steps", SECONDS)

    def frozen_step(self):
        """A child's step by two of our strategies."""
        common = {"level": 2, "size": 64, "batch": BATCHES[64], "steps": STEPS_A_CALL}
        common |= {"precision": self.precision}
        sides = [
            Side("ours", "train_step", common | {"strategy": strategy})
            for strategy in ("frozen", "finetune")
        ]
        return Pair("frozen_step.64.level2", 2.0, *sides, "our finetune")

    def files(self):
        """From a folder to the first batch, ten times the files."""
        few, many = (self._linked(count) for count in (10**4, 10**5))
        ours = Side("ours", "first_batch", {"folder": many, "repeats": 1})
        peer = Side("ours", "first_batch", {"folder": few, "repeats": 8, "times": 10})
        return Pair("files.100000", 0.9, ours, peer, "10 x the seconds for 10^4 files", SECONDS)

    def memory(self):
        """Peak memory of training at 224 px."""
        common = {"folder": self.full, "size": 224, "batch": 64, "steps": 4}
        return Pair(
            "memory.224",
            0.9,
            Side("ours", "training_memory", common | {"precision": self.precision}),
            Side("peers", "training_memory", common | {"bfloat16": self.bfloat16}),
            self.torch,
            MEMORY,
            fresh=True,
        )

    def _linked(self, count):
        folder = self.scratch / f"{count}-files"
        if not folder.is_dir():
            unfinished = folder.with_name(f".{folder.name}.unfinished")
            link_many(self.tiny, unfinished, count)
            unfinished.rename(folder)
        return str(folder)


def measure(pair, rounds, seconds):
    """The row of one pair, and what each round gave."""
    given = seconds if pair.unit == IMAGES else None
    turns = take_turns(pair.ours, pair.peer, rounds=rounds, seconds=given, fresh=pair.fresh)
    row = make_row(pair, median(turns.ours), median(turns.peer))
    ratios = [ratio_of(pair.unit, a, b) for a, b in zip(*turns, strict=True)]
    return row, {"ours": turns.ours, "peer": turns.peer, "ratio": ratios}


def measure_whole_job(bench, epochs):
    """The row of `whole_job.tiny_imagenet`: both trainings once, the peer's first."""
    from modnet_keras import build_manifest, load_task

    splits = []
    for task in ("animals", "canines"):
        manifest = build_manifest(load_task(task), bench.tiny)
        splits.append(
            {
                split: (manifest.paths(split), manifest.labels(split).tolist())
                for split in ("train", "val")
            }
        )
    options = {"splits": splits, "size": 64, "epochs": epochs, "batch": 256}
    peer = measure_alone(Side("peers", "whole_job", options))
    options = {"folder": bench.tiny, "target": peer["accuracy"], "scratch": str(bench.scratch)}
    ours = measure_alone(Side("ours", "whole_job", options))
    recipe = f"the original's recipe in torch, {epochs} epochs, frozen: {peer['accuracy']:.3f}"
    pair = Pair("whole_job.tiny_imagenet", 3.0, None, None, recipe, SECONDS)
    return make_row(pair, ours, peer["seconds"])


def ratio_of(unit, ours, peer):
    """Over 1 where ours is better; None where a side never got there."""
    if ours is None or peer is None:
        return None
    return ours / peer if unit == IMAGES else peer / ours


def make_row(pair, ours, peer):
    """What the file holds of a pair."""
    return {
        "name": pair.name,
        "ours": ours,
        "peer": peer,
        "peer_name": pair.peer_name,
        "unit": pair.unit,
        "ratio": ratio_of(pair.unit, ours, peer),
        "goal": pair.goal,
    }


def show(console, rows, spreads):
    """A table of all pairs."""
    table = Table()
    for title in ("name", "ours", "peer", "unit", "ratio", "goal", ""):
        table.add_column(title, no_wrap=title == "name")
    for row in rows:
        spread = spreads.get(row["name"], {})
        cells = [_with_spread(row[key], spread.get(key)) for key in ("ours", "peer", "ratio")]
        reached = row["ratio"] is not None and row["ratio"] >= row["goal"]
        table.add_row(
            row["name"],
            cells[0],
            cells[1],
            row["unit"],
            cells[2],
            f"{row['goal']:g}",
            "reached" if reached else "missed",
        )
    console.print(table)


def _with_spread(value, values):
    if value is None:
        return "never"
    shown = f"{value:.4g}"
    return f"{shown} ({min(values):.4g} to {max(values):.4g})" if values else shown


def main(only=(), out=None, data=None, rounds=5, seconds=10, epochs=72, scratch=None):
    """Run the pairs, print a table and write the file."""
    only = only.split(",") if isinstance(only, str) else list(only)
    data = data or os.environ.get("MODNET_REAL_DATA")
    if data is None:
        sys.exit("name the folder that holds the pictures with --data, or set MODNET_REAL_DATA.")
    console = Console()
    with tempfile.TemporaryDirectory() as temporary:
        bench = Bench(data, scratch or temporary)
        pairs = bench.pairs()
        known = [*pairs, "whole_job.tiny_imagenet"]
        if unknown := sorted(set(only) - set(known)):
            sys.exit(f"no such names: {', '.join(unknown)}; there are {', '.join(known)}.")
        if importlib.util.find_spec("torch") is None:
            sys.exit(f"the peer is not installed: {INSTALL}")
        rows, spreads = [], {}
        for name in only or known:
            if name in pairs:
                row, spreads[name] = measure(pairs[name](), rounds, seconds)
            else:
                row = measure_whole_job(bench, epochs)
            rows.append(row)
            console.print(json.dumps(row), highlight=False, soft_wrap=True)
            if out:
                Path(out).write_text(json.dumps(rows, indent=2) + "\n")
    show(console, rows, spreads)


if __name__ == "__main__":
    fire.Fire(main)
