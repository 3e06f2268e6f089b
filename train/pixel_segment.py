"""One file of the pixel cache: decoded pictures one after the other, and behind them their index.

    pixels of every picture, (H, W, 3) uint8 each | index | trailer

The index has an id, a place, a shape and a checksum for each picture; the trailer has the length
of the whole file and a checksum of the index. The file gets its name when all of it is written,
and is named for its index. Whoever uses one holds a shared lock on it. The system drops that lock
when the process ends, however it ends, so nobody ever waits for a process that is gone.
"""

import fcntl
import hashlib
import mmap
import os
import struct
import zlib
from collections.abc import Container
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from data_store.files import temporary_beside
from train.transforms import Pixels

SUFFIX = ".pixels"
MAGIC = b"leafpix1"
INDEX = np.dtype(
    [
        ("image_id", "V32"),
        ("offset", "<i8"),
        ("height", "<i4"),
        ("width", "<i4"),
        ("checksum", "<u4"),
    ]
)
TRAILER = struct.Struct("<QQ32s8s")  # bytes of the file, pictures, SHA-256 of the index, magic


class Place(NamedTuple):
    """Where one picture lies; its segment is in use as long as this is kept."""

    path: Path
    mapped: mmap.mmap
    offset: int
    height: int
    width: int
    checksum: int

    def pixels(self) -> Pixels:
        """(H, W, 3), read-only; stays valid when the file is deleted."""
        count = self.height * self.width * 3
        flat: Pixels = np.frombuffer(self.mapped, np.uint8, count, self.offset)
        return flat.reshape(self.height, self.width, 3)

    def intact(self) -> bool:
        """Whether the pixels are those that were written."""
        return _checksum(self.pixels()) == self.checksum


def open_segment(path: Path, wanted: Container[str]) -> dict[str, Place] | None:
    """Map a segment and hold it in use for those of its pictures that are wanted.

    Returns:
        Places by image id, or None where the file is gone, about to go, or not whole.
    """
    try:
        with path.open("rb") as stream:
            if not _locked(stream.fileno(), fcntl.LOCK_SH):
                return None
            mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):  # ValueError: the file is empty
        return None
    index = _read_index(mapped)
    return None if index is None else _places(path, mapped, index, wanted)


def delete_unused(path: Path) -> bool:
    """Delete a file of the cache unless a process uses it; say whether it is gone."""
    try:
        with path.open("rb") as stream:
            if not _locked(stream.fileno(), fcntl.LOCK_EX):
                return False
            path.unlink(missing_ok=True)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


class SegmentWriter:
    """A segment that is being written; nobody sees it before it is whole."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._temporary = temporary_beside(folder / "segment")
        self._descriptor = os.open(self._temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        _locked(self._descriptor, fcntl.LOCK_EX)
        self._rows: list[tuple[bytes, int, int, int, int]] = []
        self.byte_count = 0

    def add(self, image_id: str, pixels: Pixels) -> None:
        """Append a picture.

        Args:
            image_id: SHA-256, hex.
            pixels: (H, W, 3).

        Raises:
            OSError: the disk is full, for instance; the segment is of no more use.
        """
        height, width, _ = pixels.shape
        pixels = np.ascontiguousarray(pixels)
        row = (bytes.fromhex(image_id), self.byte_count, height, width, _checksum(pixels))
        self._write(pixels.data.cast("B"))
        self._rows.append(row)

    def commit(self, wanted: Container[str]) -> dict[str, Place]:
        """Give the file its name.

        Returns:
            As `open_segment`.

        Raises:
            OSError: as `add`.
        """
        index = np.array(self._rows, dtype=INDEX)
        digest = hashlib.sha256(index.tobytes())
        end = self.byte_count + index.nbytes + TRAILER.size
        self._write(index.tobytes())
        self._write(TRAILER.pack(end, len(index), digest.digest(), MAGIC))
        mapped = mmap.mmap(self._descriptor, 0, access=mmap.ACCESS_READ)
        path = self._temporary.with_name(digest.hexdigest()[:32] + SUFFIX)
        _locked(self._descriptor, fcntl.LOCK_SH)
        # Not flushed to disk: what a power cut leaves unwritten is noticed by its checksum.
        with suppress(FileNotFoundError):  # the folder was deleted meanwhile; the mapping serves
            self._temporary.replace(path)
        os.close(self._descriptor)
        return _places(path, mapped, index, wanted)

    def abandon(self) -> None:
        """Delete what was written."""
        os.close(self._descriptor)
        with suppress(OSError):
            self._temporary.unlink()

    def _write(self, data: bytes | memoryview) -> None:
        rest = memoryview(data)
        while rest:
            written = os.write(self._descriptor, rest)
            self.byte_count += written
            rest = rest[written:]


def _checksum(pixels: Pixels) -> int:
    return zlib.crc32(pixels.data)


def _locked(descriptor: int, kind: int) -> bool:
    """Lock a file without waiting; the lock goes on with a mapping of the file."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        # A file system without locks cannot say what is in use, so there nothing is deleted.
        return kind == fcntl.LOCK_SH
    return True


def _read_index(mapped: mmap.mmap) -> np.ndarray[tuple[int], np.dtype[np.void]] | None:
    start = len(mapped) - TRAILER.size
    if start < 0:
        return None
    file_bytes, count, digest, magic = TRAILER.unpack_from(mapped, start)
    index_bytes = count * INDEX.itemsize
    if file_bytes != len(mapped) or magic != MAGIC or index_bytes > start:
        return None
    data = mapped[start - index_bytes : start]
    return np.frombuffer(data, INDEX) if hashlib.sha256(data).digest() == digest else None


def _places(
    path: Path,
    mapped: mmap.mmap,
    index: np.ndarray[tuple[int], np.dtype[np.void]],
    wanted: Container[str],
) -> dict[str, Place]:
    columns = (index[name].tolist() for name in INDEX.names or ())
    return {
        image_id: Place(path, mapped, *numbers)
        for key, *numbers in zip(*columns, strict=True)
        if (image_id := key.hex()) in wanted
    }
