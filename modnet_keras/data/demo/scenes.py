"""Whole places of the demo data: mountains and cliffs, and those with constructions."""

import numpy as np

from modnet_keras.data.demo.backgrounds import (
    EARTH,
    GRASS,
    MASONRY,
    paint_ground,
    paint_hills,
    paint_rough,
    paint_sky,
)
from modnet_keras.data.demo.canvas import CANVAS, Picture, colour, column_of, noise, polygon, row_of
from modnet_keras.data.demo.constructions import draw_barn, draw_bridge, draw_crane, draw_dam


def _mountain(rng, picture: Picture, apex, base: float, slope: float, tone, snow: float) -> None:
    """One peak with a lit and a shadowed side, and snow down to a share of its height."""
    x, y = apex
    rough = noise(rng, 5, 4)[int(rng.integers(CANVAS))]
    distance = np.abs(column_of[0] - x)
    line = y + slope * distance + rough * np.minimum(distance * 0.10, 7)
    mask = (row_of > line[None, :]) & (row_of < base)
    wiggle = noise(rng, 5, 4)
    right = np.clip(
        (column_of - x - wiggle * 9 - (row_of - y) * rng.uniform(-0.25, 0.25)) / 5, -1, 1
    )
    folds = np.sin((column_of + wiggle * 14) * rng.uniform(0.15, 0.3) + right * (row_of - y) * 0.05)
    bright = 0.85 + 0.22 * right * np.sign(picture.light.direction[0]) + 0.12 * folds
    bright = bright * (1 + 0.09 * noise(rng, 16, 3))
    height = (row_of - y) / max(base - y, 1)
    cover = np.clip((snow - height - 0.12 * noise(rng, 10, 3) - 0.12 * folds) * 9, 0, 1)[..., None]
    rock = tone + cover * (np.array([0.92, 0.94, 0.98]) - tone)
    picture.paint(mask, np.clip(rock * bright[..., None], 0, 1))


def draw_alp(rng: np.random.Generator, picture: Picture) -> None:
    """High mountains above a valley."""
    picture.horizon = int(rng.uniform(0.55, 0.95) * CANVAS)
    paint_sky(rng, picture)
    tone, snow = colour(rng, *MASONRY), rng.uniform(-0.1, 0.9)
    for _ in range(rng.integers(2, 5)):
        apex = rng.uniform(-0.1, 1.1) * CANVAS, picture.horizon * rng.uniform(0.1, 0.65)
        haze = tone + 0.3 * (np.array([0.7, 0.75, 0.82]) - tone) * rng.random()
        _mountain(rng, picture, apex, picture.horizon + 1, rng.uniform(0.6, 1.5), haze, snow)
    if rng.random() < 0.6:
        paint_hills(rng, picture, *GRASS, "3f4f34")
    paint_ground(rng, picture)


def draw_volcano(rng: np.random.Generator, picture: Picture) -> None:
    """A single cone with a crater, by chance smoking or glowing."""
    picture.horizon = int(rng.uniform(0.6, 0.95) * CANVAS)
    paint_sky(rng, picture)
    x, top = CANVAS * rng.uniform(0.25, 0.75), picture.horizon * rng.uniform(0.25, 0.6)
    mouth, tone = rng.uniform(7, 20), colour(rng, *EARTH, "5a4a44", "77726d", "6a5f50")
    if rng.random() < 0.65:
        rise = np.clip(top + 6 - row_of, 0, None)
        drift = x + rng.normal(0, 0.5) * rise + noise(rng, 4, 3) * (3 + 0.12 * rise)
        plume = np.exp(-(((column_of - drift) / (mouth * 0.8 + 0.33 * rise)) ** 2) * 2) * (
            row_of < top + 6
        )
        smoke = colour(rng, "d8d4d0", "8a8480", "a89484", "5f5a58")
        picture.paint(
            np.clip(plume * 1.4, 0, 0.95),
            np.clip(smoke * (1 + 0.2 * noise(rng, 9, 4))[..., None], 0, 1),
        )
    distance = np.maximum(np.abs(column_of[0] - x) - mouth, 0)
    flank = top + (picture.horizon - top) * (1 - np.exp(-distance / rng.uniform(35, 75))) * 1.12
    flank = (
        flank
        + noise(rng, 8, 3)[0] * 1.5
        + (distance <= 0) * 3 * np.cos((column_of[0] - x) / mouth * 1.5)
    )
    mask = (row_of > flank[None, :]) & (row_of < picture.horizon + 1)
    fan = (column_of - x) / (row_of - top + 25)
    gullies = np.sin(fan * 26 + noise(rng, 6, 3) * 0.8) * 0.14
    side = np.clip(fan * 1.5, -1, 1) * np.sign(picture.light.direction[0]) * 0.22
    cover = np.clip(
        (rng.uniform(-0.2, 0.4) - (row_of - top) / (picture.horizon - top) + gullies) * 8, 0, 1
    )
    rock = tone + cover[..., None] * (np.array([0.92, 0.93, 0.96]) - tone)
    picture.paint(
        mask, np.clip(rock * (0.85 + gullies + side + 0.06 * noise(rng, 20, 3))[..., None], 0, 1)
    )
    if rng.random() < 0.3:
        stream = (
            np.abs(column_of - x - noise(rng, 6, 2) * 3 - fan * 8 + 4) < 1.5 + (row_of - top) * 0.03
        )
        picture.paint(stream & mask, colour(rng, "e0702a", "d04a20"))
    paint_ground(rng, picture)


def draw_cliff(rng: np.random.Generator, picture: Picture) -> None:
    """A rock face that falls steeply from a grown edge."""
    picture.horizon = int(rng.uniform(0.4, 0.85) * CANVAS)
    paint_sky(rng, picture)
    paint_ground(rng, picture)
    tone = colour(rng, *MASONRY, "c8a880", "d8d0c0", "9a5f44")
    edge, foot = CANVAS * rng.uniform(0.35, 1.1), CANVAS * rng.uniform(0.75, 1.0)
    top = CANVAS * rng.uniform(0.08, 0.4)
    xs = np.linspace(-5, edge, 9)
    crest = [(x, top + rng.normal(0, 4) + 0.12 * (x - edge)) for x in xs]
    face = [
        (edge + rng.normal(0, 6) + 10 * t, top + (foot - top) * t) for t in np.linspace(0.1, 1, 7)
    ]
    points = [*crest, *face, (-5, foot + rng.uniform(0, 15))]
    strata = rng.random() < 0.5
    mask = paint_rough(rng, picture, points, tone, 9, 0.3 if strata else 2.5)
    wave = (row_of + noise(rng, 4, 3) * 5) if strata else (column_of + noise(rng, 4, 3) * 9)
    lines = 1 + 0.10 * np.sin(wave * rng.uniform(0.2, 0.5)) + 0.05 * np.sin(wave * 0.9)
    picture.pixels *= np.where(mask[..., None] > 0, lines[..., None], 1)
    turf = colour(rng, *GRASS)
    shift = [(x, y + rng.uniform(4, 12)) for x, y in crest[::-1]]
    picture.paint(polygon([*crest, *shift]), turf * (1 + 0.12 * noise(rng, 30, 2))[..., None])
    if rng.random() < 0.5:
        picture.pixels = np.ascontiguousarray(picture.pixels[:, ::-1])


SCENES = {
    "alp": draw_alp,
    "volcano": draw_volcano,
    "cliff": draw_cliff,
    "barn": draw_barn,
    "crane": draw_crane,
    "dam": draw_dam,
    "suspension bridge": draw_bridge,
}
"""Whole places, sky and ground included; they also lie behind animals."""
