"""Crops of a source picture that have enough detail for a distortion to be seen.

Blur leaves a clear sky as it was, so the known quality of a flat crop means nothing. Several
places are tried and the first busy one is taken.
"""

import numpy as np
from PIL import Image

CROP_PX = 112
"""Side of every crop: what the tiny teacher looks at in one tile."""

BUSY_STEP = 12.0
"""Mean absolute step between neighbouring pixels, along rows plus along columns, grey levels."""


def draw_crop(
    source: Image.Image, rng: np.random.Generator, *, shrink: tuple[float, float], tries: int = 12
) -> Image.Image:
    """Cut a busy square out of the source and shrink it by a random factor.

    Args:
        source: RGB picture, both sides at least `CROP_PX`.
        rng: draws the factor and the places.
        shrink: smallest and largest factor by which each side is divided, as far as the source
            is large enough. Shrinking hides the softness of the source, so a crop without
            distortion is crisp.
        tries: places looked at; if none is busy, the busiest of them is taken.

    Returns:
        RGB crop of `CROP_PX` x `CROP_PX`.
    """
    factor = min(rng.uniform(*shrink), min(source.size) / CROP_PX)
    side_px = CROP_PX * factor
    best, best_step = source, -1.0
    for _ in range(tries):
        left, top = (rng.uniform(0.0, side - side_px) for side in source.size)
        box = (left, top, left + side_px, top + side_px)
        crop = source.resize((CROP_PX, CROP_PX), Image.Resampling.LANCZOS, box=box)
        step = _mean_step(np.asarray(crop.convert("L"), dtype=np.float32))
        if step > best_step:
            best, best_step = crop, step
        if step >= BUSY_STEP:
            break
    return best


def _mean_step(grey: np.ndarray) -> float:
    return float(np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean())
