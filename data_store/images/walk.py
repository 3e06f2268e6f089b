"""Image files on disk: below a folder, matching a pattern, or one by one. None is opened.

Hidden files and folders are passed over, and so are links to folders: a link could lead round
in a circle. What cannot be looked at comes as an error in the place of an image.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from data_store.images.names import is_image, printable
from schemas.errors import ImageError, InputError

_MAGIC = frozenset("*?[")
_DEEP = "**"


class SourceImage(NamedTuple):
    """An image that was found, and what tells whether it has changed since it was added."""

    path: str
    """As the store keeps it: absolute, or container and place inside (`stored.py`)."""
    name: str
    """Below the folder that was added, with forward slashes."""
    file_bytes: int | None
    """None where only reading tells."""
    modified_ns: int | None
    """When the file, or the container, was last changed, in ns since 1970."""


Listed = SourceImage | ImageError


def walk_images(top: str, *, below: str = "", without: str = "") -> Iterator[Listed]:
    """Every image file below a folder, by its suffix, in no particular order.

    Args:
        top: absolute.
        below: names are relative to this folder above `top`; `top` itself if empty.
        without: a folder that is passed over.
    """
    for entry in _files_below(top, without):
        if isinstance(entry, ImageError):
            yield entry
        elif is_image(entry.name):
            yield found(entry.path, os.path.relpath(entry.path, below or top), entry)


def image_files(folder: Path) -> list[Path]:
    """Every image file below a folder, by its suffix, sorted.

    A folder that cannot be looked into, or a file that is none, is listed too: whoever reads it
    meets the error there.

    Raises:
        InputError: the folder is missing or holds no image file.
    """
    folder = folder.expanduser().resolve()
    listed = walk_images(str(folder)) if folder.is_dir() else iter(())
    files = sorted(
        Path(image.where if isinstance(image, ImageError) else image.path) for image in listed
    )
    if not files:
        raise InputError(
            "there is no image file in this folder" if folder.is_dir() else "no such folder",
            where=folder,
            fix="give a folder with image files",
        )
    return files


def found(path: str, name: str, entry: "os.DirEntry[str] | None" = None) -> Listed:
    """One file as an image, or why it cannot be one; a link stands for what it leads to."""
    try:
        status = entry.stat() if entry else Path(path).stat()
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        return _refused(path, getattr(error, "strerror", None) or str(error))
    if not stat.S_ISREG(status.st_mode):
        return _refused(path, "it is not a regular file")
    if path != printable(path):
        return _refused(path, "its name is not UTF-8", reason="bad_name")
    return SourceImage(path, name.replace(os.sep, "/"), status.st_size, status.st_mtime_ns)


def is_folder(path: str) -> bool:
    """Whether a path is that of a folder, or of what we may not know: looking into it tells."""
    try:
        return Path(path).is_dir()
    except PermissionError:
        return True
    except (OSError, ValueError):  # too long a name, a zero byte
        return False


def has_pattern(word: str) -> bool:
    """Whether a word is a pattern: it holds *, ? or [."""
    return not _MAGIC.isdisjoint(word)


def pattern_root(pattern: str) -> tuple[str, list[str]]:
    """A pattern as the absolute folder above its first wildcard, and the parts below it."""
    parts = list(Path(pattern).expanduser().parts)
    first = next(number for number, part in enumerate(parts) if has_pattern(part))
    return str(Path(*parts[:first]).resolve()), parts[first:]


def matching(root: str, parts: Sequence[str], *, without: str = "") -> Iterator[str | ImageError]:
    """Paths of files and folders below a root that match; `**` stands for any depth of folders.

    As in a shell, a wildcard does not match the dot of a hidden name. With `**` only files
    match: the folders' files do so themselves.
    """
    head, *rest = parts
    if head == _DEEP:
        yield from _matching_deep(root, rest, without)
    elif has_pattern(head):
        for entry in _entries(root, without):
            if isinstance(entry, ImageError):
                yield entry
            elif fnmatchcase(entry.name, head) and not _is_link_to_folder(entry):
                yield from _matching_below(entry.path, rest, without)
    else:
        yield from _matching_below(str(Path(root, head)), rest, without)


def _matching_below(path: str, rest: Sequence[str], without: str) -> Iterator[str | ImageError]:
    if not rest and os.path.lexists(path):
        yield path
    elif rest and is_folder(path):
        yield from matching(path, rest, without=without)


def _matching_deep(root: str, rest: Sequence[str], without: str) -> Iterator[str | ImageError]:
    if not rest:
        for file in _files_below(root, without):
            yield file if isinstance(file, ImageError) else file.path
        return
    yield from matching(root, rest, without=without)
    for entry in _entries(root, without):
        if isinstance(entry, ImageError):
            yield entry
        elif entry.is_dir(follow_symlinks=False):
            yield from _matching_deep(entry.path, rest, without)


def _files_below(top: str, without: str) -> "Iterator[os.DirEntry[str] | ImageError]":
    waiting = [top]
    while waiting:
        for entry in _entries(waiting.pop(), without):
            if isinstance(entry, ImageError):
                yield entry
            elif entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
            elif not _is_link_to_folder(entry):
                yield entry


def _is_link_to_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_symlink() and entry.is_dir()
    except OSError:  # a link to itself, or to where we may not look: `found` says so
        return False


def _entries(folder: str, without: str) -> "Iterator[os.DirEntry[str] | ImageError]":
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.name.startswith(".") and entry.path != without:
                    yield entry
    except OSError as error:
        yield _refused(folder, f"the folder cannot be looked into: {error.strerror}")


def _refused(path: str, why: str, *, reason: str = "unreadable") -> ImageError:
    return ImageError(
        f"the file cannot be read: {why}",
        where=printable(path),
        fix="check that it is there and that you may read it",
        reason=reason,
    )
