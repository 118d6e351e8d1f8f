"""Small trainings as commands, and what tests of trainings look at."""

import json

import numpy as np
from conftest import SMALL

from modnet_keras import load_run

SMALL_OPTIONS = [f"--{key}={value}" for key, value in SMALL.items()]

ESTIMATED_STRATEGIES = ("finetune", "frozen")


def estimate_options(demo, runs, **others):
    """Of the estimate that the fixture `estimated` has made, to go on with it."""
    given = {"strategies": ESTIMATED_STRATEGIES, "folds": 2, "resume": True}
    return SMALL | given | {"data": demo, "runs": runs} | others


def weights(run):
    return {v.path: np.asarray(v) for v in load_run(run).model.variables}


def listing(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def without_seconds(run):
    return [row | {"seconds": 0} for row in run.history]


def refused(command, status, *words, options):
    found, out, err = command(*options)
    assert found == status, err
    assert err.count("\n") == 1 and "Traceback" not in err
    for word in words:
        assert word in err
    return err


def change_config(folder, **changes):
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
