"""Pictures to try a model on before it is shipped."""

import io
from pathlib import Path

from modnet_keras.data.demo import DEMO_CLASSES, draw_picture
from modnet_keras.data.image_check import check_image
from modnet_keras.data.sources import find_source
from modnet_keras.errors import CallError, WorkError

PROBES = 32


def probe_pictures(tree):
    """The bytes of 32 pictures: of the root run's validation, or drawn ones where these are gone.

    Parameters
    ----------
    tree : Tree

    Returns
    -------
    list of bytes
    """
    try:
        found = _validation_pictures(tree.runs[0])
    except (CallError, WorkError, OSError):
        found = []
    return found + [_drawn(number) for number in range(PROBES - len(found))]


def _validation_pictures(run):
    # Asked first, for a manifest would draw the demo or fetch Tiny ImageNet anew.
    find_source(run.config["data"], prepare=False)
    paths = run.manifest().paths("val")
    spread = paths[:: max(1, len(paths) // PROBES)][:PROBES]
    return [Path(path).read_bytes() for path in spread if check_image(path) is None]


def _drawn(number):
    classes = sorted(DEMO_CLASSES)
    picture, quality = draw_picture(0, classes[number % len(classes)], number)
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=quality)
    return stream.getvalue()
