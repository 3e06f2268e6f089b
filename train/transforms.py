"""From a picture's bytes to the squares that the student sees.

Only what leaves quality alone: shrinking to a common size, cropping, mirroring. No colour,
blur or compression augmentation, because those change the quality that is to be learnt.
"""

from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image

from data_store.images.pictures import MAX_PIXELS, decode_rgb
from schemas.errors import ImageError

Pixels = NDArray[np.uint8]

REDUCING_GAP = 3.0
"""A picture is averaged by whole factors before it is shrunk more than this exactly."""

RESAMPLING_VERSION = 1
"""Raised whenever the same file would give other pixels, so that none made before are used."""


def preparation_name(*, short_side_px: int | None, crop_px: int) -> str:
    """Name all that decides the pixels of a prepared picture, besides its file.

    Settings that give the same pixels have the same name: with a short side, the crop matters
    only where it is larger. Pillow's version counts, because decoders round differently.
    """
    size = f"own-{crop_px}" if short_side_px is None else f"short-{max(short_side_px, crop_px)}"
    return f"{size}-v{RESAMPLING_VERSION}-pillow-{PIL.__version__}"


def prepared_picture(
    data: bytes, *, short_side_px: int | None, crop_px: int, where: Path | str
) -> Pixels:
    """Decode a file's bytes and resize, as training and prediction both do.

    Where the picture is to be shrunk much, it is shrunk by a whole factor while it is decoded:
    that is faster, and a photograph of 100 megapixels needs little memory as a JPEG.

    Args:
        data: all bytes of the file.
        short_side_px: as in `prepared_pixels`.
        crop_px: as in `prepared_pixels`.
        where: names the file in errors.

    Returns:
        (H, W, 3), with H and W at least `crop_px`.

    Raises:
        ImageError: the bytes cannot be decoded, or the picture is so long and narrow that it
            would have more than `MAX_PIXELS` once its short side fits.
    """
    image, _ = _decoded(data, short_side_px, crop_px, where)
    return prepared_pixels(image, short_side_px=short_side_px, crop_px=crop_px)


def prepared_centre(
    data: bytes, *, short_side_px: int | None, crop_px: int, where: Path | str
) -> Pixels:
    """Decode a file's bytes and resize the middle alone, for those who look at nothing else.

    The same as the centre view of `prepared_picture`, but for single pixels that differ by 1
    because the place of the middle is rounded, in about half the time after decoding.

    Args:
        data: all bytes of the file.
        short_side_px: as in `prepared_pixels`.
        crop_px: as in `prepared_pixels`.
        where: names the file in errors.

    Returns:
        (crop_px, crop_px, 3).

    Raises:
        ImageError: as `prepared_picture`.
    """
    image, (width, height) = _decoded(data, short_side_px, crop_px, where)
    if max(image.width / width, image.height / height) >= 2.0 * REDUCING_GAP:
        pixels = prepared_pixels(image, short_side_px=short_side_px, crop_px=crop_px)
        return centre_view(pixels, crop_px).copy()  # shrunk in two steps, the first needs all
    left, top = (width - crop_px) // 2, (height - crop_px) // 2
    if (width, height) == image.size:
        return np.array(image.crop((left, top, left + crop_px, top + crop_px)))
    across, down = image.width / width, image.height / height
    box = (left * across, top * down, (left + crop_px) * across, (top + crop_px) * down)
    return np.array(image.resize((crop_px, crop_px), Image.Resampling.BICUBIC, box=box))


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
    size = _size_after(image.size, short_side_px, crop_px)
    if size != image.size:
        image = image.resize(size, Image.Resampling.BICUBIC, reducing_gap=REDUCING_GAP)
    return np.array(image)


def _decoded(
    data: bytes, short_side_px: int | None, crop_px: int, where: Path | str
) -> tuple[Image.Image, tuple[int, int]]:
    """A picture with at least the detail that is looked at, and its size once it is prepared."""

    def size_after(width: int, height: int) -> tuple[int, int]:
        return _size_after((width, height), short_side_px, crop_px)

    shrunk = None if short_side_px is None else size_after
    image = decode_rgb(data, where=where, shown_size=shrunk)
    width, height = size_after(*image.size)
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"the image would be enlarged to {width} x {height} px",
            where=where,
            fix="cut it to a common shape, or leave it out",
            reason="too_large",
        )
    return image, (width, height)


def _size_after(size: tuple[int, int], short_side_px: int | None, crop_px: int) -> tuple[int, int]:
    """Width and height of a picture once it is prepared."""
    short = min(size)
    wanted = max(short if short_side_px is None else short_side_px, crop_px)
    width, height = (max(wanted, round(side * wanted / short)) for side in size)
    return width, height


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


def five_views(pixels: Pixels, crop_px: int) -> Pixels:
    """The middle square and those in the corners, to be scored together.

    Args:
        pixels: (H, W, 3).
        crop_px: side of the squares, at most H and W.

    Returns:
        (5, crop_px, crop_px, 3): the centre view, then top left, top right, bottom left and
        bottom right. They overlap wherever the picture is less than twice as large as the crop.
    """
    bottom, right = (side - crop_px for side in pixels.shape[:2])
    corners = [
        pixels[top : top + crop_px, left : left + crop_px]
        for top in (0, bottom)
        for left in (0, right)
    ]
    return np.stack([centre_view(pixels, crop_px), *corners])
