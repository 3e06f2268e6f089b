"""The pictures on which an exported model is compared with PyTorch."""

from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from data_store import queries
from data_store.images.stored import read_image
from data_store.layout import open_store
from schemas.errors import ImageError, LeafError
from train.serving.decoded import picture_views
from train.settings import ImageSettings

COUNT = 32
MOST_TRIED = 128
"""Pictures of the store that are tried; where those are gone, so are the others."""


class ParityPictures(NamedTuple):
    """Centre views, and what they are of."""

    pixels: NDArray[np.uint8]  # (COUNT, crop, crop, 3)
    from_store: int
    drawn: int

    def described(self) -> str:
        """In words, for people."""
        parts = [(self.from_store, "of the run's store"), (self.drawn, "drawn at random")]
        return " and ".join(f"{count} images {what}" for count, what in parts if count)


def parity_pictures(store_address: str, images: ImageSettings) -> ParityPictures:
    """The first readable pictures of a store; drawn ones in the place of those that are missing.

    Args:
        store_address: may have moved since.
        images: how a picture reaches the student.
    """
    real = _of_store(store_address, images)
    drawn = [_drawn(number, images.crop_px) for number in range(len(real), COUNT)]
    return ParityPictures(np.stack([*real, *drawn]), len(real), len(drawn))


def _of_store(address: str, images: ImageSettings) -> list[NDArray[np.uint8]]:
    try:
        found = queries.images_to_compare(open_store(address), folder=None)
    except LeafError:
        return []
    views: list[NDArray[np.uint8]] = []
    for path in islice(found["path"].to_pylist(), MOST_TRIED):
        try:
            views.append(picture_views(read_image(path), images, where=path, crops=1)[0])
        except ImageError:
            continue
        if len(views) == COUNT:
            break
    return views


def _drawn(number: int, crop_px: int) -> NDArray[np.uint8]:
    """A smooth field of colours with as much noise on it as its number says."""
    rng = np.random.default_rng(number)
    corners = rng.uniform(0, 255, (2, 2, 3))
    y, x = np.mgrid[0 : 1 : crop_px * 1j, 0 : 1 : crop_px * 1j][..., None]
    top = corners[0, 0] * (1 - x) + corners[0, 1] * x
    bottom = corners[1, 0] * (1 - x) + corners[1, 1] * x
    noise = rng.normal(0, 4 * number, (crop_px, crop_px, 3))
    pixels: NDArray[np.uint8] = np.clip(top * (1 - y) + bottom * y + noise, 0, 255).astype(np.uint8)
    return pixels
