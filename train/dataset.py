"""Pictures by row number: decoded once into the pixel cache, cropped on demand.

Threads, not processes, prepare batches ahead: copying and decoding release Python's lock, and
what one batch holds depends on the seed, the epoch and the rows alone, never on which thread
made it or on what was cached. Nothing here opens the store.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from data_store.console import say
from data_store.images.stored import read_image
from schemas.errors import ImageError
from schemas.ids import sha256_bytes
from train.pixel_cache import PixelCache
from train.settings import ImageSettings
from train.transforms import (
    Pixels,
    centre_view,
    preparation_name,
    prepared_picture,
    random_view,
    view_generator,
)

IntArray = NDArray[np.int64]
Item = TypeVar("Item")
Made = TypeVar("Made")


class Pictures:
    """N picture files, as the student sees them."""

    def __init__(
        self,
        image_ids: Sequence[str],
        paths: Sequence[str],
        settings: ImageSettings,
        cache_dir: Path | None,
    ) -> None:
        """Look up what is cached.

        Args:
            image_ids: (N,) SHA-256 of each file's bytes, hex.
            paths: (N,) as the store keeps them.
            settings: how they are prepared.
            cache_dir: of the pixel cache, see `pixel_cache_folder`; None decodes every time.
        """
        self._image_ids, self._paths = image_ids, paths
        self._settings = settings
        self._threads = settings.threads or os.cpu_count() or 1
        self._failures: dict[int, ImageError] = {}
        self._counting = threading.Lock()
        self.decode_count = 0
        """How many times a file was decoded."""
        self._cache: PixelCache | None = None
        if cache_dir is not None and settings.cache_bytes > 0:
            self._cache = PixelCache(
                cache_dir,
                preparation_name(short_side_px=settings.short_side_px, crop_px=settings.crop_px),
                image_ids,
                limit_bytes=settings.cache_bytes,
            )

    def check(self, on_picture: Callable[[], None]) -> dict[int, ImageError]:
        """Decode every picture that is not cached, so that none can stop an epoch half-way.

        Args:
            on_picture: called after each.

        Returns:
            Why, for each row that cannot be decoded. It is tried again in the next run only.
        """
        try:
            for row, found in enumerate(self._ahead(self._try, range(len(self._paths)))):
                if isinstance(found, ImageError):
                    self._failures[row] = found
                elif found is not None and self._cache is not None:
                    self._cache.keep(self._image_ids[row], found)
                on_picture()
        finally:
            if self._cache is not None:
                self._cache.commit()
        if self._cache is not None:
            self._say_what_is_not_cached(self._cache)
        return dict(self._failures)

    def training_batches(
        self, batches: Iterable[IntArray], *, seed: int, epoch: int
    ) -> Iterator[Tensor]:
        """Random views of the rows of each batch, (B, 3, crop, crop) uint8."""

        def view(row: int) -> Pixels:
            rng = view_generator(seed, epoch, row)
            return random_view(self._pixels(row), self._settings.crop_px, rng)

        return self._ahead(lambda rows: stacked(map(view, rows.tolist())), batches)

    def centre_batches(self, rows: IntArray, *, batch_size: int) -> Iterator[Tensor]:
        """Centre views of the rows in their order, (B, 3, crop, crop) uint8."""

        def view(row: int) -> Pixels:
            return centre_view(self._pixels(row), self._settings.crop_px)

        starts = range(0, len(rows), batch_size)
        batches = (rows[start : start + batch_size] for start in starts)
        return self._ahead(lambda batch: stacked(map(view, batch.tolist())), batches)

    def _pixels(self, row: int) -> Pixels:
        if row in self._failures:
            raise self._failures[row]
        kept = None if self._cache is None else self._cache.find(self._image_ids[row])
        return self._decode(row) if kept is None else kept

    def _decode(self, row: int) -> Pixels:
        with self._counting:
            self.decode_count += 1
        data = read_image(self._paths[row])
        if sha256_bytes(data) != self._image_ids[row]:
            raise ImageError(
                "the file has changed since it was added",
                where=self._paths[row],
                fix="add its folder again with `store add-images`",
                reason="changed",
            )
        return prepared_picture(
            data,
            short_side_px=self._settings.short_side_px,
            crop_px=self._settings.crop_px,
            where=self._paths[row],
        )

    def _try(self, row: int) -> Pixels | ImageError | None:
        """A picture that is not cached yet, None for one that is, or why it cannot be had."""
        try:
            if self._cache is not None and self._cache.check(self._image_ids[row]):
                return None
            return self._decode(row)
        except ImageError as error:
            return error

    def _say_what_is_not_cached(self, cache: PixelCache) -> None:
        missing = sum(
            row not in self._failures and cache.find(image_id) is None
            for row, image_id in enumerate(self._image_ids)
        )
        if missing:
            why = cache.trouble or (
                f"the cache has no more room (images.cache_bytes = {self._settings.cache_bytes})"
            )
            say(f"{missing} of {len(self._paths)} pictures are decoded anew in every epoch: {why}")

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
