"""Decode images ahead of the network: a few at a time, in order, in bounded memory.

Pixels are those of training (`train.transforms`). What is large, in the file or once it is
prepared, is decoded alone, so that memory does not grow with the number of processors.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from typing import NamedTuple

import numpy as np

from data_store.images.pictures import LARGE_PIXELS, MAX_PIXELS, open_checked
from data_store.images.stored import read_image
from schemas.errors import ImageError
from schemas.ids import sha256_bytes
from train.serving.picture_list import Picture
from train.settings import ImageSettings
from train.transforms import Pixels, five_views, prepared_centre, prepared_picture

MAX_THREADS = 16
"""More would hold more decoded images at once than any network needs."""

CROPS = (1, 5)
"""Views of an image that may be asked for: the centre, or the centre and the four corners."""

_one_large_picture = threading.Lock()


class Decoded(NamedTuple):
    """One image: its content's id and its views, or why there are none."""

    picture: Picture
    image_id: str | None
    views: Pixels | None  # (V, crop, crop, 3)
    error: str | None


def decode_picture(picture: Picture, images: ImageSettings, *, crops: int) -> Decoded:
    """Read, decode, shrink and crop one image; what is wrong with it is part of the answer."""
    try:
        data = read_image(picture.path)
    except ImageError as error:
        return Decoded(picture, None, None, error.what)
    image_id = sha256_bytes(data)
    try:
        views = picture_views(data, images, where=picture.path, crops=crops)
    except ImageError as error:
        return Decoded(picture, image_id, None, error.what)
    return Decoded(picture, image_id, views, None)


def picture_views(data: bytes, images: ImageSettings, *, where: str, crops: int) -> Pixels:
    """The views of an image that are scored, (V, crop, crop, 3).

    Raises:
        ImageError: it cannot be decoded, has too many pixels, or would have.
    """
    header = open_checked(data, where=where, max_pixels=MAX_PIXELS)
    short_px, crop_px = images.short_side_px, images.crop_px
    with _one_large_picture if _is_large(header.size, images) else nullcontext():
        if crops == 1:
            return prepared_centre(data, short_side_px=short_px, crop_px=crop_px, where=where)[None]
        pixels = prepared_picture(data, short_side_px=short_px, crop_px=crop_px, where=where)
        return np.array(five_views(pixels, crop_px))


def decoded_ahead(
    pictures: Iterable[Picture], decode: Callable[[Picture], Decoded], *, ahead: int
) -> Iterator[Decoded]:
    """Decode in threads while the caller uses what is done, in order.

    Args:
        pictures: taken one by one.
        decode: called from many threads.
        ahead: how many may be decoded, or waiting to be, before the caller asks for them.
    """
    with ThreadPoolExecutor(min(os.cpu_count() or 1, MAX_THREADS)) as pool:
        waiting: deque[Future[Decoded]] = deque()
        try:
            for picture in pictures:
                waiting.append(pool.submit(decode, picture))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _is_large(size: tuple[int, int], images: ImageSettings) -> bool:
    """Whether a picture has many pixels, or will have once its short side fits."""
    short = min(size)
    scale = max(images.short_side_px or short, images.crop_px, 1) / max(short, 1)
    return size[0] * size[1] * max(1.0, scale) ** 2 > LARGE_PIXELS
