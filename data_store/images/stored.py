"""The bytes of one image by the path that the store keeps: a file, or an image in a container.

    /photos/a.jpg                     a file
    /photos/shard-0001.tar::a.jpg     member a.jpg of a tar
    /photos/table.parquet::image/17   column `image`, row 17 from 0, of a Parquet file

Nothing is ever unpacked to disk, and a member's name is looked up among the names in its tar
only, so no name can lead out of it.
"""

import stat
from collections.abc import Iterator
from pathlib import Path

from data_store.images.in_parquet import read_row
from data_store.images.in_tar import read_member
from data_store.images.names import INSIDE, is_parquet, is_tar
from schemas.errors import ImageError


def read_image(path: str) -> bytes:
    """All bytes of an image; many threads may ask at once.

    What is known of an opened container is kept, so that reading images in any order does not
    search their container anew for each.

    Args:
        path: as in the column `path` of the table `images`, or any path of a file.

    Raises:
        ImageError: it is not there, is no regular file, may not be read, or its container is
            damaged.
    """
    try:
        return _read_file(Path(path))
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        for container, name in _containers(path):
            return _read_inside(container, name, path)
        raise _unreadable(path, error) from error


def _read_file(path: Path) -> bytes:
    if not stat.S_ISREG(path.stat().st_mode):
        # Reading a pipe or a device could wait for ever.
        raise OSError(0, "it is not a regular file")
    return path.read_bytes()


def _containers(path: str) -> Iterator[tuple[str, str]]:
    """Ways to part a path in two such that the first part is a tar or Parquet file."""
    at = path.find(INSIDE)
    while at >= 0:
        container = path[:at]
        if (is_tar(container) or is_parquet(container)) and Path(container).is_file():
            yield container, path[at + len(INSIDE) :]
        at = path.find(INSIDE, at + 1)


def _read_inside(container: str, name: str, path: str) -> bytes:
    try:
        if is_tar(container):
            return read_member(container, name, where=path)
        return read_row(container, name, where=path)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: Exception) -> ImageError:
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return ImageError(
        f"the file cannot be read: {why}",
        where=path,
        fix="put it back and check that you may read it, or add it again",
        reason="unreadable",
    )
