"""Round solids of the demo pictures: melted together, seen from one side, lit, casting a shadow."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageFilter

from modnet_keras.data.demo.canvas import (
    CANVAS,
    Light,
    Picture,
    column_of,
    noise,
    row_of,
    to_image,
)


class Part(NamedTuple):
    """A solid: an ellipsoid by its half axes (columns), or a round cone from `start` to `end`."""

    start: np.ndarray
    end: np.ndarray
    radii: tuple[float, float]
    axes: np.ndarray | None
    colour: np.ndarray
    smooth: float
    coat: float
    crisp: bool


class Solids:
    """Ellipsoids and round cones in a space of x right, y up, z to the viewer, melted together.

    `smooth` says how softly a part flows into those before it, as a share of its size; `coat` how
    much of the coat's pattern it shows; `crisp` parts keep a hard edge in colour, as an eye or a
    nose does.
    """

    def __init__(self) -> None:
        """Start with no parts."""
        self.parts: list[Part] = []

    def cone(
        self,
        start: ArrayLike,
        end: ArrayLike,
        start_radius: float,
        end_radius: float,
        colour: np.ndarray,
        *,
        smooth: float = 0.3,
        coat: float = 1.0,
        crisp: bool = False,
    ) -> None:
        """Add a round cone between two spheres."""
        radii = (float(start_radius), float(end_radius))
        start, end = np.asarray(start, np.float64), np.asarray(end, np.float64)
        self.parts.append(Part(start, end, radii, None, colour, smooth, coat, crisp))

    def ball(
        self,
        centre: ArrayLike,
        radii: ArrayLike,
        colour: np.ndarray,
        *,
        turn: np.ndarray | None = None,
        smooth: float = 0.3,
        coat: float = 1.0,
        crisp: bool = False,
    ) -> None:
        """Add an ellipsoid; `turn` is a 3x3 rotation of its axes."""
        axes = np.diag(np.broadcast_to(np.asarray(radii, np.float64), 3))
        axes = axes if turn is None else turn @ axes
        centre = np.asarray(centre, np.float64)
        size = float(np.max(radii))
        self.parts.append(Part(centre, centre, (size, size), axes, colour, smooth, coat, crisp))

    def chain(
        self,
        points: Sequence[ArrayLike],
        radii: Sequence[float] | np.ndarray,
        colour: np.ndarray,
        **options: Any,
    ) -> None:
        """Add cones along a line of points."""
        for i in range(len(points) - 1):
            self.cone(points[i], points[i + 1], radii[i], radii[i + 1], colour, **options)

    def moved(
        self,
        rotation: np.ndarray,
        scale: float = 1.0,
        shift: Sequence[float] | np.ndarray = (0, 0, 0),
    ) -> "Solids":
        """The same solids turned, scaled and shifted."""
        matrix = rotation * scale
        ends = np.array([(part.start, part.end) for part in self.parts]) @ matrix.T + shift
        result = Solids()
        result.parts = [
            part._replace(
                start=start,
                end=end,
                radii=(part.radii[0] * scale, part.radii[1] * scale),
                axes=None if part.axes is None else matrix @ part.axes,
            )
            for part, (start, end) in zip(self.parts, ends, strict=True)
        ]
        return result

    def boxes(self, rotation: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest corners [parts, 3] of the boxes around the parts, turned first."""
        rotation = np.eye(3) if rotation is None else rotation
        ends = np.array([(part.start, part.end) for part in self.parts]) @ rotation.T
        round_parts = np.array([part.axes is None for part in self.parts])
        none = np.zeros((3, 3))
        axes = rotation @ np.array([none if p.axes is None else p.axes for p in self.parts])
        radii = np.array([part.radii for part in self.parts])
        reach = np.sqrt((axes**2).sum(2))[:, None] + (radii * round_parts[:, None])[..., None]
        return (ends - reach).min(1), (ends + reach).max(1)

    def extent(self, rotation: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest corner [3] of the box around all parts, turned first."""
        low, high = self.boxes(rotation)
        return low.min(0), high.max(0)


class Surface(NamedTuple):
    """What is seen of solids inside `window` of the canvas: arrays of the window's size.

    `part` is an index, `depth` grows towards the viewer, `along` runs down each part.
    """

    window: tuple[slice, slice]
    mask: np.ndarray
    depth: np.ndarray
    part: np.ndarray
    along: np.ndarray


def see(solids: Solids) -> Surface | None:
    """Surface of solids given in pixels (y up from the canvas's lower edge), if any is in sight."""
    lows, highs = solids.boxes()
    window = _window(lows.min(0), highs.max(0))
    if window is None:
        return None
    rows, columns = window
    shape = rows.stop - rows.start, columns.stop - columns.start
    depth = np.full(shape, -1e4, np.float32)
    index = np.zeros(shape, np.int16)
    along = np.zeros(shape, np.float32)
    for number, part in enumerate(solids.parts):
        box = _window(lows[number], highs[number])
        if box is None or max(part.radii) < 0.45:
            continue
        inner = (
            slice(box[0].start - rows.start, box[0].stop - rows.start),
            slice(box[1].start - columns.start, box[1].stop - columns.start),
        )
        if depth[inner].min() > highs[number][2]:
            continue
        for piece in _pieces(part):
            height, length = _surface_of(piece, box)
            _melt(depth[inner], index[inner], along[inner], height, length, number, part)
    mask = depth > -9e3
    return Surface(window, mask, depth, index, along) if mask.any() else None


def ruffle(
    rng: np.random.Generator, surface: Surface, standing: np.ndarray, amount: float, cells: int
) -> tuple[Surface, np.ndarray]:
    """Surface and normals with their points moved by some pixels, as fur and stone are rough."""
    if amount < 0.3:
        return surface, standing
    rows, columns = surface.mask.shape
    down = np.round(noise(rng, cells, 1, 1.6)[surface.window] * amount).astype(np.int32)
    right = np.round(noise(rng, cells, 1)[surface.window] * amount).astype(np.int32)
    take = np.clip(down + np.arange(rows, dtype=np.int32)[:, None], 0, rows - 1) * columns
    take += np.clip(right + np.arange(columns, dtype=np.int32), 0, columns - 1)
    fields = (field.take(take) for field in surface[1:])
    return Surface(surface.window, *fields), standing.reshape(-1, 3).take(take, axis=0)


def _pieces(part: Part) -> list[Part]:
    """A cone seen nearly end on is a row of balls: its outline is no longer a flat shape."""
    if part.axes is not None:
        return [part]
    run = part.end - part.start
    flat = np.hypot(run[0], run[1])
    if abs(run[2]) < 0.8 * flat or not flat + abs(run[2]):
        return [part]
    steps = int(np.clip(np.linalg.norm(run) / (0.5 * max(*part.radii, 0.5)), 1, 6))
    pieces = []
    for t in np.linspace(0, 1, steps + 1):
        radius = part.radii[0] + t * (part.radii[1] - part.radii[0])
        centre = part.start + t * run
        pieces.append(part._replace(start=centre, end=centre, radii=(radius, radius)))
    return pieces


def _window(low, high) -> tuple[slice, slice] | None:
    """The part of the canvas, if any, that a box takes up, with a margin of two pixels."""
    (x_low, y_low, _), (x_high, y_high, _) = low.tolist(), high.tolist()
    left, right = max(0, int(x_low) - 2), min(CANVAS, int(x_high) + 3)
    top, bottom = max(0, int(CANVAS - 1 - y_high) - 2), min(CANVAS, int(CANVAS - y_low) + 2)
    return (slice(top, bottom), slice(left, right)) if left < right and top < bottom else None


def _surface_of(part: Part, box) -> tuple[np.ndarray, np.ndarray | np.float32]:
    """Height towards the viewer (-1e4 beside the part) and the distance along it."""
    dx = column_of[0, box[1]] - np.float32(part.start[0])
    dy = (np.float32(CANVAS - 1 - part.start[1]) - row_of[box[0], :1]).astype(np.float32)
    if part.axes is not None:
        return _ellipsoid(part.axes, part.start, dx, dy)
    first, last = (np.float32(radius) for radius in part.radii)
    run = (part.end - part.start).astype(np.float32)
    span = run[0] ** 2 + run[1] ** 2
    inside = (first * first - dy * dy) - dx * dx
    if span < 1e-6:
        height, length = np.sqrt(np.maximum(inside, 0)), np.float32(0)
    else:
        # The square of the distance to the axis and of the radius there, both polynomials in t.
        free = dx * (run[0] / span) + dy * (run[1] / span)
        t = np.minimum(np.maximum(free, 0), 1)
        free *= 2 * span
        free += 2 * first * (last - first)
        free += ((last - first) ** 2 - span) * t
        free *= t
        inside += free
        height = np.sqrt(np.maximum(inside, 0))
        height += t * run[2]
        length = t * np.float32(np.linalg.norm(run))
    height += np.float32(part.start[2])
    np.copyto(height, -1e4, where=inside <= 0)
    return height, length


def _ellipsoid(axes: np.ndarray, centre: np.ndarray, dx, dy) -> tuple[np.ndarray, np.ndarray]:
    a = np.linalg.inv(axes @ axes.T + 1e-3 * np.eye(3)).astype(np.float32)
    linear = a[0, 2] * dx + a[1, 2] * dy
    constant = (2 * a[0, 1]) * dx * dy
    constant += a[0, 0] * dx * dx - 1
    constant += a[1, 1] * dy * dy
    inside = linear * linear - a[2, 2] * constant
    rise = (np.sqrt(np.maximum(inside, 0)) - linear) / a[2, 2]
    first = (axes[:, 0] / max(np.linalg.norm(axes[:, 0]), 1e-6)).astype(np.float32)
    length = rise * first[2] + (dx * first[0] + dy * first[1])
    rise += np.float32(centre[2])
    np.copyto(rise, -1e4, where=inside <= 0)
    return rise, length


def _melt(depth, index, along, height, length, number: int, part: Part) -> None:
    """Put a part's surface among the others; near each other they flow into one."""
    nearer = height > depth
    flow = part.smooth * max(part.radii)
    if flow > 0.5:
        close = np.maximum(flow - np.abs(height - depth), 0)
        melted = np.maximum(depth, height) + close * close / (4 * flow)
    else:
        melted = np.maximum(depth, height)
    np.copyto(depth, melted)
    np.copyto(index, number, where=nearer)
    np.copyto(along, length, where=nearer)


def normals(surface: Surface) -> np.ndarray:
    """Unit vectors [h, w, 3] that stand on the surface."""
    depth = np.where(surface.mask, surface.depth, surface.depth[surface.mask].min() - 20)
    result = np.zeros((*depth.shape, 3), np.float32)
    result[:, 1:-1, 0] = np.clip(depth[:, :-2] - depth[:, 2:], -7, 7) / 2
    result[1:-1, :, 1] = np.clip(depth[2:] - depth[:-2], -7, 7) / 2
    result[..., 2] = 1 / np.sqrt(result[..., 0] ** 2 + result[..., 1] ** 2 + 1)
    result[..., :2] *= result[..., 2:]
    return result


def lit(surface_normals: np.ndarray, light: Light) -> np.ndarray:
    """Brightness [h, w, 1] of a surface in the light."""
    facing = np.maximum(0.25 + surface_normals @ (0.75 * light.direction), 0)
    sky = light.ambient * (0.775 + 0.225 * surface_normals[..., 1])
    return (sky + (1.35 - light.ambient) * facing)[..., None]


def smooth_colours(rgb: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Colours given at about half the resolution, run into each other and enlarged to a shape."""
    image = to_image(rgb).filter(ImageFilter.BoxBlur(1))
    image = image.resize(shape[::-1], Image.Resampling.BILINEAR)
    return np.asarray(image, np.float32) / 255


def cast_shadow(picture: Picture, surface: Surface, ground: float, strength: float) -> None:
    """Darken the ground (row `ground`) where the thing seen keeps the light off."""
    whole = np.zeros((CANVAS, CANVAS), np.uint8)
    whole[surface.window] = surface.mask * np.uint8(255)
    half = Image.fromarray(whole).reduce(2)
    lean = -picture.light.direction[0] / max(picture.light.direction[1], 0.3)
    flat, foot = 0.22, ground / 2
    # For a row y the shadow is thrown by what stands (foot - y) / flat above the ground.
    shadow = half.transform(
        half.size,
        Image.Transform.AFFINE,
        (1, lean / flat, -lean * foot / flat, 0, 1 / flat, foot - foot / flat),
    ).filter(ImageFilter.BoxBlur(2))
    dark = np.asarray(shadow, np.float32) / 255
    touching = np.flatnonzero(whole[max(0, int(ground - 0.1 * CANVAS)) :].any(0))
    if len(touching):
        reach = max(3.0, 0.3 * np.ptp(touching))
        across = ((column_of[0, : CANVAS // 2] - touching.mean() / 2) / reach) ** 2
        away = ((row_of[: CANVAS // 2, :1] - foot) / (0.18 * reach + 1.5)) ** 2
        dark = np.maximum(dark, np.exp(-1.5 * across) * np.exp(-1.5 * away))
    image = Image.fromarray(1 - strength * dark).resize((CANVAS, CANVAS), Image.Resampling.BILINEAR)
    picture.shade(np.asarray(image))
