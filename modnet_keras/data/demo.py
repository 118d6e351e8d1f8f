"""The demo data: photographs of nobody's camera, drawn by this package, so that all runs offline.

Some thirty classes stand in folders named by their WordNet ids. Places, light, clutter, sizes
and colours are shared by all classes, so that only shapes tell them apart.
"""

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

import numpy as np
from PIL import Image

from modnet_keras.data.demo_animals import SPECIES, draw_animal
from modnet_keras.data.demo_backgrounds import (
    paint_boulders,
    paint_clutter,
    paint_foreground,
    paint_place,
)
from modnet_keras.data.demo_canvas import Picture, finish
from modnet_keras.data.demo_scenes import SCENES
from modnet_keras.data.demo_things import THINGS
from modnet_keras.errors import WorkError
from modnet_keras.files import cache_folder

IMAGES_PER_CLASS = 70
SEED = 0

DEMO_CLASSES: dict[str, str] = {
    "n02099601": "golden retriever",
    "n02099712": "Labrador retriever",
    "n02106662": "German shepherd",
    "n02106030": "collie",
    "n02088364": "beagle",
    "n02110341": "dalmatian",
    "n02110185": "Siberian husky",
    "n02114367": "timber wolf",
    "n02114548": "white wolf",
    "n02119022": "red fox",
    "n02123045": "tabby cat",
    "n02123394": "Persian cat",
    "n02129165": "lion",
    "n02129604": "tiger",
    "n02128385": "leopard",
    "n02132136": "brown bear",
    "n02326432": "hare",
    "n02403003": "ox",
    "n02415577": "bighorn",
    "n02504458": "elephant",
    "n02395406": "hog",
    "n12267677": "acorn",
    "n11939491": "daisy",
    "n12057211": "yellow lady's slipper",
    "n12998815": "agaric",
    "n07734744": "mushroom",
    "n13054560": "bolete",
    "n13040303": "stinkhorn",
    "n09193705": "alp",
    "n09472597": "volcano",
    "n09246464": "cliff",
    "n09416076": "rock",
    "n02793495": "barn",
    "n03126707": "crane",
    "n03160309": "dam",
    "n04366367": "suspension bridge",
}
"""English name of each class by its WordNet id, which is its folder's name."""

_SOURCES = (
    "demo",
    "demo_animals",
    "demo_backgrounds",
    "demo_canvas",
    "demo_heads",
    "demo_scenes",
    "demo_things",
)


def demo_place() -> Path:
    """Where the demo data lie in the user's cache once they are drawn.

    The name changes with the code that draws them.
    """
    digest = hashlib.sha256(f"{IMAGES_PER_CLASS} {SEED}".encode())
    for name in _SOURCES:
        digest.update(Path(__file__).with_name(f"{name}.py").read_bytes())
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
    package = str(Path(__file__).parents[2])
    paths = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-m", "modnet_keras.data.demo", str(folder), str(images_per_class)]
    children = [
        subprocess.Popen(
            [*command, str(seed), str(first), str(workers)],
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
            child.kill()
            child.wait()
            child.stdout.close()
            child.stderr.close()


def _watch(children: list[subprocess.Popen], total: int, progress) -> None:
    """Count the pictures as the children report them, a byte each, until all have ended."""
    drawn = 0
    with selectors.DefaultSelector() as reports:
        for child in children:
            reports.register(child.stdout, selectors.EVENT_READ)
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
            last_line = child.stderr.read().decode(errors="replace").strip().splitlines()[-1:]
            raise WorkError(
                f"Drawing the demo data stopped after {drawn} of {total} pictures: "
                f"{''.join(last_line) or f'a drawing process ended with {child.returncode}'}."
            )


def draw_picture(seed: int, wnid: str, index: int) -> tuple[Image.Image, int]:
    """One picture of a class and the JPEG quality it is to be saved with."""
    rng = np.random.default_rng((seed, int(wnid[1:]), index))
    name = DEMO_CLASSES[wnid]
    picture = Picture(rng)
    # Animals stand before scenes as often as what they are told apart from shows scenes, or else
    # the background would give the answer away.
    if name in SCENES:
        _paint_scene(rng, picture, name)
        if rng.random() < 0.75:
            paint_boulders(rng, picture)
    elif rng.random() < (0.6 if name in SPECIES else 0.15):
        _paint_scene(rng, picture, str(rng.choice(list(SCENES))))
        if rng.random() < 0.5:
            picture.blur(rng.uniform(1.0, 2.5))
    else:
        paint_place(rng, picture)
    paint_clutter(rng, picture)
    if name in SPECIES:
        draw_animal(rng, picture, name)
    elif name in THINGS:
        THINGS[name](rng, picture)
    paint_foreground(rng, picture)
    return finish(rng, picture), int(rng.integers(70, 96))


def _paint_scene(rng, picture: Picture, name: str) -> None:
    """A scene, all of it or nearer."""
    SCENES[name](rng, picture)
    picture.zoom(rng, rng.uniform(0.45, 0.95))


def _draw_share(folder: str, images_per_class: str, seed: str, first: str, step: str) -> None:
    """Draw every `step`-th picture from the `first` on and write a byte for each."""
    jobs = [(wnid, index) for wnid in DEMO_CLASSES for index in range(int(images_per_class))]
    for wnid, index in jobs[int(first) :: int(step)]:
        image, quality = draw_picture(int(seed), wnid, index)
        path = Path(folder) / wnid / "images" / f"{wnid}_{index}.JPEG"
        image.save(path, "JPEG", quality=quality)
        os.write(sys.stdout.fileno(), b".")


if __name__ == "__main__":
    _draw_share(*sys.argv[1:])
