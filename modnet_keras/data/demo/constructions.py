"""Constructions of the demo data in their country: barns, cranes, dams and bridges."""

from typing import NamedTuple

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
from modnet_keras.data.demo.canvas import (
    CANVAS,
    Picture,
    colour,
    column_of,
    ink,
    noise,
    polygon,
    row_of,
)
from modnet_keras.data.demo.solids import Solids
from modnet_keras.data.demo.things import paint_solids

WOODEN = ("8a4a3a", "a08060", "8f8a84", "c8c0b0", "6a5238", "b89a6a")


def _country(rng, picture: Picture, low: float, high: float, ground: str | None = None) -> None:
    picture.horizon = int(rng.uniform(low, high) * CANVAS)
    paint_sky(rng, picture)
    if rng.random() < 0.6:
        paint_hills(rng, picture)
    paint_ground(rng, picture, ground)


class Barn(NamedTuple):
    """A barn's front, its outline `gable`, and how far its side goes back: `side`, up by `lift`."""

    x: float
    foot: float
    width: float
    height: float
    side: float
    lift: float
    gable: list[tuple[float, float]]

    def back(self, point: tuple[float, float]) -> tuple[float, float]:
        """Where the side ends that starts at a point of the gable."""
        return point[0] + self.side, point[1] - self.lift


def draw_barn(rng: np.random.Generator, picture: Picture) -> None:
    """A barn with its gable, doors and boards."""
    _country(rng, picture, 0.4, 0.75)
    wall, roof, trim = (
        colour(rng, *WOODEN),
        colour(rng, "6a6460", "8a5a48", "4a4440", "a8a49c"),
        colour(rng, "e0dcd0", "5a4a3a"),
    )
    barn = _barn_shape(rng, picture.horizon)
    left_lit = picture.light.direction[0] < 0

    def build(draw):
        _barn_walls(draw, barn, wall, left_lit)
        _barn_roof(draw, barn, roof)
        _barn_doors(rng, draw, barn, wall, trim)

    picture.draw(build)
    if rng.random() < 0.35:
        _silo(rng, picture, barn, roof)
    if rng.random() < 0.5:
        picture.pixels = np.ascontiguousarray(picture.pixels[:, ::-1])


def _barn_shape(rng, horizon: int) -> Barn:
    """A barn that stands below the horizon, under a plain or a broken roof."""
    width, height = rng.uniform(0.24, 0.42) * CANVAS, rng.uniform(0.2, 0.34) * CANVAS
    side = rng.uniform(0.15, 0.5) * CANVAS
    x, foot = CANVAS * rng.uniform(0.05, 0.3), horizon + rng.uniform(6, 0.2 * CANVAS)
    top, lift = foot - height, side * rng.uniform(0.0, 0.12)
    peak = top - width * rng.uniform(0.35, 0.6)
    gambrel = rng.random() < 0.5
    knee = 0.38 * (top - peak) if gambrel else 0.5 * (top - peak)
    inset = width * (0.14 if gambrel else 0.25)
    gable = [
        (x, foot),
        (x, top),
        (x + inset, peak + knee),
        (x + width / 2, peak),
        (x + width - inset, peak + knee),
        (x + width, top),
        (x + width, foot),
    ]
    return Barn(x, foot, width, height, side, lift, gable)


def _barn_walls(draw, barn: Barn, wall, left_lit: bool) -> None:
    """The side and the front, board by board."""
    far, near = barn.gable[5], barn.gable[6]
    draw.polygon(
        [near, far, barn.back(far), barn.back(near)], fill=ink(wall, 0.65 if left_lit else 1.05)
    )
    draw.polygon(barn.gable, fill=ink(wall, 1.05 if left_lit else 0.75))
    top, foot, corner = barn.foot - barn.height, barn.foot, barn.x + barn.width
    for i, board in enumerate(np.arange(barn.x + 4, corner + barn.side, 5)):
        shade = (0.95 if i % 2 else 0.82) * (1.05 if (board < corner) == left_lit else 0.7)
        if board < corner:
            draw.line([board, top, board, foot], fill=ink(wall, shade))
        else:
            rise = barn.lift * (board - barn.x - barn.width) / barn.side
            draw.line([board, top - rise, board, foot - rise], fill=ink(wall, shade))


def _barn_roof(draw, barn: Barn, roof) -> None:
    """The slopes over the side, and the edge along the gable."""
    gable = barn.gable
    eave = (gable[5][0] + 3, gable[5][1] + 4)
    for a, b, shade in ((gable[3], gable[4], 1.05), (gable[4], eave, 0.85)):
        draw.polygon([a, b, barn.back(b), barn.back(a)], fill=ink(roof, shade))
    for a, b in zip(gable[1:5], gable[2:6], strict=True):
        draw.line([a, b], fill=ink(roof, 0.7), width=4)


def _barn_doors(rng, draw, barn: Barn, wall, trim) -> None:
    """The double door with its braces, and the hatch of the loft."""
    x, foot, width, height = barn.x, barn.foot, barn.width, barn.height
    left, right, top = x + width * 0.3, x + width * 0.7, foot - height * 0.72
    draw.rectangle(
        [left, top, right, foot],
        fill=ink(wall, rng.uniform(0.35, 0.85)),
        outline=ink(trim),
        width=2,
    )
    draw.line([left, top, (left + right) / 2, foot, right, top], fill=ink(trim), width=2)
    draw.line([(left + right) / 2, top, (left + right) / 2, foot], fill=ink(trim), width=2)
    loft = foot - height * 1.12
    draw.rectangle(
        [x + width * 0.42, loft - 9, x + width * 0.58, loft + 4],
        fill=ink(wall, 0.35),
        outline=ink(trim),
    )


def _silo(rng, picture: Picture, barn: Barn, roof) -> None:
    """A round tower beside the barn, with a dome."""
    x, radius, height = (
        barn.x + barn.width + barn.side + rng.uniform(8, 25),
        rng.uniform(9, 16),
        barn.height * rng.uniform(1.3, 2.1),
    )
    tone = colour(rng, *MASONRY, "c8c8c8")
    low, high = CANVAS - barn.foot + barn.lift, CANVAS - barn.foot + height
    silo = Solids()
    silo.cone((x, low, 0), (x, high, 0), radius, radius, tone)
    silo.ball((x, high, 1), (radius * 1.02, radius, radius), roof, smooth=0)
    paint_solids(rng, picture, silo)


def _lattice(draw, start, end, width: float, tone, step: float) -> None:
    """A truss between two points: two chords with a zigzag between."""
    start, end = np.asarray(start, float), np.asarray(end, float)
    length = np.linalg.norm(end - start)
    aside = np.array([-(end - start)[1], (end - start)[0]]) / length * width / 2
    count = max(3, int(length / step))
    line = [
        start + (end - start) * i / count + aside * (1 if i % 2 else -1) for i in range(count + 1)
    ]
    draw.line([tuple(p) for p in line], fill=ink(tone, 0.85), width=1)
    for sign in (-1, 1):
        chord = [tuple(start + sign * aside), tuple(end + sign * aside)]
        draw.line(chord, fill=ink(tone, 1.0 + 0.1 * sign), width=2 + (width > 9))


def draw_crane(rng: np.random.Generator, picture: Picture) -> None:
    """A tower crane over a building site."""
    _country(rng, picture, 0.75, 0.98)
    tone = colour(rng, "d8a830", "b04a34", "c8c8c4", "5a7a9a", "5a5048", "8a6a48")
    x, top = CANVAS * rng.uniform(0.25, 0.75), CANVAS * rng.uniform(0.12, 0.35)
    way = rng.choice([-1, 1])
    jib, rise, thick = rng.uniform(0.4, 0.75) * CANVAS, rng.normal(0, 0.08), rng.uniform(6, 15)
    block = colour(rng, *MASONRY, "b8a890", "a06a54")

    def site(draw):
        bx, bw, bh = rng.uniform(0, 0.7) * CANVAS, rng.uniform(35, 90), rng.uniform(25, 100)
        for storey in np.arange(picture.horizon - bh, picture.horizon, 14):
            draw.rectangle([bx, storey, bx + bw, storey + 4], fill=ink(block))
            draw.rectangle([bx + 3, storey + 4, bx + bw - 3, storey + 14], fill=ink(block, 0.45))
            for column in np.arange(bx, bx + bw, 15):
                draw.rectangle([column, storey, column + 3, storey + 14], fill=ink(block, 0.85))
        _lattice(draw, (x, picture.horizon + 12), (x, top), thick, tone, thick)
        tip, tail = (
            (x + way * jib, top - rise * jib),
            (x - way * jib * 0.36, top + rise * jib * 0.3),
        )
        _lattice(draw, (x, top), tip, thick * 0.7, tone, thick * 0.8)
        _lattice(draw, (x, top), tail, thick * 0.7, tone, thick * 0.8)
        apex = (x, top - thick * 2.2)
        draw.line([(x - thick / 2, top), apex, (x + thick / 2, top)], fill=ink(tone), width=3)
        for end in ((x + way * jib * 0.7, top - rise * jib * 0.7), tail):
            draw.line([apex, end], fill=ink(tone, 0.6), width=1)
        draw.rectangle([tail[0] - 7, tail[1] - 2, tail[0] + 7, tail[1] + 13], fill=ink(block, 0.6))
        cab = x + way * thick * 0.9
        draw.rectangle(
            [cab - thick * 0.5, top + 2, cab + thick * 0.5, top + thick + 3],
            fill=ink(tone, 0.8),
            outline=ink(tone, 0.4),
        )
        hook, drop = x + way * jib * rng.uniform(0.4, 0.95), rng.uniform(15, 80)
        draw.line([hook, top, hook, top + drop], fill=(40, 40, 40), width=1)
        if rng.random() < 0.6:
            draw.rectangle([hook - 9, top + drop, hook + 9, top + drop + 7], fill=ink(block, 0.8))

    picture.draw(site)


class Dam(NamedTuple):
    """A dam's crest and base [points, 2], its wall as a mask, and its pixels' place along it."""

    crest: np.ndarray
    base: np.ndarray
    mask: np.ndarray
    along: np.ndarray


def draw_dam(rng: np.random.Generator, picture: Picture) -> None:
    """A dam between two slopes, water behind it and by chance over it."""
    picture.horizon = int(rng.uniform(0.2, 0.45) * CANVAS)
    paint_sky(rng, picture)
    paint_hills(rng, picture)
    paint_ground(rng, picture, "water")
    wall, rock = colour(rng, *MASONRY, "c0b8a8", "d0c8b8"), colour(rng, *EARTH, *GRASS)
    dam = _dam_shape(rng, picture.horizon)
    _dam_wall(rng, picture, dam, wall)
    if rng.random() < 0.6:
        _dam_falls(rng, picture, dam)
    crest = [tuple(point) for point in dam.crest]
    picture.draw(lambda draw: draw.line(crest, fill=ink(wall, 1.25), width=4))
    _dam_river(rng, picture, dam)
    _dam_slopes(rng, picture, dam, rock)


def _dam_shape(rng, horizon: int) -> Dam:
    """A dam below the horizon, narrower at its base, its edges curved."""
    top, foot = horizon + rng.uniform(5, 25), CANVAS * rng.uniform(0.72, 0.95)
    sag, left, right = (
        rng.uniform(-8, 22),
        rng.uniform(-0.1, 0.15) * CANVAS,
        rng.uniform(0.85, 1.1) * CANVAS,
    )
    t = np.linspace(0, 1, 15)
    crest = np.stack([left + (right - left) * t, top + sag * 4 * t * (1 - t)], axis=1)
    narrow = rng.uniform(0.1, 0.3)
    base = np.stack(
        [left + (right - left) * (narrow + (1 - 2 * narrow) * t), foot + sag * 2.4 * t * (1 - t)],
        axis=1,
    )
    along = (column_of - left) / (right - left) - 0.5
    return Dam(crest, base, polygon([*crest, *base[::-1]]), along)


def _dam_wall(rng, picture: Picture, dam: Dam, wall) -> None:
    """The masonry in its courses, stained, darker to one side."""
    curve = 1 + 0.35 * dam.along * np.sign(picture.light.direction[0]) * 2 * 0.6
    courses = (
        1
        - 0.07 * (np.sin(row_of * rng.uniform(0.4, 0.9)) > 0.7)
        - 0.06 * (np.sin(dam.along * rng.uniform(40, 90)) > 0.75)
    )
    stains = 1 + 0.06 * noise(rng, 24, 3, 4.0)
    picture.paint(dam.mask, np.clip(wall * (curve * courses * stains)[..., None], 0, 1))


def _dam_falls(rng, picture: Picture, dam: Dam) -> None:
    """White water down the wall."""
    for centre in rng.uniform(-0.22, 0.22, rng.integers(1, 4)):
        fall = np.clip(
            1 - np.abs(dam.along - centre + 0.004 * noise(rng, 12, 2)) / rng.uniform(0.03, 0.08),
            0,
            1,
        )
        white = (
            np.clip(fall * 2, 0, 0.9) * dam.mask * np.clip(1 + 0.3 * noise(rng, 30, 2, 5.0), 0, 1)
        )
        picture.paint(white, np.array([0.9, 0.93, 0.95]))


def _dam_river(rng, picture: Picture, dam: Dam) -> None:
    """The water that flows on from the base."""
    river = polygon([*dam.base, (CANVAS * 0.8, CANVAS), (CANVAS * 0.2, CANVAS)])
    flow = colour(rng, "7f9aa8", "5a7f86", "a8b8bc", "77726d")
    picture.paint(river, np.clip(flow * (1 + 0.12 * noise(rng, 20, 3, 0.4))[..., None], 0, 1))


def _dam_slopes(rng, picture: Picture, dam: Dam, rock) -> None:
    """The sides of the valley, left and right of the dam."""
    crest, base = dam.crest, dam.base
    for outer, a, b in ((-20, crest[0], base[0]), (CANVAS + 20, crest[-1], base[-1])):
        knee = a + (b - a) * 0.5 + [rng.normal(0, 5), 0]
        end = (CANVAS * (0.2 if outer < 0 else 0.8), CANVAS + 2)
        slope = [
            (outer, a[1] - rng.uniform(0, 35)),
            (a[0], a[1] - 3),
            tuple(knee),
            tuple(b),
            end,
            (outer, CANVAS + 2),
        ]
        paint_rough(rng, picture, slope, rock, 8)


class Bridge(NamedTuple):
    """A bridge's deck (its row in mid-picture and its climb), the row it stands on, its colour."""

    deck: float
    climb: float
    ground: int
    tone: np.ndarray

    def road(self, x: float) -> float:
        """Row of the deck at a column."""
        return self.deck - self.climb * (x - CANVAS / 2)


def draw_bridge(rng: np.random.Generator, picture: Picture) -> None:
    """A suspension bridge: two towers, swung cables, hangers and a deck."""
    _country(rng, picture, 0.45, 0.8, "water" if rng.random() < 0.7 else None)
    tone = colour(rng, "b0503a", "8a8f94", "5f6a74", "a89a84", "5a4a40", "c8c4bc")
    deck = picture.horizon - rng.uniform(-0.05, 0.2) * CANVAS
    bridge = Bridge(deck, rng.normal(0, 0.12), picture.horizon, tone)
    first, second = rng.uniform(-0.05, 0.32) * CANVAS, rng.uniform(0.62, 1.0) * CANVAS
    tall, shrink = rng.uniform(0.25, 0.5) * CANVAS, rng.uniform(0.5, 1.0)
    near, far = (first, tall), (second, tall * shrink)
    shores = (first - 0.75 * (second - first), 2), (second + 0.75 * (second - first), 2)

    def build(draw):
        width = rng.uniform(9, 20)
        _bridge_tower(draw, bridge, near, width)
        _bridge_tower(draw, bridge, far, width * shrink)
        _bridge_cable(draw, bridge, near, far, tall * 0.08)
        _bridge_cable(draw, bridge, near, shores[0], tall * 0.3)
        _bridge_cable(draw, bridge, far, shores[1], tall * shrink * 0.3)
        _bridge_deck(draw, bridge, rng.uniform(4, 9), shrink)

    picture.draw(build)
    if rng.random() < 0.5:
        picture.pixels = np.ascontiguousarray(picture.pixels[:, ::-1])


def _bridge_tower(draw, bridge: Bridge, top, width: float) -> None:
    """Two legs with crossbeams; `top` is a column and the height above the road."""
    x, height = top
    low = bridge.ground + width * 1.3
    for leg in (-width / 2, width / 2):
        draw.line(
            [x + leg, bridge.road(x) - height, x + leg, low],
            fill=ink(bridge.tone, 1.05 if leg < 0 else 0.75),
            width=max(3, int(width * 0.34)),
        )
    for share in (0.97, 0.6, 0.25):
        y = bridge.road(x) - height * share
        draw.rectangle([x - width / 2, y - 1, x + width / 2, y + 3], fill=ink(bridge.tone, 0.9))


def _bridge_cable(draw, bridge: Bridge, start, end, low: float) -> None:
    """A cable from top to top that hangs down to `low` above the road, and its hangers."""
    t = np.linspace(0, 1, 26)
    xs = start[0] + (end[0] - start[0]) * t
    rise = start[1] * (1 - t) + end[1] * t
    drop = 4 * t * (1 - t) * (rise - low)
    ys = np.array([bridge.road(x) for x in xs]) - rise + drop
    points = [(float(x), float(y)) for x, y in zip(xs, ys, strict=True)]
    draw.line(points, fill=ink(bridge.tone), width=3)
    for x, y in zip(xs[1:-1], ys[1:-1], strict=True):
        draw.line([x, y, x, bridge.road(x)], fill=ink(bridge.tone, 0.8), width=1)


def _bridge_deck(draw, bridge: Bridge, thick: float, shrink: float) -> None:
    """The road from edge to edge, thinner at the far end."""
    edge = [(-5, bridge.road(-5)), (CANVAS + 5, bridge.road(CANVAS + 5))]
    draw.polygon(
        [*edge, (CANVAS + 5, edge[1][1] + thick * shrink), (-5, edge[0][1] + thick)],
        fill=ink(bridge.tone, 0.7),
    )
    draw.line(edge, fill=ink(bridge.tone, 1.2), width=2)
