"""One picture of a class of the demo data: its place, what stands in it, and the camera."""

import numpy as np
from PIL import Image

from modnet_keras.data.demo.animals import draw_animal
from modnet_keras.data.demo.backgrounds import (
    paint_boulders,
    paint_clutter,
    paint_foreground,
    paint_place,
)
from modnet_keras.data.demo.canvas import Picture, finish
from modnet_keras.data.demo.scenes import SCENES
from modnet_keras.data.demo.species import SPECIES
from modnet_keras.data.demo.things import THINGS

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
