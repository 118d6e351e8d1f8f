"""Small things of the demo data: flora, fungi and rocks, drawn into a place."""

import numpy as np

from modnet_keras.data.demo.backgrounds import COATS, STONES, paint_rocks
from modnet_keras.data.demo.canvas import CANVAS, Picture, colour, ink, noise
from modnet_keras.data.demo.solids import Solids, cast_shadow, lit, normals, see


def paint_solids(
    rng: np.random.Generator,
    picture: Picture,
    solids: Solids,
    *,
    ground: float | None = None,
    rough: float = 0.06,
    grain: int = 20,
) -> None:
    """Render solids in pixels with a slightly uneven skin."""
    surface = see(solids)
    if surface is None:
        return
    if ground is not None:
        cast_shadow(picture, surface, ground, rng.uniform(0.3, 0.6))
    table = np.array([part.colour for part in solids.parts], np.float32)
    skin = (
        table.take(surface.part, axis=0)
        * (1 + rough * noise(rng, grain, 2)[surface.window])[..., None]
    )
    picture.paint(surface.mask, skin * lit(normals(surface), picture.light), surface.window)


def _spot(rng, picture: Picture, size: float) -> tuple[float, float]:
    """Where a thing of this size stands: x and the height of its foot above the lower edge."""
    reach = max(CANVAS * 0.96 - size, 1)
    x = CANVAS / 2 + rng.uniform(-0.5, 0.5) * max(CANVAS - size, 20)
    highest = min(reach, CANVAS - picture.horizon - 8)
    return x, CANVAS * 0.03 + rng.uniform(0, 1) * max(highest, 1)


def draw_mushrooms(rng: np.random.Generator, picture: Picture, kind: str) -> None:
    """One mushroom or a group: an agaric, or the rounder ones one eats."""
    size = rng.uniform(0.5, 0.95) * CANVAS
    x, foot = _spot(rng, picture, size)
    caps = {
        "agaric": ("b03a2a", "8a5a38", "d0b070", "a8a098", "c87a3a", "e0d8c8", "5a4438"),
        "bolete": ("8a5a34", "6a4028", "b07a44", "a0522d", "4a3020", "c8a870"),
        "mushroom": ("d8ccb8", "a8845c", "7a5a40", "c0a884", "8a847c", "5f4a3a"),
    }[kind]
    tone, stem, gills = (
        colour(rng, *caps),
        colour(rng, "dcd0b8", "c4b090", "a89078"),
        colour(rng, "c0a88c", "8a6a50"),
    )
    solids = Solids()
    count = 1 if rng.random() < 0.5 else int(rng.integers(2, 5))
    for i in range(count):
        height = size * (1 if i == 0 else rng.uniform(0.4, 0.75))
        place = (
            x + (0 if i == 0 else rng.uniform(-0.45, 0.45) * size),
            foot + rng.uniform(-4, 4),
            -20.0 * i,
        )
        _one_mushroom(rng, solids, kind, place, height, tone, stem, gills)
    paint_solids(rng, picture, solids, ground=CANVAS - foot)


def _one_mushroom(rng, solids: Solids, kind: str, place, height: float, tone, stem, gills) -> None:
    x, y, z = place
    lean = rng.normal(0, 0.10) * height
    agaric = kind == "agaric"
    wide = height * (rng.uniform(0.34, 0.5) if agaric else rng.uniform(0.3, 0.42))
    thick = wide * (rng.uniform(0.16, 0.25) if agaric else rng.uniform(0.3, 0.48))
    thick *= 1.3 if kind == "bolete" else 1
    dome = wide * (rng.uniform(0.25, 0.75) if agaric else rng.uniform(0.6, 0.95))
    neck = np.array([x + lean, y + height - dome * 1.0, z])
    solids.chain(
        [(x, y + thick, z), (x + lean * 0.4, y + 0.45 * height, z), neck],
        [thick * 1.25, thick, thick * 0.85],
        stem,
    )
    turn = _mushroom_cap(rng, solids, neck, wide, dome, tone, gills)
    solids.cone(
        (x, y + thick, z + wide * 0.6),
        neck + [0, -dome * 0.7, wide * 0.7],
        thick * 0.9,
        thick * 0.8,
        stem,
        smooth=0,
    )
    if agaric:
        ring = neck + [0, -0.22 * height, wide * 0.65]
        solids.ball(ring, (thick * 1.5, thick * 0.45, thick), stem * 0.9, smooth=0.1)
        if rng.random() < 0.6:
            _mushroom_warts(rng, solids, neck, wide, dome, turn)


def _mushroom_cap(rng, solids: Solids, neck, wide: float, dome: float, tone, gills) -> np.ndarray:
    """A cap with its gills, seen from below or from above; how it is turned."""
    seen_below = rng.random() < 0.5
    roll = rng.normal(0, 0.15)
    turn = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    solids.ball(neck, (wide, dome, wide), tone, turn=turn, smooth=0.0)
    below = neck + [
        0,
        -dome * (0.55 if seen_below else 0.75),
        wide * (0.25 if seen_below else -0.1),
    ]
    solids.ball(
        below,
        (wide * 0.93, dome * (0.55 if seen_below else 0.3), wide * 0.85),
        gills,
        turn=turn,
        smooth=0,
    )
    return turn


def _mushroom_warts(rng, solids: Solids, neck, wide: float, dome: float, turn) -> None:
    """Pale flakes on the cap."""
    for _ in range(rng.integers(8, 22)):
        angle, out = rng.uniform(0, 2 * np.pi), np.sqrt(rng.random()) * 0.85
        dx, dz = out * np.cos(angle), abs(out * np.sin(angle))
        at = neck + turn @ [dx * wide, np.sqrt(1 - out * out) * dome, dz * wide]
        solids.ball(at, wide * rng.uniform(0.05, 0.1), colour(rng, "e8e0d0"), smooth=0.1)


def draw_stinkhorn(rng: np.random.Generator, picture: Picture) -> None:
    """A stinkhorn: a porous column out of an egg, with a dark, slimy bell on top."""
    height = rng.uniform(0.55, 0.95) * CANVAS
    x, foot = _spot(rng, picture, height)
    stem = colour(rng, "e0d4bc", "d89a80", "c86a4a", "c8bca8", "b89a70")
    slime, egg = (
        colour(rng, "4a4a30", "3a3028", "6a5a3a", "7a6a50"),
        colour(rng, "d8c8b0", "b09a84", "9a7a80"),
    )
    solids = Solids()
    for i in range(1 if rng.random() < 0.6 else 2):
        tall = height * (1 if i == 0 else rng.uniform(0.5, 0.8))
        base = np.array([x + i * rng.choice([-1, 1]) * 0.3 * height, foot, -10.0 * i])
        thick = tall * rng.uniform(0.07, 0.11)
        tip = base + [rng.normal(0, 0.12) * tall, tall * 0.92, 0]
        bend = (base + tip) / 2 + [rng.normal(0, 0.07) * tall, 0, 0]
        solids.chain([base + [0, thick, 0], bend, tip], [thick * 1.1, thick, thick * 0.8], stem)
        solids.ball(
            base + [0, thick * 1.1, 3], (thick * 2.1, thick * 1.7, thick * 1.8), egg, smooth=0.1
        )
        run = (tip - bend) / np.linalg.norm(tip - bend)
        solids.cone(tip - run * tall * 0.24, tip, thick * 1.75, thick * 0.75, slime, smooth=0.05)
        if rng.random() < 0.35:
            net = stem * 0.9
            for side in np.linspace(-1, 1, 7):
                low = tip - run * tall * 0.5 + [side * thick * 3.2, 0, thick * 1.5]
                solids.cone(
                    tip - run * tall * 0.22 + [side * thick, 0, thick], low, 1.3, 1.3, net, smooth=0
                )
    paint_solids(rng, picture, solids, ground=CANVAS - foot, rough=0.13, grain=34)


def draw_rocks(rng: np.random.Generator, picture: Picture) -> None:
    """Boulders near by."""
    count = int(rng.integers(1, 4))
    paint_rocks(rng, picture, count, (0.22 * CANVAS, 0.45 * CANVAS), STONES + COATS)


def draw_acorns(rng: np.random.Generator, picture: Picture) -> None:
    """Acorns with their cups among oak leaves."""
    size = rng.uniform(0.3, 0.62) * CANVAS
    x, y = CANVAS * rng.uniform(0.3, 0.7), CANVAS * rng.uniform(0.3, 0.7)
    leaf = colour(rng, "5a7038", "8a6a38", "7a4a2a", "a08a48", "4a5a34")

    def leaves(draw):
        for _ in range(rng.integers(2, 6)):
            angle, length = rng.uniform(0, 2 * np.pi), size * rng.uniform(0.8, 1.5)
            start = np.array([x, y]) + rng.normal(0, 0.15, 2) * size
            _oak_leaf(draw, start, angle, length, leaf * rng.uniform(0.75, 1.2))
        twig = [(x, y), (x + rng.normal(0, size), -10)]
        draw.line(twig, fill=ink(leaf, 0.5), width=int(size * 0.06) + 1)

    picture.draw(leaves)
    nut, cup = (
        colour(rng, "8a9a48", "a87a40", "7a4a24", "c0a060", "5f3a22"),
        colour(rng, "8a7458", "6a5a48", "a09078"),
    )
    solids = Solids()
    for i in range(rng.integers(1, 4)):
        angle = rng.uniform(0, 2 * np.pi) if rng.random() < 0.4 else rng.normal(-np.pi / 2, 0.4)
        down = np.array([np.cos(angle), np.sin(angle), rng.uniform(-0.2, 0.5)])
        down /= np.linalg.norm(down)
        centre = np.array([x, CANVAS - y, 12.0 * i]) + [
            rng.normal(0, 0.3) * size * (i > 0),
            rng.normal(0, 0.3) * size * (i > 0),
            0,
        ]
        _acorn(
            rng,
            solids,
            centre,
            down,
            size * rng.uniform(0.26, 0.34),
            nut * rng.uniform(0.85, 1.1),
            cup,
        )
    paint_solids(rng, picture, solids, rough=0.04)


def _acorn(rng, solids: Solids, centre, down, r: float, nut, cup) -> None:
    side = np.cross(down, [0.3, 0.2, 0.9])
    side /= np.linalg.norm(side)
    axes = np.stack([down, side, np.cross(down, side)], axis=1)
    solids.ball(centre, (r * 1.35, r * 0.95, r * 0.95), nut, turn=axes, smooth=0.05)
    solids.cone(
        centre + down * r * 1.2, centre + down * r * 1.6, r * 0.22, r * 0.06, nut * 0.7, smooth=0.3
    )
    solids.ball(centre - down * r * 0.75, (r * 0.8, r * 1.12, r * 1.12), cup, turn=axes, smooth=0)
    for ring in np.linspace(-0.35, 1.2, 6):
        for step in np.linspace(0, 2 * np.pi, 13) + ring * 3:
            out = np.cos(step) * axes[:, 1] + np.sin(step) * axes[:, 2]
            if out[2] < -0.1:
                continue
            wide = r * 1.12 * np.sqrt(max(0.0, 1 - ((ring - 0.35) / 0.95) ** 2))
            at = centre - down * r * (0.4 + ring * 0.75) + out * wide
            solids.ball(at, r * 0.15, cup * rng.uniform(0.75, 1.15), smooth=0.05)
    solids.cone(centre - down * r * 1.5, centre - down * r * 2.1, r * 0.13, r * 0.1, cup * 0.7)


def _oak_leaf(draw, start, angle: float, length: float, tone) -> None:
    """A lobed leaf with its midrib."""
    forward = np.array([np.cos(angle), np.sin(angle)])
    aside = np.array([-forward[1], forward[0]])
    t = np.linspace(0, 1, 25)
    width = length * 0.27 * np.sin(np.pi * t**0.8) * (0.72 + 0.33 * np.sin(t * 26))
    spine = start + t[:, None] * forward * length
    outline = np.concatenate(
        [spine + width[:, None] * aside, (spine - width[:, None] * aside)[::-1]]
    )
    draw.polygon([tuple(p) for p in outline], fill=ink(tone))
    half = np.concatenate([spine, (spine - width[:, None] * aside)[::-1]])
    draw.polygon([tuple(p) for p in half], fill=ink(tone, 0.85))
    draw.line([tuple(spine[0]), tuple(spine[-1])], fill=ink(tone, 1.3), width=1)


def draw_daisies(rng: np.random.Generator, picture: Picture) -> None:
    """Daisies on their stems, seen from the side to from above."""
    petal = colour(rng, "ece8e0", "e0c04a", "c8708a", "8a7ab8", "d89a50", "e8d8d8")
    disc, stalk = (
        colour(rng, "d8a830", "8a5a30", "5a4030", "c89a50"),
        colour(rng, "6a7a3a", "4a5f34", "8a8450"),
    )
    for _ in range(rng.integers(1, 5)):
        r = rng.uniform(0.14, 0.44) * CANVAS
        x, y = rng.uniform(0.15, 0.85, 2) * CANVAS * [1, 0.85]
        tilt, spin, count = rng.uniform(0.35, 1.0), rng.uniform(0, 1), int(rng.integers(11, 22))
        lean, foot = rng.normal(0, 0.15), rng.normal(0, 20)

        def flower(draw, r=r, x=x, y=y, tilt=tilt, spin=spin, count=count, lean=lean, foot=foot):
            draw.line(
                [(x, y), (x + foot, CANVAS + 5)], fill=ink(stalk), width=max(2, int(r * 0.12))
            )
            for ring, reach in ((0.5, 1.0), (0.0, 0.95)):
                for i in range(count):
                    angle = 2 * np.pi * (i + spin + ring) / count
                    t = np.linspace(0, 2 * np.pi, 14)
                    u = r * reach * (0.6 + 0.42 * np.cos(t))
                    v = r * 0.13 * 14 / count * np.sin(t)
                    px = u * np.cos(angle) - v * np.sin(angle)
                    py = (u * np.sin(angle) + v * np.cos(angle)) * tilt + px * lean
                    shade = 0.82 + 0.2 * np.sin(angle + x) * 0.6 + 0.1 * (ring == 0)
                    outline = [(float(a), float(b)) for a, b in zip(x + px, y + py, strict=True)]
                    draw.polygon(outline, fill=ink(petal, shade), outline=ink(petal, shade * 0.75))

        picture.draw(flower)
        centre = Solids()
        centre.ball(
            (x, CANVAS - 1 - y, 0), (r * 0.27, r * 0.27 * (0.3 + 0.7 * tilt), r * 0.2), disc
        )
        paint_solids(rng, picture, centre, rough=0.16, grain=48)


def draw_slipper(rng: np.random.Generator, picture: Picture) -> None:
    """Lady's slipper: an orchid with a pouch, twisted petals and broad leaves."""
    size = rng.uniform(0.13, 0.27) * CANVAS
    x, y = CANVAS * rng.uniform(0.3, 0.7), CANVAS * rng.uniform(0.42, 0.72)
    pouch = colour(rng, "dcb83a", "e0cc7a", "d8a0a8", "e4dcc8", "c8902a")
    sepal, stalk = (
        colour(rng, "7a5a34", "8a6a4a", "9a8a3a", "6a3f34"),
        colour(rng, "6a7a3a", "55703a", "8a8450"),
    )
    solids = Solids()
    _slipper_leaves(rng, solids, x, y, size, stalk)
    heart = np.array([x, y + size * 0.75, 0])
    bend = heart + [rng.normal(0, 0.3) * size, size * 0.3, -size]
    solids.chain(
        [(x + rng.normal(0, 8), -10, -size), (x, y - size, -size * 1.2), bend],
        [size * 0.13, size * 0.12, size * 0.1],
        stalk,
    )
    top = heart + [rng.normal(0, 0.3) * size, size * 1.7, -5]
    solids.chain(
        [heart + [0, 0, -8], (heart + top) / 2, top],
        [size * 0.2, size * 0.42, size * 0.05],
        sepal,
        smooth=0.1,
    )
    _slipper_petals(rng, solids, heart, size, sepal * 1.05)
    _slipper_pouch(rng, solids, x, y, size, pouch)
    paint_solids(rng, picture, solids)


def _slipper_leaves(rng, solids: Solids, x: float, y: float, size: float, tone) -> None:
    """Broad leaves from the ground up, left and right of the flower."""
    for side in (-1, 1):
        for number in range(rng.integers(1, 3)):
            tip = np.array(
                [
                    x + side * size * rng.uniform(1.5, 3.0),
                    y - size * rng.uniform(0.2, 2.2) - 5 * number,
                    -30,
                ]
            )
            foot = np.array([x, 0, -30])
            middle = (tip + foot) / 2 + [side * size * 0.5, size * 0.8, 0]
            solids.chain(
                [foot, middle, tip],
                [size * 0.1, size * 0.42, size * 0.05],
                tone * rng.uniform(0.8, 1.1),
                smooth=0.1,
            )


def _slipper_petals(rng, solids: Solids, heart, size: float, tone) -> None:
    """The two twisted petals that hang at the sides of the pouch."""
    for side in (-1, 1):
        points, turns = [heart], rng.uniform(1.5, 3)
        for t in np.linspace(0.15, 1, 8):
            wave = np.sin(t * turns * 2 * np.pi)
            points.append(
                heart
                + [
                    side * size * (0.35 + 1.5 * t),
                    size * (0.35 - 1.2 * t * t + 0.13 * wave),
                    size * 0.1 * wave,
                ]
            )
        radii = np.append(np.linspace(0.17, 0.15, 8) * size, size * 0.05)
        solids.chain(points, radii, tone, smooth=0.1)


def _slipper_pouch(rng, solids: Solids, x: float, y: float, size: float, tone) -> None:
    """The pouch with its dark mouth and the shield above it."""
    solids.ball((x, y, size * 0.3), (size * 0.82, size, size * 0.85), tone, smooth=0.05)
    solids.ball(
        (x + rng.normal(0, 0.1) * size, y - 0.25 * size, size * 0.35),
        (size * 0.7, size * 0.8, size * 0.9),
        tone,
        smooth=0.3,
    )
    mouth, shield = (x, y + size * 0.62, size * 0.85), (x, y + size * 0.82, size * 1.0)
    solids.ball(mouth, (size * 0.42, size * 0.24, size * 0.35), tone * 0.4, smooth=0)
    solids.ball(shield, (size * 0.2, size * 0.28, size * 0.2), tone * 0.9, smooth=0)


THINGS = {
    "acorn": draw_acorns,
    "daisy": draw_daisies,
    "yellow lady's slipper": draw_slipper,
    "agaric": lambda rng, picture: draw_mushrooms(rng, picture, "agaric"),
    "bolete": lambda rng, picture: draw_mushrooms(rng, picture, "bolete"),
    "rock": draw_rocks,
    "mushroom": lambda rng, picture: draw_mushrooms(rng, picture, "mushroom"),
    "stinkhorn": draw_stinkhorn,
}
"""Small things, drawn into a place that is there already."""
