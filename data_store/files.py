"""Writing files so that a reader sees the whole file or none."""

import os
import secrets
from pathlib import Path

from data_store.faults import reach

TEMPORARY_PREFIX = ".tmp-"
"""Readers of a store never look at names that begin so."""

PIECE_BYTES = 1 << 22


def write_atomically(path: Path, data: bytes | memoryview) -> None:
    """Write under a temporary name in the same folder, flush to disk, rename.

    If the process dies before the rename, a file with a temporary name is left that no reader
    looks at; after it, the file is whole.
    """
    temporary = temporary_beside(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        _write_and_flush(temporary, memoryview(data))
        reach("write.before_rename")
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    reach("write.renamed")
    flush(path.parent)


def temporary_beside(path: Path) -> Path:
    """A name in the same folder that no reader looks at and nobody else uses."""
    # The tail is cut because a file name may have 255 bytes at most.
    return path.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}-{path.name[-40:]}")


def is_broken_link(path: Path) -> bool:
    """Whether a path is a link that leads nowhere, or in a circle."""
    try:
        return path.is_symlink() and not path.exists()
    except OSError:
        return False  # it leads somewhere where this user may not look


def leads_out(path: Path, top: Path) -> bool:
    """Whether a path below `top` is, or lies behind, a link to some place that is not."""
    return not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(top))


def flush(path: Path) -> None:
    """Make a file last, or in a folder what was renamed: that is only as durable as its entry."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_and_flush(path: Path, data: memoryview) -> None:
    with path.open("wb", buffering=0) as stream:
        reach("write.opened")
        for start in range(0, len(data), PIECE_BYTES):
            piece = data[start : start + PIECE_BYTES]
            half = len(piece) // 2
            _write_all(stream.fileno(), piece[:half])
            reach("write.half_written")
            _write_all(stream.fileno(), piece[half:])
        reach("write.before_flush")
        os.fsync(stream.fileno())


def _write_all(descriptor: int, data: memoryview) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
