"""Places in which the things of the demo data stand, and what stands about: the same for all."""

from collections.abc import Sequence

import numpy as np

from modnet_keras.data.demo.canvas import (
    CANVAS,
    Picture,
    Points,
    colour,
    column_of,
    ink,
    noise,
    polygon,
    relief,
    row_of,
)
from modnet_keras.data.demo.solids import Solids, cast_shadow, lit, normals, ruffle, see

SKIES: tuple[tuple[str, str], ...] = (("6f9fd0", "c4d8e6"), ("8d9aa6", "cfd2d2"))
SKIES += (("b07a5c", "e8c79a"), ("4a5c78", "a49aa0"), ("a8b8c4", "e6e6e0"))
SKIES += (("3f74b0", "a8c8e4"), ("c8b49a", "e4d8c4"))
GRASS = ("6f8040", "55703a", "8f8a4a", "a3935a", "4a5a34")
EARTH = ("8a6a48", "6b5540", "a58660", "9a948a", "b5a180")
STONES = (*EARTH, "77726d", "a9a49b")
MASONRY = ("8a847c", "a09484", "77685a", "b0a490", "6a6a70")
COATS = ("2a2625", "ece6da", "77726d", "c2a06c", "dcc69c", "c08a45", "a85a2a", "7a5433", "4a3222")
GROUNDS = {
    "grass": GRASS,
    "earth": EARTH,
    "sand": ("d0b88a", "c0a074", "dccaa4"),
    "snow": ("e6e8ec", "d4dae2", "f0ece6"),
    "street": ("7a7a7a", "5f6064", "9a958c"),
    "water": ("5a7f96", "4a6a70", "7f9aa8"),
}


def paint_sky(rng: np.random.Generator, picture: Picture) -> None:
    """Sky from the upper edge down, clear or clouded."""
    above, below = SKIES[rng.integers(len(SKIES))]
    rows = slice(0, min(picture.horizon + 8, CANVAS))
    fade = np.clip(row_of[rows, :1] / max(picture.horizon, 30), 0, 1)[..., None]
    top, low = colour(rng, above), colour(rng, below)
    picture.pixels[rows] = top + fade * (low - top)
    if rng.random() < 0.6:
        clouds = np.clip(noise(rng, 3, 4, 0.5)[rows] * 0.5 - rng.uniform(-0.2, 0.4), 0, 0.85)
        picture.paint(clouds, colour(rng, "f0f0f0", "d0d0d4", "e8d4c4"), rows)


def paint_ground(rng: np.random.Generator, picture: Picture, kind: str | None = None) -> None:
    """Ground from the horizon down, its grain finer with distance."""
    # Only a scene that asks for it lies on water: what stands there would stand on the sea.
    kind = kind or str(rng.choice([name for name in GROUNDS if name != "water"]))
    near = colour(rng, *GROUNDS[kind])
    far = near + 0.25 * (colour(rng, "a8b0b4") - near)
    rows = slice(picture.horizon, CANVAS)
    depth = (row_of[rows, :1] - picture.horizon) / max(CANVAS - picture.horizon, 1)
    wide = {"water": 0.2, "grass": 2.5, "street": 0.4}.get(kind, 0.45)
    rough = {"grass": 0.13, "earth": 0.12, "water": 0.10, "snow": 0.035}.get(kind, 0.06)
    grain = noise(rng, 24, 3, wide)[rows] * rough + noise(rng, 5, 2, 0.4)[rows] * 0.06
    grain = 1 + grain * (0.3 + 0.7 * depth)
    picture.pixels[rows] = (far + depth[..., None] * (near - far)) * grain[..., None]


def paint_hills(rng: np.random.Generator, picture: Picture, *palette: str) -> None:
    """One or two ridges far away on the horizon."""
    for layer in range(rng.integers(1, 3)):
        line = (
            noise(rng, 3, 3)[0] * rng.uniform(3, 10)
            + picture.horizon
            - rng.uniform(4, 26) / (layer + 1)
        )
        tone = colour(rng, *(palette or ("7c8c98", "5f7058", "8a8468", "6a7480", "9a8a78")))
        mask = (row_of > line[None, :]) & (row_of < picture.horizon + 1)
        picture.paint(mask, tone * (1 + 0.07 * noise(rng, 12, 3))[..., None])


def _paint_forest(rng, picture: Picture) -> None:
    tone = colour(rng, "3f4f34", "5a5a3a", "7a6238", "4a4a40")
    wall = picture.horizon - rng.uniform(30, 110) + noise(rng, 10, 3)[0] * 9
    leaves = tone * (1 + 0.3 * noise(rng, 12, 3))[..., None]
    picture.paint((row_of > wall[None, :]) & (row_of < picture.horizon + 2), leaves)
    bark = colour(rng, "5a4838", "8a8074", "3f342a")

    def trunks(draw):
        for x in rng.uniform(0, CANVAS, rng.integers(2, 7)):
            width = rng.uniform(2, 11)
            foot = picture.horizon + width
            draw.polygon(
                [(x, 0), (x + width * 0.7, 0), (x + width, foot), (x - width * 0.3, foot)],
                fill=ink(bark),
            )
            draw.rectangle([x, 0, x + width * 0.25, foot], fill=ink(bark, 1.3))

    picture.draw(trunks)


def _paint_buildings(rng, picture: Picture) -> None:
    def houses(draw):
        x = -10.0
        while x < CANVAS:
            width, height = rng.uniform(25, 70), rng.uniform(30, 110)
            wall = colour(rng, "b09a84", "a06a54", "c8c0b0", "7a7f88", "d0bc94")
            top = picture.horizon - height
            draw.rectangle([x, top, x + width, picture.horizon], fill=ink(wall))
            for wx in np.arange(x + 5, x + width - 8, 13):
                for wy in np.arange(top + 7, picture.horizon - 12, 18):
                    draw.rectangle([wx, wy, wx + 6, wy + 9], fill=ink(wall, 0.45))
            x += width + rng.uniform(0, 8)

    picture.draw(houses)


def _paint_room(rng, picture: Picture) -> None:
    wall = colour(rng, "c8bca4", "a4aeb0", "8a6f5c", "d8d0c4", "6a7468", "b08a80")
    picture.pixels[:] = wall * (1 + 0.03 * noise(rng, 4, 2))[..., None]
    boards = colour(rng, "a07a50", "6a4a34", "b8a68c", "8a8580", "7a5a5a")
    field = boards * (1 + 0.08 * noise(rng, 16, 2, 0.2))[..., None]
    picture.paint(row_of >= picture.horizon, field)

    def furniture(draw):
        draw.rectangle([0, picture.horizon - 5, CANVAS, picture.horizon], fill=ink(wall, 1.15))
        for _ in range(rng.integers(1, 4)):
            x, width, height = rng.uniform(-20, CANVAS), rng.uniform(25, 90), rng.uniform(20, 120)
            tone = colour(rng, "7a5a3a", "a88a5c", "5a6a7a", "8a4a44", "d0c8b8", "4a4440")
            bottom = picture.horizon + rng.uniform(-60, 10)
            draw.rectangle(
                [x, bottom - height, x + width, bottom], fill=ink(tone), outline=ink(tone, 0.6)
            )
            draw.line(
                [x, bottom - height / 2, x + width, bottom - height / 2],
                fill=ink(tone, 0.6),
                width=2,
            )

    picture.draw(furniture)


def _paint_blur(rng, picture: Picture) -> None:
    """Leaves or light far out of focus."""
    first = colour(rng, *GRASS, *EARTH, "8a9aa8", "c8c4b4", "3a3a34", "d8dce0")
    second = colour(rng, *GRASS, *EARTH, "b4c4d0", "dcd0b4", "5a5048", "a8a4a0")
    mix = np.clip(0.5 + 0.4 * noise(rng, int(rng.choice([2, 3, 5])), 3), 0, 1)[..., None]
    picture.pixels[:] = first + mix * (second - first)

    def lights(draw):
        for _ in range(rng.integers(0, 9)):
            (x, y), r = rng.uniform(0, CANVAS, 2), rng.uniform(5, 16)
            shade = second * rng.uniform(0.9, 1.4)
            draw.ellipse([x - r, y - r, x + r, y + r], fill=ink(shade))

    picture.draw(lights)
    picture.blur(3)
    picture.horizon = int(rng.uniform(0.1, 0.6) * CANVAS)


def paint_place(rng: np.random.Generator, picture: Picture) -> None:
    """Any of the places, most often out of focus."""
    picture.horizon = int(rng.uniform(0.15, 0.72) * CANVAS)
    kind = rng.choice(
        ["open", "hills", "forest", "street", "room", "blur"],
        p=[0.17, 0.2, 0.17, 0.09, 0.15, 0.22],
    )
    if kind == "room":
        _paint_room(rng, picture)
    elif kind == "blur":
        _paint_blur(rng, picture)
    else:
        paint_sky(rng, picture)
        {"hills": paint_hills, "forest": _paint_forest, "street": _paint_buildings}.get(
            kind, lambda *_: None
        )(rng, picture)
        paint_ground(rng, picture, "street" if kind == "street" and rng.random() < 0.6 else None)
        if rng.random() < 0.35:
            _paint_bushes(rng, picture)
    if rng.random() < 0.8:
        picture.blur(rng.uniform(1.0, 4.0))


def paint_clutter(rng: np.random.Generator, picture: Picture) -> None:
    """By chance a fence or rocks behind what the picture shows."""
    if rng.random() < 0.15:
        _paint_fence(rng, picture)
    if rng.random() < 0.2:
        paint_rocks(rng, picture, int(rng.integers(1, 3)))


def _paint_bushes(rng, picture: Picture) -> None:
    tone = colour(rng, *GRASS, "3f4f34", "7a5a3a")
    for x in rng.uniform(0, CANVAS, rng.integers(1, 4)):
        wide = rng.uniform(15, 45)
        y = picture.horizon + rng.uniform(-0.3, 0.4) * wide
        edge = ((column_of - x) / wide) ** 2 + ((row_of - y) / (0.8 * wide)) ** 2
        leaves = tone * (1 + 0.25 * noise(rng, 24, 2))[..., None]
        picture.paint(edge + 0.3 * noise(rng, 16, 2) < 1, leaves)


def _paint_fence(rng, picture: Picture) -> None:
    wood = colour(rng, "8a7050", "d8d4c8", "5f5448", "9a9a98")
    bottom = picture.horizon + rng.uniform(0, 25)
    height, gap = rng.uniform(25, 60), rng.uniform(14, 40)

    def rails(draw):
        for share in (0.3, 0.75):
            y = bottom - height * share
            draw.rectangle([0, y - 3, CANVAS, y + 2], fill=ink(wood, 0.9))
        for x in np.arange(rng.uniform(0, gap), CANVAS, gap):
            draw.rectangle([x, bottom - height, x + 6, bottom], fill=ink(wood))
            draw.line([x + 6, bottom - height, x + 6, bottom], fill=ink(wood, 0.6))

    picture.draw(rails)


def paint_boulders(rng: np.random.Generator, picture: Picture) -> None:
    """Boulders as large as animals, of the colours of their coats, for scenes without animals."""
    paint_rocks(rng, picture, int(rng.integers(1, 4)), (26, 80), COATS)


def paint_rocks(
    rng: np.random.Generator,
    picture: Picture,
    count: int,
    size: tuple[float, float] = (8, 26),
    tones: Sequence[str] = STONES,
) -> None:
    """Rocks on the ground."""
    rocks = Solids()
    for _ in range(count):
        x, r = rng.uniform(0, CANVAS), rng.uniform(*size)
        y = CANVAS - rng.uniform(min(picture.horizon + r * 0.5, CANVAS - 8), CANVAS - 4)
        tone = colour(rng, *tones)
        rocks.ball((x, y + r * 0.3, 0), (r * rng.uniform(0.9, 1.6), r * 0.75, r), tone, smooth=0.1)
    surface = see(rocks)
    if surface is None:
        return
    surface, standing = ruffle(rng, surface, normals(surface), 2.5, 14)
    table = np.array([part.colour for part in rocks.parts], np.float32)
    lowest = np.flatnonzero(surface.mask.any(1))[-1] + surface.window[0].start
    cast_shadow(picture, surface, float(lowest), 0.3)
    rough = relief(rng, picture.light, 12)[surface.window][..., None]
    skin = table.take(surface.part, axis=0) * lit(standing, picture.light) * rough
    picture.paint(surface.mask, skin, surface.window)


def paint_foreground(rng: np.random.Generator, picture: Picture) -> None:
    """By chance grass, twigs or flowers before what the picture shows."""
    if rng.random() < 0.6:
        return
    tone = colour(rng, *GRASS, "9a8a5a", "5a4a38")
    blooms = rng.random() < 0.25
    petal = colour(rng, "e8e4dc", "d8b83a", "b05a7a", "7a6ab0")

    def blades(draw):
        for _ in range(rng.integers(10, 60)):
            x, height = rng.uniform(-5, CANVAS + 5), rng.uniform(6, 34)
            foot = CANVAS + rng.uniform(-8, 6)
            lean = rng.normal(0, 6)
            shade = rng.uniform(0.6, 1.35)
            draw.polygon(
                [(x - 1.5, foot), (x + 1.5, foot), (x + lean, foot - height)], fill=ink(tone, shade)
            )
            if blooms and rng.random() < 0.2:
                r, y = rng.uniform(2, 4), foot - height
                draw.ellipse([x + lean - r, y - r, x + lean + r, y + r], fill=ink(petal, shade))

    picture.draw(blades)


def paint_rough(
    rng: np.random.Generator,
    picture: Picture,
    points: Points,
    tone: np.ndarray,
    cells: int = 8,
    stretch: float = 1.0,
) -> np.ndarray:
    """Fill a polygon with rough, lit rock or earth; its mask."""
    mask = polygon(points)
    surface = relief(rng, picture.light, cells, 4, stretch) * (1 + 0.06 * noise(rng, 4, 3))
    picture.paint(mask, np.clip(tone * surface[..., None], 0, 1))
    return mask
