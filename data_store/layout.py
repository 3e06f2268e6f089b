"""Where things lie in a store, and how a store is made and opened.

STORE/store.json                                  format version
STORE/teachers/<teacher_id>.json                  who answers, in full
STORE/prompts/<prompt_id>.json                    what is asked, in full
STORE/<table>/[teacher=<teacher_id>/]<sha256>.parquet
STORE/index.duckdb                                rebuildable
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_store.files import write_atomically
from schemas.errors import StoreFormatError, StoreMissing
from schemas.ids import canonical_json
from schemas.tables import BY_TEACHER, TABLES
from schemas.teacher_spec import PromptSpec, TeacherSpec

FORMAT_VERSION = 1
SHARD_NAME = re.compile(r"[0-9a-f]{64}\.parquet")
TEACHER_FOLDER = re.compile(r"teacher=[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Store:
    """An opened store: its folder, and the paths below it."""

    root: Path

    @property
    def index_path(self) -> Path:
        """The rebuildable DuckDB file."""
        return self.root / "index.duckdb"

    def shard_folder(self, table: str, teacher_id: str = "") -> Path:
        """Folder of a table's shards; points and pairs lie in one folder per teacher."""
        folder = self.root / table
        return folder / f"teacher={teacher_id}" if table in BY_TEACHER else folder

    def shard_paths(self) -> Iterator[tuple[str, Path]]:
        """Every committed shard as (table, path), in a fixed order; nothing else is a shard."""
        for table in TABLES:
            for folder in self._shard_folders(table):
                for path in sorted(folder.iterdir()):
                    if SHARD_NAME.fullmatch(path.name):
                        yield table, path

    def _shard_folders(self, table: str) -> list[Path]:
        folder = self.root / table
        if not folder.is_dir():
            return []
        if table not in BY_TEACHER:
            return [folder]
        return sorted(p for p in folder.iterdir() if TEACHER_FOLDER.fullmatch(p.name))

    def write_teacher(self, spec: TeacherSpec) -> None:
        """Keep the full teacher spec beside its answers; the first name given stays."""
        _write_once(self.root / "teachers" / f"{spec.teacher_id}.json", spec.model_dump())

    def write_prompt(self, spec: PromptSpec) -> None:
        """Keep the full prompt beside its answers."""
        _write_once(self.root / "prompts" / f"{spec.prompt_id}.json", spec.model_dump(mode="json"))

    def teachers(self) -> dict[str, TeacherSpec]:
        """Every teacher that ever wrote here, by id."""
        return {
            path.stem: TeacherSpec.model_validate_json(path.read_bytes())
            for path in sorted((self.root / "teachers").glob("*.json"))
        }


def create_store(root: Path | str) -> Store:
    """Make a store, or open the one that is there.

    Raises:
        StoreFormatError: the store there is of another format version.
        StoreMissing: the folder holds other things and is no store.
    """
    root = Path(root).expanduser().resolve()
    if not (root / "store.json").exists():
        if root.is_file() or (root.is_dir() and any(root.iterdir())):
            raise StoreMissing(
                "this is not a store, and it is not empty",
                where=root,
                fix="give an empty or new folder for the store",
            )
        write_atomically(
            root / "store.json", canonical_json({"format_version": FORMAT_VERSION}).encode()
        )
    return open_store(root)


def open_store(root: Path | str) -> Store:
    """Open a store that is there.

    Raises:
        StoreMissing: there is none.
        StoreFormatError: its format version is not ours, or its store.json is unreadable.
    """
    root = Path(root).expanduser().resolve()
    marker = root / "store.json"
    if not marker.is_file():
        raise StoreMissing(
            "there is no store here", where=root, fix=f"make one with `store init {root}`"
        )
    try:
        version = json.loads(marker.read_text(encoding="utf-8"))["format_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise StoreFormatError(
            f"store.json cannot be read: {error}",
            where=marker,
            fix=f'put back {{"format_version":{FORMAT_VERSION}}} if the shards are ours',
        ) from error
    if version != FORMAT_VERSION:
        raise StoreFormatError(
            f"the store has format version {version}, this program reads {FORMAT_VERSION}",
            where=marker,
            fix="use the release of leaf-iqa that wrote it, or a newer one",
        )
    return Store(root)


def _write_once(path: Path, value: dict[str, Any]) -> None:
    if not path.exists():
        text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
        write_atomically(path, text.encode("utf-8"))
