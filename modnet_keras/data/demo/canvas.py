"""What the demo pictures are painted with: noise, colours, masks, and one light."""

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

IMAGE_SIZE = 96
"""Side of a finished picture in pixels."""

CANVAS = 160
"""Side of the canvas in pixels: larger than the finished picture, so that edges come out smooth."""

Points = Iterable[Sequence[float]] | np.ndarray
"""Pairs of x and y."""

row_of, column_of = np.mgrid[0:CANVAS, 0:CANVAS].astype(np.float32)
_TILE = 3 * CANVAS // 2


@functools.cache
def _noise_tile(cells: int, octaves: int, stretch: float) -> np.ndarray:
    rng = np.random.default_rng((cells, octaves, int(100 * stretch)))
    total = np.zeros((_TILE, _TILE), np.float32)
    for octave in range(octaves):
        count = cells * 2**octave * _TILE / CANVAS
        shape = (max(2, int(count / stretch)), max(2, int(count)))
        grid = Image.fromarray(rng.standard_normal(shape, dtype=np.float32))
        total += np.asarray(grid.resize((_TILE, _TILE), Image.Resampling.BICUBIC)) * 0.5**octave
    return total / total.std()


def noise(
    rng: np.random.Generator, cells: int, octaves: int = 3, stretch: float = 1.0
) -> np.ndarray:
    """Smooth random field [CANVAS, CANVAS], mean 0 and deviation 1.

    `cells` is how many bumps fit across the picture; `stretch` > 1 draws them out downwards.
    """
    tile = _noise_tile(cells, octaves, stretch)
    row, column = rng.integers(0, _TILE - CANVAS, 2)
    field = tile[row : row + CANVAS, column : column + CANVAS]
    return field[:, ::-1] if rng.random() < 0.5 else field


def colour(rng: np.random.Generator, *choices: str, spread: float = 0.07) -> np.ndarray:
    """One of the hexadecimal colours, a little lighter or darker and off in hue, as RGB in 0..1."""
    text = choices[rng.integers(len(choices))]
    rgb = np.array([int(text[i : i + 2], 16) for i in (0, 2, 4)], np.float32) / 255
    change = 1 + spread * (rng.standard_normal() * 1.6 + 0.25 * rng.standard_normal(3))
    return np.clip(rgb * change, 0.02, 1).astype(np.float32)


class Light(NamedTuple):
    """Where the light comes from (x right, y up, z to the viewer) and how hard it is."""

    direction: np.ndarray
    ambient: float


def random_light(rng: np.random.Generator) -> Light:
    """Light from above, left or right, hard or soft."""
    azimuth, height = rng.uniform(-1.0, 1.0), rng.uniform(0.45, 1.1)
    direction = np.array(
        [np.sin(azimuth) * np.cos(height), np.sin(height), np.cos(azimuth) * np.cos(height)]
    )
    return Light(direction.astype(np.float32), rng.uniform(0.5, 0.75))


class Picture:
    """A canvas [CANVAS, CANVAS, 3] of RGB in 0..1, its light, and the row of its horizon."""

    def __init__(self, rng: np.random.Generator) -> None:
        """Start black, with a light of its own."""
        self.pixels: np.ndarray = np.zeros((CANVAS, CANVAS, 3), np.float32)
        self.light = random_light(rng)
        self.horizon = CANVAS // 3

    def paint(self, mask: np.ndarray, paint: np.ndarray, window: Any = ...) -> None:
        """Lay a colour [3] or a field [h, w, 3] over a window where the mask [h, w] is."""
        part = self.pixels[window]
        if mask.dtype == bool:
            np.copyto(part, paint, where=mask[..., None], casting="same_kind")
        else:
            part += mask[..., None].astype(np.float32) * (paint - part)

    def shade(self, factor: np.ndarray) -> None:
        """Multiply the brightness by a field [CANVAS, CANVAS]."""
        self.pixels *= factor[..., None]

    def blur(self, radius: float) -> None:
        """Put what has been painted so far out of focus."""
        half = to_image(self.pixels).reduce(2).filter(ImageFilter.GaussianBlur(radius / 2))
        image = half.resize((CANVAS, CANVAS), Image.Resampling.BILINEAR)
        self.pixels = np.asarray(image, np.float32) / 255

    def zoom(self, rng: np.random.Generator, share: float) -> None:
        """Keep a window of a share of the sides, anywhere, and enlarge it to the canvas."""
        size = share * CANVAS
        left, top = rng.uniform(0, CANVAS - size, 2)
        image = to_image(self.pixels).resize(
            (CANVAS, CANVAS), Image.Resampling.BILINEAR, (left, top, left + size, top + size)
        )
        self.pixels = np.asarray(image, np.float32) / 255
        self.horizon = int(np.clip((self.horizon - top) / share, 0.1 * CANVAS, 0.85 * CANVAS))

    def draw(self, strokes: Callable[[ImageDraw.ImageDraw], object]) -> None:
        """Let a function draw with an `ImageDraw`."""
        image = to_image(self.pixels)
        strokes(ImageDraw.Draw(image))
        self.pixels = np.asarray(image, np.float32) / 255


def to_image(pixels: np.ndarray) -> Image.Image:
    """RGB image of an array [h, w, 3] in 0..1."""
    return Image.fromarray((np.clip(pixels, 0, 1) * 255).astype(np.uint8))


def ink(rgb: np.ndarray, factor: float = 1.0) -> tuple[int, int, int]:
    """A colour as `ImageDraw` takes it."""
    red, green, blue = (int(v) for v in np.clip(rgb * factor * 255, 0, 255))
    return red, green, blue


def polygon(points: Points, soft: float = 0.0) -> np.ndarray:
    """Mask [CANVAS, CANVAS] of a polygon of (x, y)."""
    mask = Image.new("L", (CANVAS, CANVAS))
    ImageDraw.Draw(mask).polygon([(float(x), float(y)) for x, y in points], fill=255)
    if soft:
        mask = mask.filter(ImageFilter.GaussianBlur(soft))
    return np.asarray(mask, np.float32) / 255


def relief(
    rng: np.random.Generator, light: Light, cells: int, octaves: int = 4, stretch: float = 1.0
) -> np.ndarray:
    """Brightness [CANVAS, CANVAS] about 1 of a rough surface under the light."""
    bumps = -np.abs(noise(rng, cells, octaves, stretch))
    right, down = np.gradient(bumps, axis=1), np.gradient(bumps, axis=0)
    return 1 + 0.9 * np.clip(down * light.direction[1] - right * light.direction[0], -0.45, 0.45)


def finish(rng: np.random.Generator, picture: Picture) -> Image.Image:
    """Photograph the canvas: exposure, white balance, focus and sensor noise, at its final size."""
    photo = to_image(picture.pixels).resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BOX)
    small = np.asarray(photo, np.float32) / 255
    # Some cameras and hours of the day leave little of the colours, as in black and white.
    grey = small.mean(-1, keepdims=True)
    small = grey + np.float32(min(rng.uniform(0.1, 1.6), 1.1)) * (small - grey)
    warmth, green = rng.normal(0, 0.12), rng.normal(0, 0.05)
    balance = np.array([1 + warmth, 1 + green, 1 - warmth], np.float32)
    contrast, exposure = rng.uniform(0.7, 1.2), rng.uniform(0.6, 1.35)
    offset = np.float32(0.5 - 0.5 * contrast + rng.normal(0, 0.04))
    image = to_image(small * (balance * np.float32(exposure * contrast)) + offset)
    blur = rng.uniform(-0.4, 0.7)
    if blur > 0.2:
        image = image.filter(ImageFilter.GaussianBlur(blur))
    grain = rng.standard_normal((IMAGE_SIZE, IMAGE_SIZE, 3), dtype=np.float32)
    noisy = np.asarray(image) + grain * np.float32(rng.uniform(0, 4.5))
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
