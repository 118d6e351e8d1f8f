"""Run the property-based tests of what comes from outside, again and again with other examples.

    python tools/fuzz.py [--minutes=30] [--seed=0]

Specs, manifests, the files of a run, image headers and decoding, the server's requests, the command
line: each round is a run of those tests with another seed of Hypothesis. Ends at the first round
that fails, with what pytest said of it and the seed that repeats it.
"""

import subprocess
import sys
import time
from pathlib import Path

import fire

ROOT = Path(__file__).parents[1]
TESTS = (
    "test_task_spec.py",
    "test_manifest.py",
    "test_run.py",
    "test_image_check.py",
    "test_decode.py",
    "test_decode_guard.py",
    "test_request_body.py",
    "test_arguments.py",
    "test_synsets.py",
    "test_labels.py",
    "test_splits.py",
)


def fuzz(minutes=30, seed=0):
    """Run rounds for so many minutes; the exit status is that of the last one."""
    latest = time.monotonic() + 60 * minutes
    rounds = 0
    while time.monotonic() < latest:
        status, said = _round(seed + rounds)
        if status:
            sys.exit(f"{said}\nfailed with --hypothesis-seed={seed + rounds}")
        rounds += 1
        print(f"round {rounds}: {said.splitlines()[-1]}", flush=True)


def _round(seed):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["-m", "hypothesis", f"--hypothesis-seed={seed}"]
    files = [str(ROOT / "tests" / name) for name in TESTS]
    done = subprocess.run([*command, *files], cwd=ROOT, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


if __name__ == "__main__":
    fire.Fire(fuzz)
