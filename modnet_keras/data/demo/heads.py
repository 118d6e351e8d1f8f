"""Heads of the demo animals, in units of half the skull's width (x to the nose, y up)."""

import numpy as np

from modnet_keras.data.demo.canvas import colour
from modnet_keras.data.demo.solids import Solids

DARK, PINK, HORN = "1d1a1a", "c98d84", "a08a68"
SIDES = (-1, 1)


def _eyes(rng, head: Solids, at, size: float, *irises: str, slit: bool = False) -> None:
    """Two eyes with pupil and a spark of light."""
    iris, dark = colour(rng, *irises), colour(rng, DARK)
    x, y, z = at
    for side in SIDES:
        rim = (size * 0.75, size * 1.12, size * 1.2)
        head.ball((x - 0.04, y, side * z), rim, dark, smooth=0, coat=0, crisp=True)
        head.ball((x + size * 0.22, y, side * z), size * 0.82, iris, smooth=0, coat=0, crisp=True)
        pupil = (size * 0.3, size * 0.62, size * (0.26 if slit else 0.5))
        out = np.array([0.62 * size + 0.22 * size, 0, side * size * 0.3])
        head.ball(np.array([x, y, side * z]) + out, pupil, dark, smooth=0, coat=0, crisp=True)
        spark = np.array([x + size * 1.0, y + size * 0.38, side * z + size * 0.3])
        head.ball(spark, size * 0.2, np.ones(3), smooth=0, coat=0, crisp=True)


def _pricked_ears(head: Solids, tip, foot, width: float, coat, inner) -> None:
    """Upright ears: a fan of cones from a base line to the tip, with a lighter inside."""
    for side in SIDES:
        end = np.array([tip[0], tip[1], side * tip[2]])
        for share in (-1, -0.5, 0, 0.5, 1):
            base = np.array(
                [foot[0] - share * 0.1, foot[1] - share * 0.12, side * (foot[2] + share * width)]
            )
            head.cone(base, end, 0.17, 0.05, coat, smooth=0.5)
        middle = np.array([foot[0] + 0.12, foot[1] + 0.12, side * foot[2]])
        head.cone(
            middle,
            middle + 0.72 * (end - middle) + [0.06, 0, 0],
            width * 0.62,
            0.04,
            inner,
            smooth=0.1,
            coat=0,
        )


def _hanging_ears(rng, head: Solids, length: float, coat) -> None:
    """Ears that hang at the sides of the skull."""
    flare = rng.uniform(0.95, 1.2)
    for side in SIDES:
        for share in (-1, -0.4, 0.2, 0.8):
            top = np.array([-0.15 + 0.3 * share, 0.52, side * 0.78])
            end = np.array([0.02 + 0.22 * share, 0.5 - length, side * flare])
            head.chain(
                [top, (top + end) / 2 + [0, 0.12, side * 0.14], end],
                [0.17, 0.17, 0.11],
                coat,
                smooth=0.25,
            )


def _round_ears(head: Solids, at, size: float, coat, inner) -> None:
    for side in SIDES:
        centre = np.array([at[0], at[1], side * at[2]])
        head.ball(centre, (size * 0.5, size, size * 0.9), coat, smooth=0.3)
        head.ball(
            centre + [size * 0.4, 0, 0],
            (size * 0.2, size * 0.62, size * 0.55),
            inner,
            smooth=0.1,
            coat=0,
        )


def _dog(rng, head: Solids, coat, belly, *, muzzle: float, width: float, mask: float) -> None:
    """Skull, long muzzle, nose and mouth of a dog; `mask` says how dark the muzzle is."""
    face = coat + mask * (coat * 0.3 - coat) if mask > 0 else coat - mask * (belly - coat)
    dark = colour(rng, DARK)
    head.ball((0, 0, 0), (1.05, 0.88, 0.9), coat)
    head.ball((0.3, -0.3, 0), (0.85, 0.62, 0.84), coat, smooth=0.5)
    tip = 0.7 + muzzle
    head.cone(
        (0.5, -0.22, 0), (tip, -0.38, 0), 0.58 * width, 0.36 * width, face, smooth=0.35, coat=0.2
    )
    open_mouth = 0.25 * (rng.random() < 0.85)
    jaw = (tip - 0.22, -0.72 - open_mouth, 0)
    head.cone((0.3, -0.55, 0), jaw, 0.42 * width, 0.2 * width, face, smooth=0.15, coat=0.2)
    if open_mouth:
        tongue = colour(rng, "d0706e")
        head.cone((0.8, -0.68, 0), (tip, -0.8, 0), 0.26, 0.26, tongue, coat=0, crisp=True)
        head.cone((tip, -0.8, 0), (tip + 0.1, -1.35, 0), 0.26, 0.2, tongue, coat=0, crisp=True)
    for side in SIDES:
        start, end = (tip + 0.05, -0.66, side * 0.12), (0.75, -0.66, side * 0.53 * width)
        head.cone(start, end, 0.05, 0.05, dark, smooth=0, coat=0, crisp=True)
    head.ball((tip + 0.3 * width, -0.22, 0), (0.24, 0.27, 0.36), dark, smooth=0, coat=0, crisp=True)


def _retriever(rng, head: Solids, coat, belly) -> None:
    _dog(rng, head, coat, belly, muzzle=0.85, width=1.12, mask=-0.3)
    _hanging_ears(rng, head, rng.uniform(1.1, 1.35), coat * 0.85)
    _eyes(rng, head, (0.76, 0.24, 0.46), 0.17, "4a2c18", "2f1d12")


def _hound(rng, head: Solids, coat, belly) -> None:
    _dog(rng, head, coat, belly, muzzle=0.9, width=0.95, mask=-0.4)
    ear = coat * (0.25 if rng.random() < 0.5 else 0.8)
    _hanging_ears(rng, head, rng.uniform(0.95, 1.2), ear)
    _eyes(rng, head, (0.76, 0.24, 0.46), 0.17, "4a2c18", "6b86a0")


def _shepherd(rng, head: Solids, coat, belly) -> None:
    _dog(rng, head, coat, belly, muzzle=1.05, width=0.95, mask=rng.choice([0.9, 0.5, 0.0]))
    _pricked_ears(
        head, (0.0, 2.0, 0.72), (-0.15, 0.6, 0.5), 0.36, coat * 0.75, colour(rng, PINK) * 0.8
    )
    _eyes(rng, head, (0.76, 0.22, 0.44), 0.16, "4a2c18", "6b4a1f")


def _wolf(rng, head: Solids, coat, belly) -> None:
    _dog(rng, head, coat, belly, muzzle=1.0, width=1.02, mask=-0.75)
    for side in SIDES:
        head.ball((0.05, -0.4, side * 0.75), (0.55, 0.62, 0.5), belly, smooth=0.6, coat=0.3)
        head.cone(
            (-0.1, -0.5, side * 0.9), (-0.35, -0.85, side * 1.15), 0.35, 0.12, belly, smooth=0.5
        )
    _pricked_ears(head, (-0.1, 1.42, 0.72), (-0.15, 0.6, 0.56), 0.34, coat * 0.8, belly * 0.8)
    _eyes(rng, head, (0.78, 0.2, 0.42), 0.14, "c8962e", "d8b45a", "a88a3a")


def _husky(rng, head: Solids, coat, belly) -> None:
    _dog(rng, head, coat, belly, muzzle=0.9, width=1.05, mask=-1.0)
    for side in SIDES:
        head.ball((0.3, -0.3, side * 0.62), (0.5, 0.5, 0.42), belly, smooth=0.5, coat=0.2)
        head.ball((0.82, 0.52, side * 0.4), (0.16, 0.12, 0.2), belly, smooth=0.5, coat=0.2)
    _pricked_ears(head, (-0.1, 1.6, 0.6), (-0.15, 0.65, 0.5), 0.32, coat * 0.7, belly * 0.85)
    _eyes(rng, head, (0.78, 0.2, 0.42), 0.15, "7fb8dc", "9cc8e4", "5a3a1c")


def _collie(rng, head: Solids, coat, belly) -> None:
    _dog(rng, head, coat, belly, muzzle=1.15, width=0.8, mask=-0.3)
    for side in SIDES:
        head.ball((-0.3, -0.7, side * 0.45), (0.7, 0.7, 0.6), belly, smooth=0.6, coat=0.3)
        foot, fold = (-0.15, 0.6, side * 0.6), (-0.1, 1.25, side * 0.78)
        head.chain([foot, fold, (0.3, 1.0, side * 0.9)], [0.32, 0.18, 0.08], coat * 0.8)
    head.cone((0.85, 0.45, 0), (1.5, 0.05, 0), 0.14, 0.1, belly, smooth=0.4, coat=0.1)
    _eyes(rng, head, (0.78, 0.2, 0.42), 0.15, "4a2c18", "6b4a1f")


def _fox(rng, head: Solids, coat, belly) -> None:
    _dog(rng, head, coat, belly, muzzle=0.95, width=0.68, mask=-0.15)
    for side in SIDES:
        head.ball((0.3, -0.45, side * 0.6), (0.55, 0.4, 0.5), belly, smooth=0.5, coat=0.2)
    _pricked_ears(head, (-0.1, 1.9, 0.85), (-0.15, 0.55, 0.58), 0.4, coat * 0.7, belly * 0.85)
    _eyes(rng, head, (0.72, 0.18, 0.44), 0.15, "b8862e", "8a5a22")


def _feline(rng, head: Solids, coat, belly, *, muzzle: float, eye: float, irises) -> None:
    """Round skull, short muzzle with whisker pads, and a cat's eyes."""
    head.ball((0, 0, 0), (0.92, 0.86, 1.0), coat)
    for side in SIDES:
        head.ball((0.3, -0.3, side * 0.42), (0.6, 0.5, 0.55), coat, smooth=0.5)
        head.ball(
            (0.78 + muzzle, -0.45, side * 0.22), (0.36, 0.28, 0.3), belly, smooth=0.3, coat=0.1
        )
        for k in (-1, 0, 1):
            start = (0.95 + muzzle, -0.45 + 0.06 * k, side * 0.35)
            end = (0.75 + muzzle, -0.42 + 0.24 * k, side * 1.45)
            head.cone(start, end, 0.025, 0.012, np.ones(3) * 0.9, smooth=0, coat=0, crisp=True)
    head.ball((0.7 + muzzle, -0.75, 0), (0.3, 0.22, 0.3), belly, smooth=0.3, coat=0.1)
    nose = colour(rng, "b8706a", "8a4a44", DARK)
    head.cone(
        (0.55, 0.2, 0),
        (0.98 + muzzle, -0.2, 0),
        0.3,
        0.18 + 0.2 * muzzle,
        coat,
        smooth=0.4,
        coat=0.6,
    )
    head.ball((1.12 + muzzle, -0.22, 0), (0.11, 0.11, 0.17), nose, smooth=0, coat=0, crisp=True)
    bottom = (1.08 + muzzle, -0.55, 0)
    head.cone(
        (1.14 + muzzle, -0.3, 0), bottom, 0.035, 0.035, nose * 0.6, smooth=0, coat=0, crisp=True
    )
    for side in SIDES:
        corner = (0.95 + muzzle, -0.68, side * 0.36)
        head.cone(bottom, corner, 0.035, 0.03, nose * 0.6, smooth=0, coat=0, crisp=True)
    _eyes(rng, head, (0.76, 0.14, 0.45), eye, *irises, slit=True)


def _cat(rng, head: Solids, coat, belly) -> None:
    irises = ("8fae4a", "c8a838", "6fa8b8", "a8c070")
    _feline(rng, head, coat, belly, muzzle=0.0, eye=0.25, irises=irises)
    _pricked_ears(head, (-0.05, 1.5, 0.82), (-0.05, 0.5, 0.62), 0.36, coat * 0.9, colour(rng, PINK))


def _persian(rng, head: Solids, coat, belly) -> None:
    irises = ("d08a28", "c8a838", "5f9ac8", "a8c070")
    _feline(rng, head, coat, belly, muzzle=-0.2, eye=0.28, irises=irises)
    for side in SIDES:
        head.ball((-0.05, -0.45, side * 0.75), (0.6, 0.62, 0.6), coat, smooth=0.6)
    _pricked_ears(head, (-0.05, 1.2, 0.92), (-0.05, 0.5, 0.7), 0.28, coat * 0.9, colour(rng, PINK))


def _big_cat(rng, head: Solids, coat, belly, irises=("b08a30", "8a9a48", "7fa0b0")) -> None:
    _feline(rng, head, coat, belly, muzzle=0.28, eye=0.17, irises=irises)
    head.ball((0.75, -0.45, 0), (0.5, 0.36, 0.52), belly, smooth=0.4, coat=0.2)
    _round_ears(head, (-0.15, 0.78, 0.68), 0.34, coat * 0.8, belly * 0.7)


def draw_mane(rng: np.random.Generator, head: Solids, mane: np.ndarray) -> None:
    """A lion's mane: tufts all around the face and down the neck."""
    head.ball((-0.75, -0.25, 0), (0.8, 1.25, 1.15), mane, smooth=0.1)
    for ring, (front, reach) in enumerate(((0.1, 1.35), (-0.35, 1.6), (-0.9, 1.55))):
        for angle in np.linspace(0, 2 * np.pi, 13, endpoint=False) + ring * 0.25:
            direction = np.array([0, np.sin(angle), np.cos(angle)])
            start = direction * 0.85 + [front, -0.1, 0]
            end = direction * reach * rng.uniform(0.9, 1.1) + [front - 0.3, -0.15, 0]
            if direction[1] < -0.2:
                end = end + [0, -0.3, 0]
            head.cone(start, end, 0.36, 0.14, mane * rng.uniform(0.75, 1.2), smooth=0.15, coat=0.8)


def _bear(rng, head: Solids, coat, belly) -> None:
    face = coat * 0.6 + belly * 0.4
    head.ball((0, 0, 0), (1.0, 0.92, 1.0), coat)
    head.ball((0.2, -0.3, 0), (0.85, 0.65, 0.95), coat, smooth=0.5)
    head.cone((0.6, -0.3, 0), (1.45, -0.4, 0), 0.52, 0.36, face, smooth=0.3, coat=0.1)
    dark = colour(rng, DARK)
    head.ball((1.78, -0.25, 0), (0.16, 0.18, 0.26), dark, smooth=0, coat=0, crisp=True)
    for side in SIDES:
        mouth = (1.7, -0.62, side * 0.1), (0.95, -0.62, side * 0.45)
        head.cone(*mouth, 0.04, 0.04, dark, smooth=0, coat=0, crisp=True)
    _round_ears(head, (-0.2, 0.88, 0.75), 0.32, coat * 0.85, coat * 0.55)
    _eyes(rng, head, (0.8, 0.14, 0.42), 0.11, "3a2414")


def _hare(rng, head: Solids, coat, belly) -> None:
    head.ball((0, 0, 0), (1.0, 0.85, 0.75), coat)
    head.ball((0.6, -0.2, 0), (0.65, 0.55, 0.55), coat, smooth=0.5)
    head.ball((0.95, -0.38, 0), (0.32, 0.28, 0.35), belly, smooth=0.4, coat=0.1)
    head.ball((1.22, -0.12, 0), (0.08, 0.09, 0.14), colour(rng, PINK), smooth=0, coat=0, crisp=True)
    lean = rng.uniform(-0.9, 0.1)
    for side in SIDES:
        foot = np.array([-0.35, 0.6, side * 0.32])
        tip = foot + [lean, 1.9, side * rng.uniform(0.1, 0.5)]
        head.chain([foot, (foot + tip) / 2, tip], [0.2, 0.3, 0.12], coat * 0.9, smooth=0.3)
        inner = foot + [0.2, 0.2, 0], (foot + tip) / 2 + [0.2, 0.15, 0]
        head.cone(*inner, 0.12, 0.14, colour(rng, PINK), smooth=0, coat=0)
    _eyes(rng, head, (0.42, 0.2, 0.6), 0.2, "3a2414", "6a3a1a")


def _hoofed_face(rng, head: Solids, coat, muzzle, length: float, width: float) -> None:
    """Long, deep face of grazing animals with nostrils and eyes at the sides."""
    head.ball((0, 0, 0), (0.95, 0.85, 0.82), coat)
    head.cone((0.3, -0.1, 0), (length, -0.75, 0), 0.68, 0.46 * width, coat, smooth=0.4, coat=0.8)
    head.ball((length + 0.1, -0.82, 0), (0.42, 0.4, 0.5 * width), muzzle, smooth=0.3, coat=0)
    for side in SIDES:
        nostril = (length + 0.44, -0.7, side * 0.26 * width)
        head.ball(nostril, (0.08, 0.1, 0.1), colour(rng, DARK), smooth=0, coat=0, crisp=True)
    _eyes(rng, head, (0.55, 0.2, 0.62), 0.15, "2f1d12")


def _flap_ears(head: Solids, coat, length: float, droop: float) -> None:
    for side in SIDES:
        foot = np.array([-0.3, 0.4, side * 0.75])
        tip = foot + [-0.1, -droop, side * length]
        head.chain([foot, (foot + tip) / 2, tip], [0.14, 0.24, 0.1], coat * 0.85, smooth=0.3)


def _ox(rng, head: Solids, coat, belly) -> None:
    _hoofed_face(rng, head, coat, colour(rng, PINK, DARK, "8a7a6a"), 1.35, 1.15)
    _flap_ears(head, coat, 0.9, 0.15)
    horn = colour(rng, HORN, "d8ccb0")
    rise = rng.uniform(0.3, 1.0)
    for side in SIDES:
        points = [
            (-0.25, 0.7, side * 0.5),
            (-0.2, 0.95, side * 1.15),
            (0.05, 0.95 + rise, side * 1.5),
        ]
        head.chain(points, [0.2, 0.16, 0.05], horn, smooth=0.1, coat=0, crisp=True)


def _ram(rng, head: Solids, coat, belly) -> None:
    _hoofed_face(rng, head, coat, belly, 1.3, 0.85)
    _flap_ears(head, coat, 0.6, 0.0)
    horn = colour(rng, HORN, "7a6244", "b8a888")
    grown = rng.uniform(3.0, 5.2)
    for side in SIDES:
        points, radii = [], []
        for t in np.linspace(0, 1, 9):
            angle = 1.9 + grown * t
            radius = 0.85 - 0.12 * t
            x, y = -0.55 + radius * np.cos(angle), 0.0 + radius * np.sin(angle)
            points.append((x, y, side * (0.45 + 0.75 * t)))
            radii.append(0.36 - 0.26 * t)
        for i in range(len(points) - 1):
            ring = horn * (0.85 if i % 2 else 1.05)
            head.cone(
                points[i],
                points[i + 1],
                radii[i],
                radii[i + 1],
                ring,
                smooth=0.05,
                coat=0,
                crisp=True,
            )


def _elephant(rng, head: Solids, coat, belly) -> None:
    head.ball((0, 0, 0), (0.95, 1.05, 0.85), coat)
    sway = rng.uniform(-0.4, 0.9)
    trunk = [np.array([0.65, -0.2, 0.0])]
    for t in np.linspace(0, 1, 6):
        trunk.append(trunk[-1] + [0.28 - 0.3 * t + sway * t * 0.4, -0.42 + 0.2 * sway * t, 0])
    head.chain(trunk, np.linspace(0.5, 0.17, 7), coat, smooth=0.3)
    flap = rng.uniform(0.2, 1.2)
    for side in SIDES:
        cos, sin = np.cos(flap), np.sin(flap) * side
        out = np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]])
        centre = (-0.45 - 0.25 * np.cos(flap), -0.05, side * (0.8 + 0.45 * np.sin(flap)))
        head.ball(centre, (0.8, 1.05, 0.1), coat * 0.9, turn=out.T, smooth=0.1)
        tusk = [(0.65, -0.6, side * 0.42), (1.05, -1.05, side * 0.5), (1.5, -1.1, side * 0.5)]
        head.chain(tusk, [0.13, 0.11, 0.04], colour(rng, "e4dcc4"), smooth=0, coat=0, crisp=True)
    _eyes(rng, head, (0.62, 0.1, 0.6), 0.1, "4a3018")


def _hog(rng, head: Solids, coat, belly) -> None:
    head.ball((0, 0, 0), (1.0, 0.9, 0.9), coat)
    head.ball((0.2, -0.35, 0), (0.85, 0.65, 0.85), coat, smooth=0.5)
    head.cone((0.5, -0.2, 0), (1.35, -0.4, 0), 0.58, 0.4, coat, smooth=0.3)
    snout = colour(rng, PINK) * 0.5 + coat * 0.5
    head.ball((1.68, -0.42, 0), (0.14, 0.4, 0.44), snout, smooth=0.05, coat=0)
    for side in SIDES:
        nostril = (1.8, -0.4, side * 0.16)
        head.ball(nostril, (0.06, 0.13, 0.09), colour(rng, DARK), smooth=0, coat=0, crisp=True)
        foot = np.array([-0.2, 0.65, side * 0.6])
        tip = foot + [0.55, rng.uniform(-0.1, 0.75), side * 0.35]
        for share in (-1, 0, 1):
            head.cone(foot + [0, 0, 0.25 * share], tip, 0.2, 0.06, coat * 0.9, smooth=0.3)
    _eyes(rng, head, (0.78, 0.16, 0.48), 0.11, "3a2414", "6b86a0")


HEADS = {
    "retriever": _retriever,
    "hound": _hound,
    "shepherd": _shepherd,
    "wolf": _wolf,
    "husky": _husky,
    "collie": _collie,
    "fox": _fox,
    "cat": _cat,
    "persian": _persian,
    "lion": _big_cat,
    "tiger": _big_cat,
    "leopard": _big_cat,
    "bear": _bear,
    "hare": _hare,
    "ox": _ox,
    "ram": _ram,
    "elephant": _elephant,
    "hog": _hog,
}
"""Head of each kind: draws it into a `Solids`, given the coat's and the belly's colour."""
