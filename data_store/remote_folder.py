"""Where a store's files lie: object storage, through fsspec (`s3://bucket/folder` and its like).

A file appears by one PUT, whole or not at all. Shards are named by the hash of their bytes and
never change, so each is downloaded once and then read from a mirror on this machine, checked
against its name on arrival. Everything that knows fsspec is in this file.
"""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fsspec

from data_store.files import write_atomically
from data_store.folders import not_writable
from schemas.errors import ShardDamaged, StoreUnreachable
from schemas.ids import sha256_bytes, sha256_text

TRANSFERS = 8
"""Downloads at a time: object storage answers slowly but many at once."""


def is_remote(address: str) -> bool:
    """Whether an address names object storage and not a folder of this machine."""
    return "://" in address and not address.startswith("file://")


def cache_folder() -> Path:
    """Where mirrors and indexes of stores that cannot hold their own are kept; safe to delete.

    `LEAF_CACHE`, or else the user's cache folder.
    """
    given = os.environ.get("LEAF_CACHE")
    if given:
        return Path(given).expanduser().resolve()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().resolve() / "leaf-iqa"


def cache_of(address: str) -> Path:
    """The part of the cache that belongs to one store."""
    return cache_folder() / sha256_text(address)[:24]


@dataclass(frozen=True, slots=True)
class RemoteFolder:
    """A folder on object storage, and its mirror on this machine."""

    address: str
    root: Path
    _system: Any = field(repr=False, compare=False)
    _path: str = field(repr=False, compare=False)

    @classmethod
    def at(cls, address: str) -> "RemoteFolder":
        """Open a folder by its address.

        Raises:
            StoreUnreachable: no fsspec file system knows such an address.
        """
        address = address.rstrip("/")
        options = {} if address.startswith("memory://") else {"use_listings_cache": False}
        with _talking(address):
            system, path = fsspec.core.url_to_fs(address, **options)
        return cls(address, cache_of(address), system, str(path).rstrip("/"))

    def files(self, below: str = "") -> list[str]:
        """As `Folder.files`; asked anew each time, never from a cached listing."""
        top = f"{self._path}/{below}" if below else self._path
        with _talking(self.address):
            self._system.invalidate_cache()
            found = self._system.find(top)
        return sorted(str(name)[len(self._path) :].lstrip("/") for name in found)

    def has(self, name: str) -> bool:
        """As `Folder.has`."""
        with _talking(self.address):
            return bool(self._system.isfile(f"{self._path}/{name}"))

    def size(self, name: str) -> int:
        """As `Folder.size`."""
        with _talking(self.address):
            return int(self._system.size(f"{self._path}/{name}"))

    def read(self, name: str) -> bytes:
        """As `Folder.read`.

        Raises:
            FileNotFoundError: it is not there.
        """
        with _talking(self.address):
            return bytes(self._system.cat_file(f"{self._path}/{name}"))

    def write(self, name: str, data: bytes | memoryview) -> None:
        """As `Folder.write`: one PUT."""
        with _talking(self.address):
            self._system.pipe_file(f"{self._path}/{name}", bytes(data))

    def delete(self, name: str) -> None:
        """As `Folder.delete`; the mirror's copy goes too."""
        with _talking(self.address), suppress(FileNotFoundError):
            self._system.rm_file(f"{self._path}/{name}")
        (self.root / name).unlink(missing_ok=True)

    def fetch(self, names: Iterable[str]) -> None:
        """As `Folder.fetch`: download what the mirror lacks, checked against its name.

        Raises:
            ShardDamaged: a shard's bytes are not what its name says.
            FileNotFoundError: a file is gone: another process compacted the store.
            StoreNotWritable: the mirror's disk is full.
        """
        missing = [name for name in names if not (self.root / name).exists()]
        with ThreadPoolExecutor(TRANSFERS) as pool:
            list(pool.map(self._fetch_one, missing))

    def forget(self, names: Iterable[str]) -> None:
        """As `Folder.forget`."""
        for name in names:
            (self.root / name).unlink(missing_ok=True)

    def _fetch_one(self, name: str) -> None:
        data = self.read(name)
        wanted = Path(name).stem
        if sha256_bytes(data) != wanted:
            raise ShardDamaged(
                f"the shard's bytes hash to {sha256_bytes(data)[:8]}…, its name says {wanted[:8]}…",
                where=f"{self.address}/{name}",
                fix="run `store verify --repair`; it says which command refills the shard",
            )
        try:
            write_atomically(self.root / name, data)
        except OSError as error:
            raise not_writable(error, self.root / name) from error


@contextmanager
def _talking(address: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    # Every kind of storage has errors of its own, with no common base but Exception.
    except Exception as error:
        raise StoreUnreachable(
            f"the storage does not answer as it should: {type(error).__name__}: {error}",
            where=address,
            fix="check the address, the credentials and the network; for S3, AWS_PROFILE or "
            "AWS_ACCESS_KEY_ID and, for other servers, AWS_ENDPOINT_URL",
        ) from error
