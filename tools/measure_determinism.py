"""Train the same thing in many ways and say which end in the same bits.

    python tools/measure_determinism.py [--task=animals] [--data=demo] [--epochs=3]

One process after another, each a whole training. A processor with fewer instructions is had by
oneDNN's own limit (ONEDNN_MAX_CPU_ISA), fewer cores by the scheduler's mask.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import fire
import numpy as np
from rich.console import Console
from rich.table import Table

WAYS = {
    "as it is": {},
    "again": {},
    "one core": {"cores": 1},
    "1 thread an operation": {"threads": 1},
    "3 threads an operation": {"threads": 3},
    "without AMX": {"environment": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16"}},
    # oneDNN has no bfloat16 there, and TensorFlow asks the processor, not oneDNN.
    "without AVX512": {"environment": {"ONEDNN_MAX_CPU_ISA": "AVX2"}, "precision": "float32"},
    "without oneDNN": {"environment": {"TF_ENABLE_ONEDNN_OPTS": "0"}},
}


def measure(task="animals", data="demo", epochs=3):
    """Train in all ways, in both precisions, and show the table."""
    table = Table("precision", "way", "same bits", "val_accuracy", "val_loss")
    console = Console()
    with tempfile.TemporaryDirectory() as folder, console.status("training"):
        for precision in ("float32", "bfloat16"):
            options = {"task": task, "data": str(data), "epochs": epochs, "precision": precision}
            expected = None
            for way, settings in WAYS.items():
                if settings.get("precision", precision) != precision:
                    continue
                runs = Path(folder) / precision / way
                weights, metrics = _train(options | {"runs": str(runs)}, settings)
                expected = weights if expected is None else expected
                same = all(map(np.array_equal, weights, expected))
                shown = (f"{metrics['accuracy']:.3f}", f"{metrics['loss']:.4f}")
                table.add_row(precision, way, "yes" if same else "no", *shown)
    console.print(table)


def _train(options, settings):
    environment = os.environ | settings.get("environment", {})
    call = [sys.executable, __file__, "one", json.dumps(options), json.dumps(settings)]
    done = subprocess.run(call, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{settings}: {done.stderr[-2000:]}")
    from modnet_keras import load_run

    (folder,) = Path(options["runs"]).glob(f"{options['task']}/*")
    run = load_run(folder)
    return run.model.get_weights(), run.metrics["val"]


def train_one(options, settings):
    """One training, in a process of its own."""
    options, settings = json.loads(options), json.loads(settings)
    if "cores" in settings:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: settings["cores"]])
    from modnet_keras import train
    from modnet_keras.training import devices

    devices.INTRA_OP_THREADS = settings.get("threads", devices.INTRA_OP_THREADS)
    train(**options)


if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        train_one(*sys.argv[2:])
    else:
        fire.Fire(measure)
