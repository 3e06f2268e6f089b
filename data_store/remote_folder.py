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
from schemas.errors import ShardDamaged, StoreNotWritable, StoreUnreachable
from schemas.ids import sha256_bytes, sha256_text

OBJECT_STORAGE = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "memory")
"""Kinds of address at which one write makes a whole file; S3 alone is tested."""

TRANSFERS = 8
"""Downloads at a time: object storage answers slowly but many at once."""

SAID_FROM = 100
"""So many downloads take a while, and the person who waits should know why."""

PATIENCE_WITH_S3: dict[str, Any] = {
    "connect_timeout": 5,
    "read_timeout": 10,
    "retries": {"mode": "standard", "total_max_attempts": 3},
}
"""Seconds, and tries of one request. By the defaults a server that never answers takes minutes."""

ROUNDS_WITH_S3 = 2
"""How often s3fs tries anew after these tries, for instance where an answer broke off."""


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
            StoreUnreachable: the address is not one of object storage, or names no bucket.
        """
        kind, _, place = address.partition("://")
        if kind not in OBJECT_STORAGE or not place.strip("/"):
            raise StoreUnreachable(
                "this is no address of object storage, where a file appears whole or not at all",
                where=address,
                fix="give a folder, or an address such as s3://bucket/folder; known are "
                + ", ".join(f"{name}://" for name in OBJECT_STORAGE),
            )
        address = address.rstrip("/")
        with _talking(address):
            system, path = fsspec.core.url_to_fs(address, **_options(address))
            if _is_s3(address):
                system.retries = ROUNDS_WITH_S3
        return cls(address, cache_of(address), system, str(path).rstrip("/"))

    def files(self, *below: str) -> list[str]:
        """As `Folder.files`; asked anew each time, never from a cached listing.

        Raises:
            StoreUnreachable: there is not even a bucket to look into.
        """
        # A listing comes in pages and is no snapshot: a merged shard may appear on a page that
        # was read already, while the shards it replaces vanish from pages still to come. Of two
        # listings one after the other, at least one has the one or the others.
        # Of several folders everything is listed at once: every listing is a question to a server.
        top = below[0] if len(below) == 1 else ""
        found = {*self._listed(top), *self._listed(top)}
        tops = tuple(f"{folder}/" for folder in below) or ("",)
        return sorted(name for name in found if name.startswith(tops))

    def has(self, name: str) -> bool:
        """As `Folder.has`."""
        # Not `isfile`, which takes every failure, a refused password too, for "no".
        try:
            with _talking(self.address):
                return bool(self._system.info(f"{self._path}/{name}")["type"] == "file")
        except FileNotFoundError:
            return False

    def size(self, name: str) -> int:
        """As `Folder.size`.

        Raises:
            FileNotFoundError: it is not there.
        """
        with _talking(self.address):
            return int(self._system.info(f"{self._path}/{name}")["size"])

    def read(self, name: str) -> bytes:
        """As `Folder.read`.

        Raises:
            FileNotFoundError: it is not there.
        """
        with _talking(self.address):
            return bytes(self._system.cat_file(f"{self._path}/{name}"))

    def write(self, name: str, data: bytes | memoryview) -> None:
        """As `Folder.write`: one PUT; from 100 MiB on, parts that appear together.

        Raises:
            StoreUnreachable: the storage refuses it, or there is no such bucket.
        """
        with _talking(self.address, missing="the bucket is not there"):
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
        if len(missing) >= SAID_FROM:
            from data_store.console import say

            say(f"downloading {len(missing)} shards of {self.address} to {self.root}")
        pool = ThreadPoolExecutor(TRANSFERS)
        try:
            vanished = [error for error in pool.map(self._fetch_one, missing) if error]
        finally:
            # After a failure nobody waits for downloads that have not begun.
            pool.shutdown(cancel_futures=True)
        if vanished:
            raise vanished[0]

    def forget(self, names: Iterable[str]) -> None:
        """As `Folder.forget`."""
        for name in names:
            (self.root / name).unlink(missing_ok=True)

    def _listed(self, below: str) -> Iterator[str]:
        prefix = f"{below}/" if below else ""
        with _talking(self.address, missing="the bucket is not there"):
            self._system.invalidate_cache()
            # Storage that knows no prefixes lists everything, so names are compared here too.
            found = self._system.find(self._path, prefix=prefix)
            names = (str(name)[len(self._path) :].lstrip("/") for name in found)
        return (name for name in names if name.startswith(prefix))

    def _fetch_one(self, name: str) -> FileNotFoundError | None:
        """Download a file.

        Returns:
            Why it is gone, if it is: what is not gone is still worth having.
        """
        try:
            data = self.read(name)
        except FileNotFoundError as error:
            return error
        found, wanted = sha256_bytes(data), Path(name).stem
        if found != wanted:
            raise ShardDamaged(
                f"the shard's bytes hash to {found[:8]}…, its name says {wanted[:8]}…",
                where=f"{self.address}/{name}",
                fix="run `store verify --repair`; it says which command refills the shard",
            )
        try:
            write_atomically(self.root / name, data)
        except OSError as error:
            raise StoreNotWritable(
                f"the copy on this machine cannot be written: {error.strerror}",
                where=self.root / name,
                fix="free some space, or set LEAF_CACHE to a folder that has it",
            ) from error
        return None


def _is_s3(address: str) -> bool:
    return address.startswith(("s3://", "s3a://"))


def _options(address: str) -> dict[str, Any]:
    """What fsspec must be told: never a cached listing, and to give up in time."""
    if address.startswith("memory://"):
        return {}
    patience = {"config_kwargs": PATIENCE_WITH_S3} if _is_s3(address) else {}
    return {"use_listings_cache": False, **patience}


@contextmanager
def _talking(address: str, *, missing: str = "") -> Iterator[None]:
    """Turn what the storage raises into errors of ours; `missing` says what a 404 means here."""
    try:
        yield
    except FileNotFoundError as error:
        if not missing:
            raise
        raise StoreUnreachable(
            missing,
            where=address,
            fix="check the address; a bucket is made with the storage's own tools",
        ) from error
    except ImportError as error:
        raise StoreUnreachable(
            f"the package for this kind of storage is missing: {error}",
            where=address,
            fix="for s3:// install s3fs, which is the extra leaf-iqa[s3]",
        ) from error
    # Every kind of storage has errors of its own, with no common base but Exception.
    except Exception as error:
        raise StoreUnreachable(
            f"the storage does not answer as it should: {type(error).__name__}: {error}",
            where=address,
            fix="check the address, the credentials and the network; for S3, AWS_PROFILE or "
            "AWS_ACCESS_KEY_ID and, for other servers, AWS_ENDPOINT_URL",
        ) from error
