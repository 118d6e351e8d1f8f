"""A share of the demo's pictures, drawn in a process of its own for `draw_demo`.

python -m modnet_keras.data.demo FOLDER IMAGES_PER_CLASS SEED FIRST STEP
"""

import os
import sys
from pathlib import Path

from modnet_keras.data.demo.pictures import DEMO_CLASSES, draw_picture


def draw_share(folder: str, images_per_class: str, seed: str, first: str, step: str) -> None:
    """Draw every `step`-th picture from the `first` on and write a byte for each."""
    jobs = [(wnid, index) for wnid in DEMO_CLASSES for index in range(int(images_per_class))]
    for wnid, index in jobs[int(first) :: int(step)]:
        image, quality = draw_picture(int(seed), wnid, index)
        path = Path(folder) / wnid / "images" / f"{wnid}_{index}.JPEG"
        image.save(path, "JPEG", quality=quality)
        os.write(sys.stdout.fileno(), b".")


if __name__ == "__main__":
    draw_share(*sys.argv[1:])
