"""Draw the three photographs of digits beside this script: pen strokes on paper, seen by a camera in uneven light.

python docs/images/make_pen_drawings.py [FOLDER]

The strokes are splines through points set by hand here; nothing comes from a data set.
"""

from __future__ import annotations

import dataclasses
import math
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

FINE = 2
"""Strokes are drawn at this multiple of the photograph's size."""


@dataclasses.dataclass(frozen=True)
class Drawing:
    """A digit on paper and the photograph of it; lengths in pixels, colours and light in shares of 1."""

    name: str
    size: tuple[int, int]
    strokes: tuple[tuple[tuple[float, float], ...], ...]
    """Points (x, y) of each stroke in a unit square, y down."""
    place: tuple[float, float, float]
    """Left, top and height of that square."""
    tilt: float
    """Of the whole drawing, degrees clockwise."""
    pen: tuple[float, float, float]
    width: float
    pressure: float
    """How much the width changes along a stroke."""
    skips: float
    """How much of the ink the paper's grain leaves out: a ballpoint more than a felt pen."""
    paper: tuple[float, float, float]
    light: tuple[float, float]
    """Direction from which it comes in degrees, and what is left of it at the far side."""
    shadow: float
    """Depth of a soft shadow that falls across a corner."""
    desk: tuple[float, float, float] | None
    """Colour of a desk that shows beside the paper."""
    seed: int


TWO = Drawing(
    name="two.jpg",
    size=(480, 640),
    strokes=(
        (
            (0.10, 0.26), (0.16, 0.10), (0.34, 0.01), (0.55, 0.05), (0.63, 0.22), (0.56, 0.42), (0.36, 0.64),
            (0.12, 0.86), (0.06, 0.96), (0.20, 0.93), (0.42, 0.93), (0.58, 0.98), (0.72, 0.93),
        ),
    ),
    place=(165, 190, 215),
    tilt=4,
    pen=(0.10, 0.10, 0.12),
    width=11,
    pressure=0.25,
    skips=0.1,
    paper=(0.95, 0.93, 0.88),
    light=(215, 0.5),
    shadow=0.0,
    desk=None,
    seed=2,
)  # fmt: skip
FIVE = Drawing(
    name="five.jpg",
    size=(640, 480),
    strokes=(
        (
            (0.20, 0.06), (0.17, 0.24), (0.13, 0.44), (0.30, 0.37), (0.50, 0.42), (0.60, 0.62), (0.52, 0.85),
            (0.30, 0.98), (0.10, 0.94), (0.02, 0.84),
        ),
        ((0.19, 0.05), (0.38, 0.06), (0.66, 0.01)),
    ),
    place=(330, 120, 190),
    tilt=-6,
    pen=(0.13, 0.18, 0.52),
    width=5.5,
    pressure=0.3,
    skips=0.45,
    paper=(0.93, 0.94, 0.95),
    light=(20, 0.55),
    shadow=0.35,
    desk=None,
    seed=5,
)  # fmt: skip
SEVEN = Drawing(
    name="seven.jpg",
    size=(560, 560),
    strokes=(
        (
            (0.04, 0.08), (0.22, 0.10), (0.46, 0.07), (0.64, 0.05), (0.53, 0.30), (0.40, 0.58), (0.32, 0.80),
            (0.30, 1.0),
        ),
    ),
    place=(205, 170, 200),
    tilt=7,
    pen=(0.32, 0.31, 0.33),
    width=7,
    pressure=0.35,
    skips=0.6,
    paper=(0.90, 0.87, 0.80),
    light=(120, 0.6),
    shadow=0.2,
    desk=(0.36, 0.24, 0.15),
    seed=7,
)  # fmt: skip


def spline(points: tuple[tuple[float, float], ...], steps: int = 80) -> np.ndarray:
    """Return a Catmull-Rom curve through the points, [(points - 1) * steps, 2]."""
    p = np.array([points[0], *points, points[-1]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    parts = [
        0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        for a, b, c, d in zip(p[:-3], p[1:-2], p[2:-1], p[3:], strict=True)
    ]
    return np.concatenate(parts)


def grain(shape: tuple[int, int], sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Return noise of mean 0 and standard deviation 1 with blobs of about sigma pixels."""
    noise = Image.fromarray(rng.normal(0, 1, shape).astype(np.float32))
    values = np.asarray(noise.resize((int(shape[1] / sigma) + 2, int(shape[0] / sigma) + 2), Image.Resampling.BOX))
    smooth = np.asarray(Image.fromarray(values).resize(shape[::-1], Image.Resampling.BICUBIC))
    return (smooth - smooth.mean()) / smooth.std()


def wander(count: int, every: int, rng: np.random.Generator) -> np.ndarray:
    """Return values [count] that drift between normal ones, drawn every so many."""
    knots = np.arange(0, count + every, every)
    return np.interp(np.arange(count), knots, rng.normal(0, 1, len(knots)))


def ink(drawing: Drawing, rng: np.random.Generator) -> np.ndarray:
    """Return how much ink lies where, [H, W] in [0, 1]."""
    width, height = (side * FINE for side in drawing.size)
    canvas = Image.new("L", (width, height))
    brush = ImageDraw.Draw(canvas)
    left, top, scale = (value * FINE for value in drawing.place)
    tilt = math.radians(drawing.tilt)
    turn = np.array([[math.cos(tilt), math.sin(tilt)], [-math.sin(tilt), math.cos(tilt)]])
    for stroke in drawing.strokes:
        curve = spline(stroke)
        count = len(curve)
        tremor = np.stack([0.005 * wander(count, 40, rng) for _ in range(2)], axis=1)
        curve = ((curve + tremor - 0.5) @ turn + 0.5) * scale + (left, top)
        slow = 0.6 * wander(count, 60, rng)
        along = np.linspace(0, 1, count)
        ends = np.minimum(1, 0.55 + 6 * np.minimum(along, 1.2 * (1 - along)))
        radius = drawing.width * FINE / 2 * (1 + drawing.pressure * slow) * ends
        for (x, y), r in zip(curve, radius, strict=True):
            brush.ellipse((x - r, y - r, x + r, y + r), fill=255)
    soft = canvas.filter(ImageFilter.GaussianBlur(0.6 * FINE)).resize(drawing.size, Image.Resampling.BOX)
    missing = np.clip(grain(drawing.size[::-1], 1.5, rng) * 0.5 + grain(drawing.size[::-1], 5, rng) * 0.3, 0, 1)
    return np.asarray(soft, dtype=np.float32) / 255 * (1 - drawing.skips * missing)


def light(drawing: Drawing, rng: np.random.Generator) -> np.ndarray:
    """Return the light on the scene, [H, W]: it falls off with distance, and something throws a shadow."""
    width, height = drawing.size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    angle = math.radians(drawing.light[0])
    along = (x - width / 2) * math.cos(angle) + (y - height / 2) * math.sin(angle)
    along = (along - along.min()) / (along.max() - along.min())
    fall = 1 - (1 - drawing.light[1]) * (1 - along) ** 1.3
    vignette = 1 - 0.18 * (((x - width / 2) / width) ** 2 + ((y - height / 2) / height) ** 2) * 2
    edge = 0.62 * width + 0.35 * y - x + 5 * grain((height, width), 90, rng)
    cast = 1 - drawing.shadow / (1 + np.exp(np.clip((edge - 0.45 * width) / -9, -40, 40)))
    return fall * vignette * cast


def photograph(drawing: Drawing) -> Image.Image:
    """Return the photograph of a drawing, the same bits each time."""
    rng = np.random.default_rng(drawing.seed)
    width, height = drawing.size
    shape = (height, width)
    fibres = 1 + 0.010 * grain(shape, 1.2, rng) + 0.008 * grain(shape, 4, rng) + 0.006 * grain(shape, 40, rng)
    scene = np.array(drawing.paper) * fibres[..., None]
    layer = ink(drawing, rng)[..., None]
    scene = scene * (1 - layer) + np.array(drawing.pen) * layer
    if drawing.desk is not None:
        scene = on_desk(scene, np.array(drawing.desk), rng)
    seen = scene * light(drawing, rng)[..., None] * np.array([1.02, 0.99, 0.93])
    lens = Image.fromarray((np.clip(seen, 0, 1) * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.8))
    clean = np.asarray(lens, dtype=np.float32) / 255
    sensor = rng.normal(0, 1, clean.shape) * (0.008 + 0.014 * np.sqrt(clean))
    return Image.fromarray((np.clip(clean + sensor, 0, 1) * 255).astype(np.uint8))


def on_desk(scene: np.ndarray, desk: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lay the sheet on a wooden desk that shows at the right and below, with the sheet's soft shadow."""
    height, width = scene.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    outside = np.maximum(x - 0.90 * width + 0.05 * y, y - 0.93 * height - 0.04 * x)
    wood = 1 + 0.10 * np.sin(y / 3.1 + 2.5 * grain((height, width), 60, rng)) + 0.05 * grain((height, width), 2, rng)
    shade = 1 - 0.5 * np.exp(-np.clip(outside, 0, None) / 5)
    share = np.clip(outside + 0.5, 0, 1)[..., None]
    return scene * (1 - share) + desk * (wood * shade)[..., None] * share


def main() -> None:
    """Write the three files."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    for drawing in (TWO, FIVE, SEVEN):
        photograph(drawing).save(folder / drawing.name, quality=82)


if __name__ == "__main__":
    main()
