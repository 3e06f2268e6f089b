"""Pictures by row number: decoded once, kept in memory while they fit, cropped on demand.

Threads, not processes, prepare batches ahead: decoding and resizing release Python's lock, and
what one batch holds depends on the seed, the epoch and the rows alone, never on which thread
made it.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from data_store.images.pictures import open_rgb
from schemas.errors import ImageError
from train.settings import ImageSettings
from train.transforms import (
    Pixels,
    centre_view,
    prepared_pixels,
    random_view,
    view_generator,
)

IntArray = NDArray[np.int64]
Item = TypeVar("Item")
Made = TypeVar("Made")


class Pictures:
    """N picture files, as the student sees them."""

    def __init__(self, paths: Sequence[str], settings: ImageSettings) -> None:
        self._paths = paths
        self._crop_px, self._short_side_px = settings.crop_px, settings.short_side_px
        self._free_bytes = settings.cache_bytes
        self._kept: dict[int, Pixels] = {}
        self._threads = settings.threads or os.cpu_count() or 1

    def check(self, on_picture: Callable[[], None]) -> dict[int, ImageError]:
        """Decode every picture once, so that none can stop an epoch half-way.

        Args:
            on_picture: called after each.

        Returns:
            Why, for each row that cannot be decoded.
        """
        failures: dict[int, ImageError] = {}
        for row, pixels in enumerate(self._ahead(self._try, range(len(self._paths)))):
            if isinstance(pixels, ImageError):
                failures[row] = pixels
            elif pixels.nbytes <= self._free_bytes:
                self._free_bytes -= pixels.nbytes
                self._kept[row] = pixels
            on_picture()
        return failures

    def training_batches(
        self, batches: Iterable[IntArray], *, seed: int, epoch: int
    ) -> Iterator[Tensor]:
        """Random views of the rows of each batch, (B, 3, crop, crop) uint8."""

        def make(rows: IntArray) -> Tensor:
            return stacked(
                random_view(self._pixels(row), self._crop_px, view_generator(seed, epoch, row))
                for row in rows.tolist()
            )

        return self._ahead(make, batches)

    def centre_batches(self, rows: IntArray, *, batch_size: int) -> Iterator[Tensor]:
        """Centre views of the rows in their order, (B, 3, crop, crop) uint8."""

        def make(rows: IntArray) -> Tensor:
            return stacked(centre_view(self._pixels(row), self._crop_px) for row in rows.tolist())

        starts = range(0, len(rows), batch_size)
        return self._ahead(make, (rows[start : start + batch_size] for start in starts))

    def _pixels(self, row: int) -> Pixels:
        kept = self._kept.get(row)
        return self._decode(row) if kept is None else kept

    def _decode(self, row: int) -> Pixels:
        return prepared_pixels(
            open_rgb(self._paths[row]), short_side_px=self._short_side_px, crop_px=self._crop_px
        )

    def _try(self, row: int) -> Pixels | ImageError:
        try:
            return self._decode(row)
        except ImageError as error:
            return error

    def _ahead(self, make: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
        """Make the next few while the caller uses one, in order."""
        with ThreadPoolExecutor(self._threads) as pool:
            waiting: deque[Future[Made]] = deque()
            for item in items:
                waiting.append(pool.submit(make, item))
                if len(waiting) > self._threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()


def stacked(views: Iterable[Pixels]) -> Tensor:
    """Views of one size, (H, W, 3) each, as one tensor (B, 3, H, W), channels last in memory."""
    return torch.from_numpy(np.stack(list(views))).permute(0, 3, 1, 2)
