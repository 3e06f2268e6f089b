"""From a decoded picture to the square that the student sees. Arrays in, arrays out.

Only what leaves quality alone: shrinking to a common size, cropping, mirroring. No colour,
blur or compression augmentation, because those change the quality that is to be learnt.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


def prepared_pixels(image: Image.Image, *, short_side_px: int | None, crop_px: int) -> Pixels:
    """Resize so that the short side fits, before any crop.

    Args:
        image: RGB.
        short_side_px: the short side afterwards, aspect kept; None keeps the picture's size,
            because shrinking hides blur, noise and compression.
        crop_px: a picture smaller than the crop is enlarged to it in either case.

    Returns:
        (H, W, 3), with H and W at least `crop_px`.
    """
    short = min(image.size)
    wanted = max(short if short_side_px is None else short_side_px, crop_px)
    if wanted != short:
        width, height = (max(wanted, round(side * wanted / short)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=3.0)
    return np.array(image)


def view_generator(seed: int, epoch: int, row: int) -> np.random.Generator:
    """Randomness of one picture in one epoch, whoever decodes it and in which order."""
    return np.random.default_rng((seed, epoch, row))


def random_view(pixels: Pixels, crop_px: int, rng: np.random.Generator) -> Pixels:
    """A random square of the picture, mirrored every other time.

    Args:
        pixels: (H, W, 3).
        crop_px: side of the square, at most H and W.
        rng: draws place and mirroring.

    Returns:
        (crop_px, crop_px, 3).
    """
    top = int(rng.integers(pixels.shape[0] - crop_px + 1))
    left = int(rng.integers(pixels.shape[1] - crop_px + 1))
    view = pixels[top : top + crop_px, left : left + crop_px]
    return view[:, ::-1] if rng.random() < 0.5 else view


def centre_view(pixels: Pixels, crop_px: int) -> Pixels:
    """The middle square of the picture, (crop_px, crop_px, 3)."""
    top, left = ((side - crop_px) // 2 for side in pixels.shape[:2])
    return pixels[top : top + crop_px, left : left + crop_px]
