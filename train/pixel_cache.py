"""Decoded pictures on disk, mapped into memory, shared by all runs over any store.

    CACHE/pixels/<preparation>/<digest>.pixels    segments, see pixel_segment.py

A picture is found by the SHA-256 of its file and by how it was prepared, so its pixels are the
same whoever decoded them, and no run's results depend on what is cached. All of it may be deleted
at any time: a run goes on with what it has mapped, and the next decodes anew. Several processes
may fill the cache at once; at worst they decode the same picture and its copies take room.
"""

import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from data_store.files import TEMPORARY_PREFIX
from data_store.remote_folder import cache_folder
from train.pixel_segment import (
    INDEX,
    SUFFIX,
    TRAILER,
    Place,
    SegmentWriter,
    delete_unused,
    open_segment,
)
from train.transforms import Pixels

SEGMENT_BYTES = 256 * 1024**2
"""A killed process loses at most so much decoding, and so much is deleted at a time."""

SPARED_BYTES = 1024**3
"""Of the disk, not to be filled: runs have checkpoints to write."""

ABANDONED_S = 3600.0
"""An unnamed file that nobody holds or wrote to for so long is that of a killed process."""


def pixel_cache_folder() -> Path:
    """Where decoded pictures are kept: in the folder that LEAF_CACHE names, or the user's cache."""
    return cache_folder() / "pixels"


class PixelCache:
    """The prepared pictures of some images, as far as they are on disk."""

    trouble: str | None = None
    """Why nothing more can be written, where it is not for want of room."""

    def __init__(
        self, folder: Path, preparation: str, wanted: Iterable[str], *, limit_bytes: int
    ) -> None:
        """Find what is there.

        Args:
            folder: of all preparations, new or there already.
            preparation: name of what was done to the pictures.
            wanted: image ids; others are neither looked up nor kept.
            limit_bytes: of the whole folder. Where it is reached, segments that nobody uses are
                deleted, those first whose last use is longest ago.
        """
        self._top, self._folder = folder, folder / preparation
        self._wanted = frozenset(wanted)
        self._limit_bytes = limit_bytes
        self._places: dict[str, Place] = {}
        self._seen: set[Path] = set()
        self._writer: SegmentWriter | None = None
        self._waiting: set[str] = set()
        self._free_bytes = 0
        self._full = False
        self._look()
        self._tidy()

    def find(self, image_id: str) -> Pixels | None:
        """A picture's pixels, (H, W, 3), or None where they are not kept. From any thread."""
        place = self._places.get(image_id)
        return None if place is None else place.pixels()

    def check(self, image_id: str) -> bool:
        """Whether a picture is kept and undamaged; else it is forgotten. From any thread."""
        place = self._places.get(image_id)
        if place is None or place.intact():
            return place is not None
        self._places.pop(image_id, None)
        with suppress(OSError):
            place.path.unlink()  # its other pictures stay mapped here, and are made anew later
        return False

    def keep(self, image_id: str, pixels: Pixels) -> bool:
        """Write a picture, to be found after `commit`; say whether there was room."""
        if image_id in self._places or image_id in self._waiting:
            return True
        try:
            if not self._has_room(pixels.nbytes + INDEX.itemsize):
                return False
            self._writer = self._writer or SegmentWriter(self._folder)
            self._writer.add(image_id, pixels)
        except OSError as error:
            self._give_up(error)
            return False
        self._waiting.add(image_id)
        self._free_bytes -= pixels.nbytes + INDEX.itemsize
        if self._writer.byte_count >= SEGMENT_BYTES:
            self.commit()
        return image_id in self._waiting or image_id in self._places

    def commit(self) -> None:
        """Make what was written found, here and by other processes, and look for what is new."""
        if self._writer is None:
            return
        try:
            places = self._writer.commit(self._wanted)
        except OSError as error:
            self._give_up(error)
            return
        self._writer = None
        self._waiting.clear()
        self._add(places)
        self._look()

    def _look(self) -> None:
        """Use the segments that appeared since last time."""
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            if path in self._seen:
                continue
            self._seen.add(path)
            places = open_segment(path, self._wanted - self._places.keys())
            if places is None:
                delete_unused(path)  # torn, or on its way out
            elif places:
                self._add(places)
                with suppress(OSError):
                    os.utime(path)  # used now: among the last to be deleted

    def _add(self, places: dict[str, Place]) -> None:
        # In place, because other threads look up and forget meanwhile.
        self._places.update(places)
        self._seen.update({place.path for place in places.values()})

    def _has_room(self, wanted_bytes: int) -> bool:
        if self._full or self.trouble is not None:
            return False
        if self._writer is None:
            self._top.mkdir(parents=True, exist_ok=True)
            on_disk = shutil.disk_usage(self._top).free - SPARED_BYTES
            self._free_bytes = min(self._limit_bytes - self._used_bytes(), on_disk) - TRAILER.size
        self._free_bytes += self._deleted(wanted_bytes - self._free_bytes)
        self._full = self._free_bytes < wanted_bytes
        return not self._full

    def _tidy(self) -> None:
        """Delete what killed processes left, and what is over a limit that was lowered."""
        for path in self._top.glob(f"*/{TEMPORARY_PREFIX}*"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > ABANDONED_S:
                    delete_unused(path)
        self._deleted(self._used_bytes() - self._limit_bytes)

    def _deleted(self, wanted_bytes: int) -> int:
        """Delete segments until so many bytes are free or none is left; say how many."""
        gained = 0
        if wanted_bytes > 0:
            by_last_use = sorted(self._files(SUFFIX), key=lambda found: found[1].st_mtime_ns)
            for path, facts in by_last_use:
                if gained >= wanted_bytes:
                    break
                gained += facts.st_size if delete_unused(path) else 0
        return gained

    def _used_bytes(self) -> int:
        return sum(facts.st_size for _, facts in self._files(""))

    def _files(self, suffix: str) -> Iterator[tuple[Path, os.stat_result]]:
        for path in self._top.glob(f"*/*{suffix}"):
            with suppress(FileNotFoundError):
                yield path, path.stat()

    def _give_up(self, error: OSError) -> None:
        self.trouble = error.strerror or str(error)
        if self._writer is not None:
            self._writer.abandon()
        self._writer = None
        self._waiting.clear()
