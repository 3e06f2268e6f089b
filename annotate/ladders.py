"""Distortion ladders: one image made worse step by step, so that the teacher's score must fall.

What was done to an image is known even where its quality is not, so a ladder checks a teacher on
anybody's images, without human scores (METHOD 4.6: low-level blindness).
"""

import io
from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

Kind = Literal["blur", "noise", "jpeg"]

STRENGTHS: dict[Kind, tuple[float, ...]] = {
    "blur": (0.8, 1.3, 2.0, 3.0, 4.5),
    "noise": (8.0, 16.0, 28.0, 42.0, 60.0),
    "jpeg": (50.0, 25.0, 14.0, 8.0, 4.0),
}
"""What is done at severity 1, 2, …; severity 0 is the image itself. Blur: standard deviation of the
Gaussian in px, on an image whose shorter side is `REFERENCE_PX` or less, and in proportion on
a larger one. Noise: standard deviation of white Gaussian noise in grey levels of 255. JPEG:
Pillow's quality setting. The last step of each is damage that nobody overlooks."""

REFERENCE_PX = 448
SEVERITIES = tuple(range(1 + len(STRENGTHS["blur"])))
"""Of all rungs of a ladder, the image itself included."""


class Rung(NamedTuple):
    """One image of a ladder."""

    kind: Kind
    severity: int
    """1 for the mildest."""
    image: Image.Image


def rungs(image: Image.Image) -> Iterator[Rung]:
    """The image at each severity from 1 on, kind by kind; the same ones for the same image.

    Args:
        image: RGB, any size; as large as the teacher sees it (`as_seen`), or mild steps vanish
            when it is made smaller.
    """
    for kind, strengths in STRENGTHS.items():
        for severity in range(1, len(strengths) + 1):
            yield Rung(kind, severity, degraded(image, kind, severity))


def degraded(image: Image.Image, kind: Kind, severity: int) -> Image.Image:
    """One rung; its size is the image's.

    Raises:
        KeyError: there is no such kind.
        IndexError: there is no such severity.
    """
    if severity == 0:
        return image
    strength = STRENGTHS[kind][severity - 1]
    match kind:
        case "blur":
            scale = max(1.0, min(image.size) / REFERENCE_PX)
            return image.filter(ImageFilter.GaussianBlur(strength * scale))
        case "noise":
            return _noisy(image, strength)
        case "jpeg":
            return _compressed(image, round(strength))


def as_seen(image: Image.Image, seen_px: tuple[int, int]) -> Image.Image:
    """The image made small enough to lie within `seen_px` (width, height); never enlarged."""
    if image.width <= seen_px[0] and image.height <= seen_px[1]:
        return image
    smaller = image.copy()
    smaller.thumbnail(seen_px, Image.Resampling.BICUBIC)
    return smaller


def kendall_tau_b(x: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Kendall's rank correlation, corrected for ties.

    tau_b = (C - D) / sqrt((P - T_x) (P - T_y)), of P = n (n - 1) / 2 pairs of values: C are in the
    same order in x and y, D in opposite order, T_x are ties in x and T_y ties in y.

    Args:
        x: (n,), numbers.
        y: (n,), numbers.

    Returns:
        In [-1, 1]; 0 where all of x or all of y are equal, which is no order at all.

    Source:
        Kendall 1945, The treatment of ties in ranking problems, Biometrika 33(3).
    """
    first, second = np.triu_indices(np.size(x), k=1)
    sign_x, sign_y = (np.sign(np.diff(np.asarray(v)[[first, second]], axis=0)) for v in (x, y))
    untied = float((sign_x**2).sum() * (sign_y**2).sum())
    return float((sign_x * sign_y).sum()) / untied**0.5 if untied else 0.0


def _noisy(image: Image.Image, std: float) -> Image.Image:
    # One field of noise for all severities: a worse rung has the same noise, and more of it.
    pixels = np.asarray(image, dtype=np.float32)
    field = np.random.default_rng(0).standard_normal(pixels.shape, dtype=np.float32)
    return Image.fromarray(np.clip(np.rint(pixels + std * field), 0, 255).astype(np.uint8))


def _compressed(image: Image.Image, quality: int) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    with Image.open(stream) as decoded:
        return decoded.convert("RGB")
