"""Where things lie in a store, and how a store is made and opened.

STORE/store.json                                  format version
STORE/teachers/<teacher_id>.json                  who answers, in full
STORE/prompts/<prompt_id>.json                    what is asked, in full
STORE/<table>/[teacher=<teacher_id>/]<sha256>.parquet
STORE/index.duckdb                                rebuildable
STORE/quarantine/…                                damaged files that `store verify` moved away

STORE is a folder of this machine or an address of object storage; both look the same inside.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from data_store.folders import Folder, LocalFolder, not_readable
from data_store.remote_folder import RemoteFolder, cache_of, is_remote
from schemas.errors import StoreFormatError, StoreMissing
from schemas.ids import canonical_json
from schemas.tables import BY_TEACHER, TABLES
from schemas.teacher_spec import PromptSpec, TeacherSpec

FORMAT_VERSION = 1
MARKER = "store.json"
INDEX_FILE = "index.duckdb"

_SHA = r"[0-9a-f]{64}"
_SHARD_NAME = re.compile(
    "|".join(
        rf"{table}/{f'teacher={_SHA}/' if table in BY_TEACHER else ''}{_SHA}\.parquet"
        for table in TABLES
    )
)


_TABLE_ORDER = {table: place for place, table in enumerate(TABLES)}


class Shard(NamedTuple):
    """A committed shard: its table, and its name below the store."""

    table: str
    name: str

    @property
    def sha256(self) -> str:
        """The hash that its bytes must have."""
        return Path(self.name).stem


@dataclass(frozen=True, slots=True)
class Store:
    """An opened store."""

    folder: Folder

    @property
    def address(self) -> str:
        """The store as the user names it."""
        return self.folder.address

    @property
    def root(self) -> Path:
        """Where its shards can be read on this machine; for object storage, the mirror."""
        return self.folder.root

    @property
    def index_path(self) -> Path:
        """The rebuildable DuckDB file."""
        return self.root / INDEX_FILE

    @property
    def spare_index_path(self) -> Path:
        """Where the index goes when the store's own folder cannot be written."""
        return cache_of(self.address) / INDEX_FILE

    def shards(self) -> list[Shard]:
        """Every committed shard, in a fixed order; a file with another name is none."""
        found = [
            Shard(name.partition("/")[0], name)
            for name in self.folder.files(*TABLES)
            if is_shard_name(name)
        ]
        return sorted(found, key=lambda shard: (_TABLE_ORDER[shard.table], shard.name))

    def shard_paths(self) -> Iterator[tuple[str, Path]]:
        """Every committed shard as (table, path on this machine)."""
        for shard in self.shards():
            yield shard.table, self.root / shard.name

    def write_teacher(self, spec: TeacherSpec) -> None:
        """Keep the full teacher spec beside its answers; the first name given stays."""
        self._write_once(f"teachers/{spec.teacher_id}.json", spec.model_dump())

    def write_prompt(self, spec: PromptSpec) -> None:
        """Keep the full prompt beside its answers."""
        self._write_once(f"prompts/{spec.prompt_id}.json", spec.model_dump(mode="json"))

    def teachers(self) -> dict[str, TeacherSpec]:
        """Every teacher that ever wrote here, by id.

        Raises:
            StoreFormatError: a teacher's file cannot be read.
        """
        return {
            Path(name).stem: self._teacher(name)
            for name in self.folder.files("teachers")
            if re.fullmatch(rf"teachers/{_SHA}\.json", name)
        }

    def _teacher(self, name: str) -> TeacherSpec:
        try:
            return TeacherSpec.model_validate_json(self.folder.read(name))
        except (ValidationError, OSError) as error:
            raise StoreFormatError(
                f"the file that describes a teacher cannot be read: {_first_problem(error)}",
                where=f"{self.address}/{name}",
                fix="run `store verify --repair`, then `annotate` with this teacher again: it"
                " writes the file anew and asks nothing twice",
            ) from error

    def _write_once(self, name: str, value: dict[str, Any]) -> None:
        if not self.folder.has(name):
            text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
            self.folder.write(name, text.encode("utf-8"))


def is_shard_name(name: str) -> bool:
    """Whether a file of this name, relative to the store, is a shard for readers."""
    return _SHARD_NAME.fullmatch(name) is not None


def shard_name(table: str, sha256: str, teacher_id: str = "") -> str:
    """The name of a shard; points and pairs lie in one folder per teacher.

    Raises:
        ValueError: a table by teacher, and no teacher: no reader would look there.
    """
    if table in BY_TEACHER and not re.fullmatch(_SHA, teacher_id):
        raise ValueError(f"{teacher_id!r} is no teacher_id, and rows of {table} need one")
    between = f"teacher={teacher_id}/" if table in BY_TEACHER else ""
    return f"{table}/{between}{sha256}.parquet"


def create_store(address: Path | str) -> Store:
    """Make a store, or open the one that is there.

    Args:
        address: a folder, or an address of object storage such as s3://bucket/folder.

    Raises:
        StoreFormatError: the store there is of another format version.
        StoreMissing: the folder holds other things and is no store.
        StoreNotWritable: the folder cannot be made or written.
    """
    folder = _folder(address)
    if not folder.has(MARKER):
        if _holds_anything(folder):
            raise StoreMissing(
                "this is not a store, and it is not empty",
                where=folder.address,
                fix="give an empty or new folder for the store",
            )
        folder.write(MARKER, canonical_json({"format_version": FORMAT_VERSION}).encode())
    return open_store(address)


def store_or_none(address: Path | str) -> Store | None:
    """Open a store, or None where there is none. Raises StoreFormatError as `open_store`."""
    try:
        return open_store(address)
    except StoreMissing:
        return None


def open_store(address: Path | str) -> Store:
    """Open a store that is there.

    Raises:
        StoreMissing: there is none.
        StoreFormatError: its format version is not ours, or its store.json is unreadable.
        StoreUnreachable: the object storage does not answer, or this user may not read it.
    """
    folder = _folder(address)
    if not folder.has(MARKER):
        raise StoreMissing(
            "there is no store here",
            where=folder.address,
            fix=f"make one with `store init {folder.address}`",
        )
    where = f"{folder.address}/{MARKER}"
    try:
        version = json.loads(folder.read(MARKER))["format_version"]
    except OSError as error:
        raise not_readable(error, where) from error
    except (ValueError, KeyError, TypeError) as error:
        raise StoreFormatError(
            f"store.json cannot be read: {error}",
            where=where,
            fix=f'put back {{"format_version":{FORMAT_VERSION}}} if the shards are ours',
        ) from error
    if version != FORMAT_VERSION:
        raise StoreFormatError(
            f"the store has format version {version}, this program reads {FORMAT_VERSION}",
            where=where,
            fix="use the release of leaf-iqa that wrote it, or a newer one",
        )
    return Store(folder)


def _folder(address: Path | str) -> Folder:
    if is_remote(str(address)):
        return RemoteFolder.at(str(address))
    try:
        root = Path(str(address).removeprefix("file://")).expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, no such home folder
        raise StoreMissing(
            f"this is no path of a folder: {error}", where=str(address), fix="check the path"
        ) from error
    if "\\" in str(root):  # DuckDB takes it for a slash, and would look in another folder
        raise StoreMissing(
            "the path of a store may not hold a backslash", where=root, fix="rename the folder"
        )
    return LocalFolder(root)


def _first_problem(error: ValidationError | OSError) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}" if place else first["msg"]


def _holds_anything(folder: Folder) -> bool:
    if isinstance(folder, LocalFolder):
        try:
            return folder.root.is_file() or (folder.root.is_dir() and any(folder.root.iterdir()))
        except OSError as error:
            raise not_readable(error, folder.root) from error
    return bool(folder.files())
