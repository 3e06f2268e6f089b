"""Writing files so that a reader sees the whole file or none."""

import os
import secrets
from pathlib import Path

TEMPORARY_PREFIX = ".tmp-"
"""Readers of a store never look at names that begin so."""


def write_atomically(path: Path, data: bytes) -> None:
    """Write under a temporary name in the same folder, flush to disk, rename.

    If the process dies before the rename, a file with a temporary name is left that no reader
    looks at; after it, the file is whole.
    """
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}-{path.name[:80]}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _flush_folder(path.parent)


def _flush_folder(folder: Path) -> None:
    # A rename is only as durable as the folder entry it made.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
