"""The folder of the demo data, drawn by child processes the first time it is asked for."""

import contextlib
import hashlib
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from modnet_keras.data.demo.pictures import DEMO_CLASSES
from modnet_keras.errors import WorkError
from modnet_keras.files import cache_folder

IMAGES_PER_CLASS = 70
SEED = 0


def demo_place() -> Path:
    """Where the demo data lie in the user's cache once they are drawn.

    The name changes with the code that draws them.
    """
    digest = hashlib.sha256(f"{IMAGES_PER_CLASS} {SEED}".encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return cache_folder() / f"demo-{digest.hexdigest()[:12]}"


def demo_folder(progress: Callable[[int, int], None] | None = None) -> Path:
    """Folder of the demo data, drawn now if it is not there yet: whole or not at all."""
    folder = demo_place()
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".demo-"))
    except OSError as error:
        raise WorkError(
            f"The cache folder {folder.parent} cannot be written ({error.strerror}); "
            "make it writable or set XDG_CACHE_HOME to a folder that is."
        ) from error
    try:
        draw_demo(unfinished, IMAGES_PER_CLASS, SEED, progress)
        unfinished.chmod(0o755)
        # Another process may have been first: its pictures are the same to the bit.
        with contextlib.suppress(OSError):
            unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def draw_demo(
    folder: Path,
    images_per_class: int = IMAGES_PER_CLASS,
    seed: int = SEED,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Draw the demo data as `<folder>/<wnid>/images/<wnid>_<i>.JPEG`.

    Parameters
    ----------
    folder
        Where the class folders go; made if absent.
    images_per_class
        Pictures of each class in `DEMO_CLASSES`.
    seed
        Same seed, same pictures, whatever the number of processor cores.
    progress
        Called with the pictures drawn so far and all of them.

    Raises
    ------
    WorkError
        Where the pictures cannot be written.
    """
    folder = Path(folder)
    total = len(DEMO_CLASSES) * images_per_class
    try:
        for wnid in DEMO_CLASSES:
            (folder / wnid / "images").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorkError(
            f"The demo data cannot be drawn into {folder} ({error.strerror}); "
            "give a folder that can be written."
        ) from error
    workers = max(1, min(os.cpu_count() or 1, total // 20))
    # Plain child processes, for multiprocessing would either fork TensorFlow's threads or run the
    # caller's main module again.
    package = str(Path(__file__).parents[3])
    paths = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-m", "modnet_keras.data.demo", str(folder)]
    children = [
        subprocess.Popen(
            [*command, *map(str, (images_per_class, seed, first, workers))],
            env=os.environ | {"PYTHONPATH": paths},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for first in range(workers)
    ]
    try:
        _watch(children, total, progress)
    finally:
        for child in children:
            # At the end of which its pipes are closed and it has ended.
            with child:
                child.kill()


def _watch(children: list[subprocess.Popen], total: int, progress) -> None:
    """Count the pictures as the children report them, a byte each, until all have ended."""
    drawn = 0
    with selectors.DefaultSelector() as reports:
        for pipe in filter(None, [child.stdout for child in children]):
            reports.register(pipe, selectors.EVENT_READ)
        while reports.get_map():
            for key, _ in reports.select():
                count = len(os.read(key.fd, 4096))
                if not count:
                    reports.unregister(key.fileobj)
                drawn += count
                if count and progress is not None:
                    progress(drawn, total)
    for child in children:
        if child.wait():
            _, said = child.communicate()
            last_line = said.decode(errors="replace").strip().splitlines()[-1:]
            raise WorkError(
                f"Drawing the demo data stopped after {drawn} of {total} pictures: "
                f"{''.join(last_line) or f'a drawing process ended with {child.returncode}'}."
            )
