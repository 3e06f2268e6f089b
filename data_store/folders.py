"""Where a store's files lie: a folder on this machine.

`data_store/remote_folder.py` is the same on object storage. Names are relative to the store,
with forward slashes.
"""

import errno
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from data_store.files import write_atomically
from schemas.errors import StoreNotWritable, StoreUnreachable


class Folder(Protocol):
    """What the store asks of the place that holds its files."""

    @property
    def address(self) -> str:
        """The place as the user names it."""

    @property
    def root(self) -> Path:
        """Where its files can be opened on this machine once they were fetched."""

    def files(self, *below: str) -> list[str]:
        """Names of all files below some folders, sorted; without any, below the whole place."""

    def has(self, name: str) -> bool:
        """Whether there is such a file."""

    def size(self, name: str) -> int:
        """Bytes of a file."""

    def read(self, name: str) -> bytes:
        """The bytes of a file as the place holds them now."""

    def write(self, name: str, data: bytes | memoryview) -> None:
        """Put a file there, whole or not at all."""

    def delete(self, name: str) -> None:
        """Remove a file; nothing happens if it is gone already."""

    def fetch(self, names: Iterable[str]) -> None:
        """Make files of these names readable below `root`; they never change once written."""

    def forget(self, names: Iterable[str]) -> None:
        """These files are gone from the place: copies of them on this machine may go too."""


@dataclass(frozen=True, slots=True)
class LocalFolder:
    """A folder on this machine, or on storage that is mounted here."""

    root: Path

    @property
    def address(self) -> str:
        """The folder's absolute path."""
        return str(self.root)

    def files(self, *below: str) -> list[str]:
        """As `Folder.files`; links to folders below those that are named are not followed.

        Raises:
            StoreUnreachable: a folder may not be listed, so that its shards would be missing.
        """
        # Listing a folder is no snapshot: it can miss a merged shard that has just appeared and
        # also the ones that it replaced. Of two listings, one after the other, one has either.
        return sorted({*self._listed(below), *self._listed(below)})

    def _listed(self, below: tuple[str, ...]) -> list[str]:
        found = []
        for top in below or ("",):
            for parent, _, names in os.walk(self.root / top, onerror=_not_listed):
                here = Path(parent).relative_to(self.root).as_posix()
                prefix = "" if here == "." else f"{here}/"
                found += [prefix + name for name in names]
        return found

    def has(self, name: str) -> bool:
        """As `Folder.has`.

        Raises:
            StoreUnreachable: this user may not look there, or no file can have such a name.
        """
        try:
            return (self.root / name).is_file()
        except OSError as error:
            raise not_readable(error, self.root / name) from error

    def size(self, name: str) -> int:
        """As `Folder.size`."""
        return (self.root / name).stat().st_size

    def read(self, name: str) -> bytes:
        """As `Folder.read`."""
        return (self.root / name).read_bytes()

    def write(self, name: str, data: bytes | memoryview) -> None:
        """As `Folder.write`.

        Raises:
            StoreNotWritable: the disk is full, or the folder may not be written.
        """
        path = self.root / name
        try:
            write_atomically(path, data)
        except OSError as error:
            raise not_writable(error, path) from error

    def delete(self, name: str) -> None:
        """As `Folder.delete`.

        Raises:
            StoreNotWritable: the folder may not be written.
        """
        try:
            (self.root / name).unlink(missing_ok=True)
        except OSError as error:
            raise not_writable(error, self.root / name) from error

    def fetch(self, names: Iterable[str]) -> None:
        """Nothing to do: the files are here."""

    def forget(self, names: Iterable[str]) -> None:
        """Nothing to do: there are no copies."""


def not_readable(error: OSError, path: Path | str) -> StoreUnreachable:
    """What a refused look means for the user."""
    return StoreUnreachable(
        f"the place cannot be read: {error.strerror}",
        where=str(path),
        fix="give this user the right to read it"
        if isinstance(error, PermissionError)
        else "check the path, and what stands in its place",
    )


def _not_listed(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise not_readable(error, str(error.filename)) from error


def not_writable(error: OSError, path: Path) -> StoreNotWritable:
    """What a refused write means for the user."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT | errno.EFBIG:
            fix = "free some space and run the same command again; what was committed is safe"
        case errno.EACCES | errno.EPERM | errno.EROFS:
            fix = "give this user the right to write there, or use another store"
        case _:
            fix = "check the path, and what stands in its place"
    return StoreNotWritable(f"the file cannot be written: {error.strerror}", where=path, fix=fix)
