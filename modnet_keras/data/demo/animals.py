"""The animals of the demo data: solids on a skeleton, posed, furred and lit."""

from typing import NamedTuple

import numpy as np

from modnet_keras.data.demo.canvas import CANVAS, Picture, colour, noise
from modnet_keras.data.demo.heads import HEADS, draw_mane
from modnet_keras.data.demo.solids import (
    Solids,
    cast_shadow,
    lit,
    normals,
    ruffle,
    see,
    smooth_colours,
)
from modnet_keras.data.demo.species import (
    BLACK,
    BROWN,
    DARK_BROWN,
    GOLD,
    RED,
    SPECIES,
    WHITE,
    Build,
    Species,
)


def turn(yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> np.ndarray:
    """Rotation [3, 3]: roll about x, pitch (nose up) about z, then yaw (nose to the viewer)."""
    cy, sy, cp, sp, cr, sr = (f(a) for a in (yaw, pitch, roll) for f in (np.cos, np.sin))
    about_y = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
    about_z = np.array([[cp, -sp, 0], [sp, cp, 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    return about_y @ about_z @ about_x


def draw_animal(rng: np.random.Generator, picture: Picture, name: str) -> None:
    """Put one animal of a species into the picture, in a pose and a size of its own."""
    species = SPECIES[name]
    pose = rng.choice(["stand", "sit", "lie", "portrait"], p=[0.20, 0.10, 0.05, 0.65])
    if species.build.foot == "pillar" or (species.build.foot == "hoof" and pose == "sit"):
        pose = "portrait" if pose == "portrait" else "stand"
    base, light_coat = species.coats[rng.integers(len(species.coats))]
    coat, belly = colour(rng, base), colour(rng, light_coat)
    view_yaw = rng.uniform(-0.2, 0.7)
    # Animals look at the camera more often than not, as they do in people's photographs.
    gaze = rng.uniform(0.2, 1.35) if pose == "portrait" else rng.uniform(-0.1, 1.4)
    head_yaw = float(np.clip(gaze - view_yaw, -0.6, 1.1))
    body = _body(rng, species, pose, coat, belly)
    solids, neck_end = body
    head = Solids()
    HEADS[species.head](rng, head, coat, belly)
    if species.head == "lion" and rng.random() < 0.65:
        draw_mane(rng, head, colour(rng, BROWN, RED, DARK_BROWN, GOLD, BLACK))
    nod = rng.uniform(-0.3, 0.2)
    head = head.moved(turn(head_yaw, nod, rng.normal(0, 0.1)), species.build.head, neck_end)
    view = turn(0, 0, rng.uniform(0.0, 0.28)) @ turn(view_yaw, rng.normal(0, 0.03))
    if rng.random() < 0.5:
        view = np.diag([-1.0, 1.0, 1.0]) @ view
    whole = Solids()
    whole.parts = solids.parts + head.parts
    placed, ground = _place(rng, picture, whole, head, view, pose)
    _paint(rng, picture, placed, species, coat, belly, view, ground)


def _place(rng, picture: Picture, whole: Solids, head: Solids, view, pose: str):
    """Solids in pixels and the row of the ground, or None where the feet are out of the picture."""
    focus = head if pose == "portrait" else whole
    low, high = focus.extent(view)
    size = max((high - low)[:2])
    share = rng.uniform(0.68, 0.98) if pose == "portrait" else rng.uniform(0.8, 1.1)
    scale = share * CANVAS / size
    middle = (low + high) / 2 * scale
    x = CANVAS * (0.5 + 0.3 * max(1 - share, 0.05) * rng.uniform(-1, 1))
    if pose == "portrait":
        shift = np.array([x - middle[0], CANVAS * rng.uniform(0.5, 0.68) - middle[1], 0])
        return whole.moved(view, scale, shift), None
    height = (high - low)[1] * scale
    ground = rng.uniform(0.0, 1.0) * max(
        0.0, 0.96 * CANVAS - max(height * 0.9, picture.horizon + 12)
    )
    bottom = 0.04 * CANVAS + min(ground, max(0.0, 0.96 * CANVAS - height))
    shift = np.array([x - middle[0], bottom - low[1] * scale, 0])
    return whole.moved(view, scale, shift), CANVAS - 1 - bottom - 2


def _body(rng, species: Species, pose: str, coat, belly) -> tuple[Solids, np.ndarray]:
    """Trunk, limbs and tail in object space (x to the nose, y up); where the head goes."""
    build, solids = species.build, Solids()
    hip, shoulder = _hip_and_shoulder(build, pose)
    _trunk(solids, build, pose, hip, shoulder, coat)
    head_at = _neck(rng, solids, build, pose, shoulder, coat, belly)
    for side in (-1, 1):
        _legs(rng, solids, build, pose, side, hip, shoulder, coat, belly)
    _tail(rng, solids, build, pose, hip, coat, belly)
    return solids, head_at


def _hip_and_shoulder(build: Build, pose: str) -> tuple[np.ndarray, np.ndarray]:
    """Where the trunk ends, behind and in front."""
    half = build.length / 2
    if pose == "sit":
        hip = np.array([-0.28 * build.length, build.waist, 0])
        shoulder = np.array([0.16 * build.length, build.leg + 0.12 + 0.4 * build.chest, 0])
    elif pose == "lie":
        hip = np.array([-half, build.waist * 0.95, 0])
        shoulder = np.array([half * 0.95, build.chest * 1.15, 0])
    else:
        hip = np.array([-half, build.leg + build.waist * 0.55, 0])
        shoulder = np.array([half, build.leg + build.chest * 0.6, 0])
    return hip, shoulder


def _trunk(solids: Solids, build: Build, pose: str, hip, shoulder, coat) -> None:
    """The trunk with its ribs and, where the build has one, a hump."""
    middle = (hip + shoulder) / 2 + [0, 0.02 - 0.04 * (pose == "lie"), 0]
    run = shoulder - hip
    solids.chain(
        [hip, middle, shoulder],
        [build.waist * 1.02, (build.waist + build.chest) / 2, build.chest],
        coat,
    )
    tilt = turn(0, np.arctan2(run[1], run[0]))
    ribs = shoulder - 0.12 * run + [0, -0.06 * build.chest, 0]
    solids.ball(ribs, (build.chest * 1.25, build.chest * 1.12, build.chest * 0.95), coat, turn=tilt)
    if build.hump:
        solids.ball(
            shoulder + [-0.05, build.chest * 0.6 + build.hump * 0.4, 0],
            (0.28, build.hump * 1.4, 0.2),
            coat,
        )


def _neck(rng, solids: Solids, build: Build, pose: str, shoulder, coat, belly) -> np.ndarray:
    """The neck and the lighter chest below it; where the head goes."""
    angle = build.neck_angle + rng.uniform(-0.3, 0.25) + (0.15 if pose != "stand" else 0)
    root = shoulder + [build.chest * 0.35, build.chest * 0.35, 0]
    direction = np.array([np.cos(angle), np.sin(angle), 0])
    end = root + direction * build.neck
    solids.chain(
        [root - 0.1 * direction, end],
        [build.neck_radius * 1.3, build.neck_radius],
        coat,
        smooth=0.5,
    )
    chest_patch = (
        root
        + direction * build.neck * 0.3
        + [build.neck_radius * 0.55, -build.neck_radius * 0.5, 0]
    )
    solids.ball(chest_patch, build.neck_radius * 0.85, belly, smooth=0.6, coat=0.3)
    return end + direction * build.head * 0.55 + [build.head * 0.1, build.head * 0.1, 0]


def _legs(
    rng, solids: Solids, build: Build, pose: str, side: int, hip, shoulder, coat, belly
) -> None:
    """The fore and the hind leg of one side."""
    swing = rng.normal(0, 0.10, 2) if pose == "stand" else np.zeros(2)
    fore = _fore_joints(rng, build, pose, side, shoulder, swing[0])
    hind, thigh = _hind_joints(build, pose, side, hip, swing[1])
    solids.ball(hind[0], thigh, coat)
    for joints, top in ((fore, 1.75), (hind, 1.9)):
        _leg(rng, solids, build, joints, top, coat, belly)


def _fore_joints(rng, build: Build, pose: str, side: int, shoulder, swing: float) -> list:
    """Joints of a fore leg from the shoulder down; `swing` moves it forward."""
    limb, z = build.limb, side * build.chest * 0.52
    front = [shoulder[0], shoulder[1] - build.chest * 0.3, z]
    if pose == "lie":
        elbow = [shoulder[0] - 0.08, limb * 1.2, z * 1.15]
        reach = shoulder[0] + build.leg * rng.uniform(0.35, 0.6)
        return [front, elbow, [reach, limb * 0.9, z * 0.9]]
    knee = build.leg * 0.45
    return [
        front,
        [front[0] - 0.05 + swing * 0.5, knee + 0.2 * build.leg, z],
        [front[0] + swing * 1.1, knee * 0.5, z],
        [front[0] + 0.02 + swing * 1.9, limb * 0.8, z],
    ]


def _hind_joints(build: Build, pose: str, side: int, hip, swing: float) -> tuple[list, tuple]:
    """Joints of a hind leg from the thigh down, and the thigh's half axes."""
    limb, waist, z = build.limb, build.waist, side * build.waist * 0.55
    if pose == "lie":
        thigh = [hip[0] + 0.12, hip[1] * 0.85, z * 1.5]
        joints = [thigh, [hip[0] + 0.05, limb, z * 1.9], [hip[0] + 0.36, limb * 0.8, z * 2.0]]
        return joints, (waist * 0.95, waist * 0.8, waist * 0.55)
    if pose == "sit":
        thigh = [hip[0] + 0.12, hip[1] * 1.0, z * 1.45]
        joints = [thigh, [hip[0] + 0.16, limb, z * 1.9], [hip[0] + 0.36, limb * 0.8, z * 1.9]]
        return joints, (waist * 1.05, waist * 0.95, waist * 0.6)
    bend = 0.13 if build.foot == "paw" else 0.06
    joints = [
        [hip[0] + 0.02, hip[1] - waist * 0.15, z],
        [hip[0] + bend * 0.7 + swing * 0.5, build.leg * 0.66, z],
        [hip[0] - bend + swing * 1.1, build.leg * 0.34, z],
        [hip[0] - bend * 0.3 + swing * 1.9, limb * 0.8, z],
    ]
    return joints, (waist * 0.85, waist * 1.15, waist * 0.55)


def _leg(rng, solids: Solids, build: Build, joints: list, top: float, coat, belly) -> None:
    """One leg along its joints, with its foot; `top` says how thick it starts."""
    limb = build.limb
    thick = 1.0 if build.foot == "pillar" else 0.72
    radii = np.linspace(top, thick, len(joints)) * limb
    radii[1:-1] *= 0.9
    solids.chain(joints, radii, coat, smooth=0.4)
    foot_colour = belly if build.foot == "paw" else colour(rng, BLACK, BROWN)
    end = np.asarray(joints[-1]) + [limb * 0.45, 0, 0]
    size = limb * (1.1 if build.foot == "pillar" else 0.92)
    solids.ball(
        end,
        (size * 1.45, size * 0.85, size * 1.1),
        foot_colour if build.foot != "pillar" else coat,
        coat=0.3,
    )


class Tail(NamedTuple):
    """A kind of tail: its length, between which angles it is held, its radius, and its outline."""

    length: float
    rise: tuple[float, float] = (-0.5, 0.5)
    radius: float = 0.05
    outline: tuple[float, ...] = (1.3, 1.1, 1, 0.9, 0.85, 0.8, 0.6)


TAILS = {
    "sabre": Tail(0.6, (-0.5, 0.6), 0.06),
    "feathered": Tail(0.62, (-0.4, 0.5), 0.08),
    "bushy": Tail(0.62, (-1.3, -0.6), 0.10, (0.7, 1.0, 1.2, 1.2, 1.1, 0.8, 0.3)),
    "brush": Tail(0.72, (-0.9, 0.1), 0.12, (0.6, 1.0, 1.3, 1.4, 1.3, 0.9, 0.3)),
    "cat": Tail(0.85, (-0.7, 1.2), 0.05),
    "tuft": Tail(0.8, (-1.2, 0.2), 0.04),
    "whip": Tail(0.6, (-1.5, -1.2), 0.03),
    "stub": Tail(0.12),
    "puff": Tail(0.12),
    "curl": Tail(0.22),
}


def _tail(rng, solids: Solids, build: Build, pose: str, hip, coat, belly) -> None:
    """The tail, by its kind."""
    tail = TAILS[build.tail]
    root = hip + [-build.waist * 0.8, build.waist * 0.4, 0]
    if pose == "sit":
        root = hip + [-build.waist * 0.8, -build.waist * 0.5, 0]
    angle = rng.uniform(*tail.rise) if pose == "stand" else rng.uniform(-0.2, 0.3)
    bend = rng.uniform(-0.3, 0.9)
    side = rng.normal(0, 0.4)
    count = len(tail.outline)
    step = tail.length / (count - 1)
    points = [root]
    for i in range(count - 1):
        heading = angle + bend * i / count * (3.5 if build.tail == "curl" else 1)
        move = np.array([-np.cos(heading), np.sin(heading), side * 0.5]) * step
        points.append(points[-1] + move)
        points[-1][1] = max(points[-1][1], 0.05)
    if build.tail in ("stub", "puff"):
        solids.ball(points[1], 0.09, belly, smooth=0.5)
        return
    solids.chain(points, tail.radius * np.array(tail.outline), coat, smooth=0.6)
    if build.tail == "brush":
        solids.ball(points[-1], tail.radius * 0.55, belly, coat=0.2)
    if build.tail in ("tuft", "whip"):
        solids.ball(points[-1], (0.09, 0.09, 0.09), coat * 0.45, coat=0.2)


def _paint(
    rng, picture: Picture, solids: Solids, species: Species, coat, belly, view, ground
) -> None:
    """Render the placed solids with their fur into the picture."""
    low, high = solids.extent()
    unit = max((high - low)[:2])
    surface = see(solids)
    if surface is None:
        return
    shag = species.fur * min(unit, 220) * 0.005
    surface, standing = ruffle(rng, surface, normals(surface), shag, 55)
    if ground is not None:
        cast_shadow(picture, surface, ground, rng.uniform(0.35, 0.65))
    window = surface.window
    table = np.array([part.colour for part in solids.parts], np.float32)
    crisp = np.array([part.crisp for part in solids.parts])
    coats = np.array([part.coat for part in solids.parts], np.float32)
    up = standing @ view[:, 1].astype(np.float32)
    # Base colours vary slowly: half the resolution will do. Features are left out, so that eyes
    # do not bleed into the fur.
    part, thin = surface.part[::2, ::2], surface.mask[::2, ::2]
    fur = np.where(crisp[:, None], coat, table).astype(np.float32).take(part, axis=0)
    np.copyto(fur, coat, where=~thin[..., None])
    below = np.clip(-0.25 - up[::2, ::2], 0, 0.6) * coats.take(part)
    fur = smooth_colours(fur + below[..., None] * (belly - fur), surface.mask.shape)
    weight = coats.take(surface.part)
    fur = _pattern(rng, species.pattern, fur, surface, weight, up, unit)
    streaks = noise(rng, 44, 2, 2.5)[window] * (0.03 + 0.055 * species.fur)
    streaks = streaks + noise(rng, 7, 2)[window] * 0.05
    fur = fur * (1 + streaks * (0.4 + 0.6 * weight))[..., None]
    features = crisp.take(surface.part)
    fur[features] = table[surface.part[features]]
    picture.paint(surface.mask, fur * lit(standing, picture.light), window)


def _pattern(rng, kind: str, fur, surface, weight, up, unit: float):
    """Markings on the fur [h, w, 3]; `along` runs down each limb and the trunk."""
    along = surface.along / unit
    if kind in ("tabby", "tiger"):
        waves = 95 if kind == "tabby" else 62
        bands = (
            np.sin(along * waves + 0.9 * noise(rng, 7, 2)[surface.window])
            + 0.3 * noise(rng, 9, 2)[surface.window]
        )
        cut, dark = (0.25, rng.uniform(0.3, 0.55)) if kind == "tabby" else (0.62, 0.16)
        return _darken(fur, np.clip((bands - cut) * 4, 0, 1) * weight, dark)
    if kind in ("dots", "rosettes"):
        cells = 14 * 190 / unit if kind == "dots" else max(26, 20 * 190 / unit)
        count = min((14, 20, 28, 40), key=lambda known: abs(known - cells))
        spots = noise(rng, count, 1)[surface.window]
        if kind == "dots":
            mark = np.clip((spots - 0.85) * 8, 0, 1)
        else:
            mark = np.clip(1 - np.abs(spots - 0.75) * 3.2, 0, 1)
        return _darken(fur, mark * weight, rng.uniform(0.12, 0.35))
    if kind == "patches":
        cut = rng.uniform(0.3, 2.2)
        mark = np.clip((noise(rng, 3, 2)[surface.window] - cut) * 8, 0, 1) * weight
        return fur + mark[..., None] * (colour(rng, WHITE, BLACK, BROWN) - fur)
    if kind == "blanket":
        back = np.clip((up - 0.25 + 0.35 * noise(rng, 4, 2)[surface.window]) * 5, 0, 1) * weight
        return fur + back[..., None] * (colour(rng, BLACK, DARK_BROWN, RED) - fur)
    if kind == "saddle":
        back = np.clip((up + 0.1 + 0.25 * noise(rng, 6, 2)[surface.window]) * 2.5, 0, 1) * weight
        return _darken(fur, back * rng.uniform(0.4, 1.0), 0.2)
    if kind == "grizzled":
        back = np.clip((up - 0.1 + 0.35 * noise(rng, 12, 3)[surface.window]) * 1.5, 0, 1) * weight
        return _darken(fur, back, rng.uniform(0.45, 0.7))
    if kind == "wrinkles":
        return fur * (1 + 0.08 * np.abs(noise(rng, 14, 3, 0.5)[surface.window]) * weight)[..., None]
    return fur


def _darken(fur, mark, factor: float):
    return fur * (1 - mark * (1 - factor))[..., None]
