"""Run docs/quickstart.ipynb and keep what it shows in it, small: the site has it from there.

    python tools/run_notebook.py [docs/quickstart.ipynb]

Prints how long it took. It takes the extra `test`.
"""

import base64
import io
import resource
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

COLOURS = 96


def main(file="docs/quickstart.ipynb"):
    """Run the notebook in a process of its own, and write it back with its outputs."""
    notebook = nbformat.read(file, as_version=4)
    start = time.perf_counter()
    NotebookClient(notebook, timeout=1800, record_timing=False).execute()
    seconds = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = shown(cell.outputs)
            for output in cell.outputs:
                shrink(output.get("data", {}))
    # What the file says does not depend on whose Python ran it.
    notebook.metadata.language_info = {"name": "python"}
    nbformat.write(notebook, file)
    size = Path(file).stat().st_size // 1000
    print(f"{seconds:.0f} s, {used.ru_utime + used.ru_stime:.0f} s of processor time, {size} kB")


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
    main(*sys.argv[1:])
