"""Run docs/quickstart.ipynb and keep what it shows in it, small: the site has it from there.

    python tools/run_notebook.py [--check]

With --check nothing is kept: CI sees whether it runs and shows what it says. Prints how long it
took. It takes the extra `docs`.
"""

import base64
import io
import re
import resource
import time
from pathlib import Path

import fire
import nbformat
from nbclient import NotebookClient
from PIL import Image

NOTEBOOK = Path(__file__).parents[1] / "docs" / "quickstart.ipynb"
COLOURS = 96
PICTURES = 5
SHOWN = (
    *(rf"^{run} .*'accuracy': 0\.\d" for run in ("animals scratch", "canines frozen")),
    r"^canines finetune .*'accuracy': 0\.\d",
    # What is said of freezing holds whatever the processor.
    r"^frozen .* forgetting \+0\.000 \(\+0\.000 to \+0\.000\)$",
    r"^finetune .* forgetting [+-]\d\.\d{3}",
    r"^valid \[True, False\]$",
)
"""Patterns of lines that it prints."""


def main(check=False):
    """Run the notebook in a process of its own; write it back with its outputs, or check them."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    start = time.perf_counter()
    NotebookClient(notebook, timeout=1800, record_timing=False).execute()
    seconds = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{seconds:.0f} s, {used.ru_utime + used.ru_stime:.0f} s of processor time")
    if check:
        _check(notebook)
        return
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = shown(cell.outputs)
            for output in cell.outputs:
                shrink(output.get("data", {}))
    # What the file says does not depend on whose Python ran it.
    notebook.metadata.language_info = {"name": "python"}
    nbformat.write(notebook, NOTEBOOK)
    print(f"{NOTEBOOK.stat().st_size // 1000} kB")


def _check(notebook):
    """Hold the outputs to what the notebook's text says of them."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    texts = "".join(output.get("text", "") for output in outputs)
    missing = [pattern for pattern in SHOWN if not re.search(pattern, texts, re.MULTILINE)]
    pictures = sum("image/png" in output.get("data", {}) for output in outputs)
    if missing or pictures != PICTURES:
        raise SystemExit(f"the notebook shows {pictures} pictures, and nothing like {missing}")


def shown(outputs):
    """The outputs without TensorFlow's remarks, what is printed in a row as one."""
    kept = []
    for output in outputs:
        if output.get("name") == "stderr":
            continue
        if kept and "text" in output and "text" in kept[-1]:
            kept[-1].text += output.text
        else:
            kept.append(output)
    return kept


def shrink(data):
    """Keep the picture of an output alone, with few colours."""
    if "image/png" in data:
        picture = Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).convert("RGB")
        small = io.BytesIO()
        picture.quantize(COLOURS).save(small, "PNG", optimize=True)
        data["image/png"] = base64.b64encode(small.getvalue()).decode()
        data.pop("image/jpeg", None)


if __name__ == "__main__":
    fire.Fire(main)
