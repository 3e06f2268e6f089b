"""Scenes drawn by code, sharp at every place: sources of demo images besides photographs.

Every family fills its square with detail, because a distortion cannot be seen on a flat area.
A scene is drawn at twice its size and halved, so its edges are those of a sharp lens.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SCENE_PX = 448
"""Side of a scene."""

_CANVAS_PX = 2 * SCENE_PX

WORDS = (
    "leaf",
    "stem",
    "root",
    "bark",
    "river",
    "stone",
    "cloud",
    "morning",
    "window",
    "paper",
    "letter",
    "garden",
    "copper",
    "silver",
    "north",
    "south",
    "winter",
    "bridge",
    "harbour",
    "lantern",
    "mirror",
    "ladder",
    "orchard",
    "valley",
    "thunder",
    "quiet",
)


def scene_names(count: int) -> list[str]:
    """Names of the first `count` scenes; families take turns: `leaves-0`, `page-0`, ..."""
    families = list(_FAMILIES)
    return [f"{families[i % len(families)]}-{i // len(families)}" for i in range(count)]


def draw_scene(name: str, seed: int) -> Image.Image:
    """Draw a scene; the same name and seed give the same pixels.

    Args:
        name: from `scene_names`.
        seed: of all draws.

    Returns:
        RGB image of `SCENE_PX` x `SCENE_PX`.
    """
    family, number = name.rsplit("-", 1)
    rng = np.random.default_rng([seed, list(_FAMILIES).index(family), int(number)])
    return _FAMILIES[family](rng).resize((SCENE_PX, SCENE_PX), Image.Resampling.LANCZOS)


def _dead_leaves(rng: np.random.Generator) -> Image.Image:
    """Discs and boxes of all sizes over each other: the statistics of photographs."""
    image = Image.new("RGB", (_CANVAS_PX, _CANVAS_PX))
    draw = ImageDraw.Draw(image)
    for _ in range(2600):
        # Radii with density 1/r^3 look the same at every magnification.
        radius = 10.0 / np.sqrt(rng.uniform(0.005, 1.0))
        x, y = rng.uniform(0, _CANVAS_PX, 2)
        box = [x - radius, y - radius, x + radius, y + radius * rng.uniform(0.3, 1.5)]
        shape = draw.ellipse if rng.random() < 0.6 else draw.rectangle
        shape(box, fill=_colour(rng), outline=_colour(rng), width=2)
    return _with_grain(image, rng, 10.0)


def _page(rng: np.random.Generator) -> Image.Image:
    """Lines of words on paper, or light on dark."""
    ink, paper = _contrasting(rng)
    image = Image.new("RGB", (_CANVAS_PX, _CANVAS_PX), paper)
    draw = ImageDraw.Draw(image)
    top = 0
    while top < _CANVAS_PX:
        size_px = int(rng.integers(22, 60))
        words = " ".join(rng.choice(WORDS, 24))
        line = words.upper() if rng.random() < 0.2 else words
        draw.text((-rng.uniform(0, 90), top), line, ink, ImageFont.load_default(size_px))
        top += round(size_px * 1.15)
    return _with_grain(image, rng, 4.0)


def _cloth(rng: np.random.Generator) -> Image.Image:
    """Two sets of stripes woven into each other, with threads."""
    y, x = np.mgrid[0:_CANVAS_PX, 0:_CANVAS_PX].astype(np.float32)
    angle = rng.uniform(0, np.pi)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    period, thread = rng.uniform(50, 120), rng.uniform(7, 12)
    warp = np.sin(2 * np.pi * along / period) > 0
    weft = np.sin(2 * np.pi * across / (period * rng.uniform(0.5, 1.5))) > 0
    threads = 0.75 + 0.25 * np.sin(2 * np.pi * (along + across) / thread)
    mixed = 0.5 * (warp[..., None] * _colour_array(rng) + weft[..., None] * _colour_array(rng))
    return _to_image((mixed + 0.25 * _colour_array(rng)) * threads[..., None])


def _marble(rng: np.random.Generator) -> Image.Image:
    """Veins with sharp edges along the contours of a cloud, and the grain of the stone."""
    bands = np.sin(rng.uniform(40, 80) * _fractal(rng, 1.5)) > rng.uniform(-0.3, 0.3)
    dark, light = (np.array(colour) for colour in _contrasting(rng))
    grain = 0.6 + 0.6 * _fractal(rng, 0.7)[..., None]
    return _to_image(np.where(bands[..., None], dark, light) * grain)


def _glass(rng: np.random.Generator) -> Image.Image:
    """Cells around random points, each with its own shade and fine lines, as leaded glass."""
    points = rng.uniform(0, _CANVAS_PX, (160, 2)).astype(np.float32)
    y, x = np.mgrid[0:_CANVAS_PX:2, 0:_CANVAS_PX:2].astype(np.float32)
    first = np.full(x.shape, np.inf, dtype=np.float32)
    second, owner = first.copy(), np.zeros(x.shape, dtype=np.int64)
    for number, (left, top) in enumerate(points):
        distance = np.hypot(x - left, y - top)
        nearer = distance < first
        second = np.where(nearer, first, np.minimum(second, distance))
        owner = np.where(nearer, number, owner)
        first = np.minimum(first, distance)
    colours = rng.uniform(30, 240, (len(points), 3))
    waves = 0.85 + 0.15 * np.sin(first / rng.uniform(1.5, 3.0, len(points))[owner])
    lead = (second - first > 7.0)[..., None]
    return _to_image(colours[owner] * waves[..., None] * lead)


def _grass(rng: np.random.Generator) -> Image.Image:
    """Blades: thousands of thin strokes that lean one way."""
    image = Image.new("RGB", (_CANVAS_PX, _CANVAS_PX), _colour(rng))
    draw = ImageDraw.Draw(image)
    base, lean = _colour_array(rng), rng.uniform(-0.8, 0.8)
    for _ in range(6000):
        x, y = rng.uniform(-20, _CANVAS_PX + 20, 2)
        length, bend = rng.uniform(20, 110), lean + rng.normal(0, 0.35)
        shade = tuple(int(c) for c in np.clip(base * rng.uniform(0.3, 1.5), 0, 255))
        end = (x + length * np.sin(bend), y - length * np.cos(bend))
        draw.line([(x, y), end], fill=shade, width=int(rng.integers(2, 7)))
    return image


def _wall(rng: np.random.Generator) -> Image.Image:
    """Rough bricks in rows, under light that changes across the wall."""
    brick, mortar = _contrasting(rng)
    image = Image.new("RGB", (_CANVAS_PX, _CANVAS_PX), mortar)
    draw = ImageDraw.Draw(image)
    height = int(rng.integers(36, 70))
    for row, top in enumerate(range(0, _CANVAS_PX, height)):
        width = round(height * 2.2)
        for left in range(-width * (row % 2) // 2, _CANVAS_PX, width):
            shade = np.clip(np.array(brick) * rng.uniform(0.6, 1.2), 0, 255)
            box = [left + 3, top + 3, left + width - 3, top + height - 3]
            draw.rectangle(box, fill=tuple(int(c) for c in shade))
    light = np.linspace(rng.uniform(0.5, 0.8), 1.0, _CANVAS_PX)[None, :, None]
    rough = 0.6 + 0.8 * _fractal(rng, 0.6)[..., None]
    return _to_image(np.asarray(image, dtype=np.float32) * light * rough)


def _chart(rng: np.random.Generator) -> Image.Image:
    """Boxes, curves and labels on a gradient, as on a screen."""
    ramp = np.linspace(0, 1, _CANVAS_PX)[:, None, None]
    back = _colour_array(rng) * ramp + _colour_array(rng) * (1 - ramp)
    image = _to_image(np.broadcast_to(back, (_CANVAS_PX, _CANVAS_PX, 3)))
    draw = ImageDraw.Draw(image)
    for _ in range(170):
        left, top = rng.uniform(-40, _CANVAS_PX, 2)
        right, bottom = left + rng.uniform(20, 160), top + rng.uniform(20, 120)
        draw.rectangle([left, top, right, bottom], _colour(rng), _colour(rng), 4)
        font = ImageFont.load_default(int(rng.integers(20, 44)))
        draw.text((left, top), str(rng.choice(WORDS)), _colour(rng), font)
        start = rng.uniform(0, 360)
        draw.arc([left, top, right + 90, bottom + 90], start, start + 200, _colour(rng), 5)
    return image


_FAMILIES: dict[str, Callable[[np.random.Generator], Image.Image]] = {
    "leaves": _dead_leaves,
    "page": _page,
    "cloth": _cloth,
    "marble": _marble,
    "glass": _glass,
    "grass": _grass,
    "wall": _wall,
    "chart": _chart,
}


def _colour(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = rng.integers(10, 246, 3)
    return int(red), int(green), int(blue)


def _colour_array(rng: np.random.Generator) -> np.ndarray:
    """(3,) float32 in grey levels, not too dark."""
    return rng.uniform(60, 255, 3).astype(np.float32)


def _contrasting(rng: np.random.Generator) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """A dark and a light colour, in either order."""
    dark, light = rng.integers(0, 90, 3), rng.integers(170, 256, 3)
    pair = [tuple(int(c) for c in colour) for colour in (dark, light)]
    return (pair[0], pair[1]) if rng.random() < 0.5 else (pair[1], pair[0])


def _fractal(rng: np.random.Generator, exponent: float) -> np.ndarray:
    """(canvas, canvas) float32 in [0, 1], amplitude falling as 1 / frequency^exponent."""
    frequency = np.fft.rfftfreq(_CANVAS_PX)[None, :], np.fft.fftfreq(_CANVAS_PX)[:, None]
    radius = np.hypot(*frequency)
    radius[0, 0] = np.inf
    white = np.fft.rfft2(rng.standard_normal((_CANVAS_PX, _CANVAS_PX)))
    field = np.fft.irfft2(white / radius**exponent, s=(_CANVAS_PX, _CANVAS_PX))
    return np.asarray(np.clip(0.5 + 0.22 * field / field.std(), 0, 1), dtype=np.float32)


def _with_grain(image: Image.Image, rng: np.random.Generator, std: float) -> Image.Image:
    """Add the texture of a material, `std` grey levels, so no area is perfectly flat."""
    texture = (_fractal(rng, 0.7) - 0.5) * std * 4.5
    return _to_image(np.asarray(image, dtype=np.float32) + texture[..., None])


def _to_image(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
