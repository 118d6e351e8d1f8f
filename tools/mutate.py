"""Put faults into the code on purpose, one at a time, and see whether the tests notice.

    python tools/mutate.py [--only=TEXT] [--jobs=1] [--fixtures=FOLDER]

`mutations.yaml` holds the faults. For each the tests that should notice are run in a copy of the
checkout, to the first that fails; a fault that none notices survives. With --fixtures what the
tests' fixtures train is kept in a folder and taken from there for faults in what comes after
training (reports, serving, tools), which they cannot touch.

Ends with a table of the packages, the faults that survived, and status 1 where more than a tenth
did.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import NamedTuple

import fire
import yaml
from rich.console import Console
from rich.table import Table

REPOSITORY = Path(__file__).parents[1]
LONGEST = 900
"""Seconds after which a fault counts as noticed: what never ends fails too."""

ENOUGH = 0.9
AFTER_TRAINING = ("reports", "serving", "tools")


class Mutation(NamedTuple):
    """One fault: `old`, which stands in `file` once, becomes `new`; `tests` are asked."""

    file: str
    old: str
    new: str
    tests: str


def mutate(only="", jobs=1, fixtures=None):
    """Try the faults whose file or text holds `only`, in so many copies at a time."""
    chosen = [fault for fault in _read_mutations() if only in f"{fault.file} {fault.old}"]
    _refuse_stale(chosen)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        copies = Queue()
        for number in range(jobs):
            copies.put(_copy(Path(folder) / str(number)))
        with ThreadPoolExecutor(jobs) as pool:
            tried = list(pool.map(lambda mutation: _try(mutation, copies, fixtures), chosen))
    survived = [mutation for mutation, noticed in zip(chosen, tried, strict=True) if not noticed]
    _show(chosen, survived, time.monotonic() - started)
    return len(survived) > (1 - ENOUGH) * len(chosen)


def _read_mutations():
    by_file = yaml.safe_load((REPOSITORY / "tools" / "mutations.yaml").read_text())
    return [
        Mutation(file, fault["from"], fault["to"], fault["tests"])
        for file, faults in by_file.items()
        for fault in faults
    ]


def _refuse_stale(chosen):
    for mutation in chosen:
        found = (REPOSITORY / mutation.file).read_text().count(mutation.old)
        if found != 1:
            raise SystemExit(f"{mutation.file} holds {mutation.old!r} {found} times, not once.")


def _copy(folder):
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    for name in filter(None, tracked.stdout.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, folder / name)
    return folder


def _try(mutation, copies, fixtures):
    """Put a fault in, run its tests, take it out; gives the first test that noticed, or None."""
    copy = copies.get()
    file = copy / mutation.file
    whole = file.read_text()
    started = time.monotonic()
    try:
        file.write_text(whole.replace(mutation.old, mutation.new))
        noticed = _run_tests(mutation, copy, fixtures)
    finally:
        file.write_text(whole)
        copies.put(copy)
    print(
        f"{mutation.file}: {mutation.new!r} for {mutation.old!r}: "
        f"{f'noticed by {noticed}' if noticed else 'SURVIVED'} "
        f"({time.monotonic() - started:.0f} s)",
        flush=True,
    )
    return noticed


def _run_tests(mutation, copy, fixtures):
    environment = os.environ | {
        "PYTHONPATH": str(copy),
        # A fault that is as long as what it stands for may be put in within one second.
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    package = Path(mutation.file).parts[1]
    if fixtures and package in AFTER_TRAINING:
        environment["MODNET_KEEP_FIXTURES"] = str(Path(fixtures).resolve())
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider"]
    try:
        done = subprocess.run(
            [*command, "-rfE", *pytest_arguments(mutation.tests)],
            cwd=copy,
            env=environment,
            timeout=LONGEST,
            capture_output=True,
            text=True,
        )
    except subprocess.TimeoutExpired:
        return f"no end within {LONGEST} s"
    if done.returncode == 0:
        return None
    found = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    if not found:
        raise SystemExit(f"pytest could not run:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return found[1]


def pytest_arguments(names):
    """Arguments of pytest: a word is a test file's name without `test_`."""
    return [
        f"tests/{word if word.startswith('test_') else f'test_{word}.py'}"
        if not word.startswith("-")
        else word
        for word in names.split()
    ]


def _show(chosen, survived, seconds):
    table = Table("package", "faults", "noticed")
    packages = [Path(mutation.file).parent.name for mutation in chosen]
    for package in dict.fromkeys(packages):
        lost = sum(Path(mutation.file).parent.name == package for mutation in survived)
        table.add_row(package, str(packages.count(package)), str(packages.count(package) - lost))
    table.add_row("all", str(len(chosen)), str(len(chosen) - len(survived)))
    Console().print(table)
    for mutation in survived:
        print(f"survived: {mutation.file}: {mutation.new!r} for {mutation.old!r}")
    print(f"{len(chosen) - len(survived)} of {len(chosen)} noticed in {seconds:.0f} s")


if __name__ == "__main__":
    sys.exit(fire.Fire(mutate))
