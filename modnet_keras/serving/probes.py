"""Pictures to try a model on before it is shipped."""

import io
from pathlib import Path

import tensorflow as tf

from modnet_keras.data.decode_rows import decode_rows
from modnet_keras.data.demo import DEMO_CLASSES, draw_picture
from modnet_keras.data.image_check import check_image
from modnet_keras.data.sources import find_source
from modnet_keras.errors import CallError, WorkError
from modnet_keras.serving.tree import Tree

PROBES = 32


def probe_pictures(tree: Tree) -> tuple[list[bytes], tf.Tensor]:
    """32 pictures: of the root run's validation, or drawn ones where these are gone or unusable.

    Parameters
    ----------
    tree : Tree

    Returns
    -------
    contents : list of bytes
        Image files.
    pictures : float32 [32, size, size, 3]
        The same as the tree's networks take them, in 0..255.
    """
    try:
        contents = _validation_pictures(tree.runs[0])
    except (CallError, WorkError, OSError):
        contents = []
    while True:
        contents += [_drawn(number) for number in range(PROBES - len(contents))]
        pictures, valid = decode_rows(contents, tree.image_size)
        if valid.numpy().all():
            return contents, pictures
        # The guard of a served model is stricter than the check of files in a few things.
        contents = [one for one, is_valid in zip(contents, valid.numpy(), strict=True) if is_valid]


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
