"""Fill a folder so that a reader sees the whole folder or none."""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data_store.files import TEMPORARY_PREFIX, flush
from schemas.errors import InputError


def check_new_folder(path: Path, *, marker: str, force: bool, option: str = "--out") -> None:
    """Refuse a target before any work is done.

    Args:
        path: the folder to be written.
        marker: a file that every folder of this kind has; others are never replaced.
        force: replace one of this kind.
        option: what names the folder, for messages.

    Raises:
        InputError: it is a file, holds something else, or is there and `force` is not given.
    """
    if path.exists() and not path.is_dir():
        raise InputError("a file is in the way", where=path, fix=f"give {option} another name")
    if not path.exists():
        return
    if any(path.iterdir()) and not (path / marker).is_file():
        raise InputError(
            f"the folder holds something else: it is not empty and has no {marker}",
            where=path,
            fix=f"give {option} another name",
        )
    if not force:
        raise InputError(
            "the folder is there already",
            where=path,
            fix=f"give {option} another name, or --force to replace the folder and all in it",
        )


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder beside `path` to fill; it takes that name at the end, if no error.

    A folder that has the name already is replaced. What a killed process leaves, the new folder
    or between two renames the old one, has a name that begins with `.tmp-`.
    """
    path = path.expanduser().absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    filling = _beside(path)
    filling.mkdir()
    try:
        yield filling
        for entry in (*filling.rglob("*"), filling):
            flush(entry)
        if path.exists():
            old = _beside(path)
            path.rename(old)
            filling.rename(path)
            shutil.rmtree(old)
        else:
            filling.rename(path)
        flush(path.parent)
    finally:
        shutil.rmtree(filling, ignore_errors=True)


def _beside(path: Path) -> Path:
    return path.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}-{path.name[:80]}")
