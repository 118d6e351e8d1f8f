"""The maintainers' benchmark: its names, which way a ratio goes, and that sides take turns."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[1] / "tools"
NAMES = [
    "train_step.64.level1",
    "train_step.64.level3",
    "train_step.224.level1",
    "train_step.224.level3",
    "train_step_original.64.level1",
    "train_step_original.224.level1",
    "inference.64.level1",
    "inference.224.level3",
    "forget.64",
    "input.full_to_224",
    "input.full_to_64",
    "input.tiny_to_64",
    "input.decode_limit",
    "overlap.epoch",
    "frozen_step.64.level2",
    "whole_job.tiny_imagenet",
    "files.100000",
    "memory.224",
]


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    import benchmark

    return benchmark


def test_every_name_can_be_asked_for_and_another_is_refused(tmp_path):
    ended = subprocess.run(
        [sys.executable, TOOLS / "benchmark.py", "--only=overlap", f"--data={tmp_path}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    message = ended.stderr.strip().splitlines()[-1]
    assert "no such names: overlap" in message and all(name in message for name in NAMES)


@pytest.mark.parametrize(
    ("unit", "ours", "peer", "ratio"),
    [("images/s", 300, 200, 1.5), ("s", 2, 3, 1.5), ("MiB", 1000, 500, 0.5), ("s", None, 3, None)],
)
def test_a_ratio_over_one_says_that_ours_is_better(benchmark, unit, ours, peer, ratio):
    pair = benchmark.Pair("name", 1.0, None, None, "torch", unit)
    row = benchmark.make_row(pair, ours, peer)
    assert row["ratio"] == ratio
    assert list(json.loads(json.dumps(row))) == [
        "name", "ours", "peer", "peer_name", "unit", "ratio", "goal",
    ]  # fmt: skip


def test_two_of_our_own_sides_take_turns(benchmark):
    sides = [
        benchmark.Side(
            "ours", "inference", {"level": level, "size": 32, "batch": 4, "precision": "float32"}
        )
        for level in (1, 3)
    ]
    turns = benchmark.take_turns(*sides, rounds=2, seconds=0.1)
    assert len(turns.ours) == len(turns.peer) == 2 and min(turns.ours + turns.peer) > 0
