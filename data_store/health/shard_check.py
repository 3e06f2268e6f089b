"""Look at every byte and every row of one shard.

The bytes are hashed and decoded once, one row group at a time, so that memory is bounded by the
size of the file.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data_store.layout import Shard, shard_name
from data_store.shards import REFILL, check_bytes, check_footer, first_line, is_newer
from schemas.errors import RowRefused, ShardDamaged
from schemas.ids import sha256_bytes
from schemas.packed import width_of, with_widths
from schemas.rows import check_table
from schemas.tables import BY_TEACHER, TABLES
from schemas.upgrades import schema_of


@dataclass(frozen=True, slots=True)
class ShardFacts:
    """What a sound shard holds and says of itself."""

    row_count: int
    created: str
    """When it was written, by the clock of the machine that wrote it."""
    teacher_ids: frozenset[str]
    """Who answered its rows; empty for tables that no teacher writes."""
    prompt_ids: frozenset[str]
    width: int
    """Numbers in each state; 0 where the table has no states."""


@dataclass(frozen=True, slots=True)
class Remains:
    """What the footer of a damaged shard still says; none of it is certain."""

    row_count: int | None = None
    producer: str = ""
    is_newer: bool = False
    """Whether it is sound for all we know, and only a newer release can read it."""
    home: str = ""
    """If the shard is sound but lies in the wrong folder: its right name."""


def check_shard(
    shard: Shard,
    data: bytes,
    *,
    where: str,
    take: Callable[[pa.Table], None] = lambda _: None,
) -> ShardFacts:
    """Compare a shard with its name, its folder, its footer and its table's schema.

    Args:
        shard: which shard it should be.
        data: its bytes.
        where: what errors call it.
        take: gets the rows, one row group after the other, each after it was checked.

    Raises:
        ShardDamaged: with the first thing that is wrong.
    """
    check_bytes(shard, data, where=where)
    try:
        # This also compares each page with its checksum.
        file = pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _unreadable(error, where) from error
    check_footer(file.metadata, shard, where=where)
    notes = _notes(file.metadata)
    _check_promises(file.metadata, notes, shard, where)
    schema = schema_of(shard.table, int(notes["schema_version"]))
    teachers: set[str] = set()
    prompts: set[str] = set()
    first, own = 0, {notes.get("teacher_id", "")}
    for number in range(file.num_row_groups):
        rows = _rows(file, number, schema, first, where)
        if shard.table in BY_TEACHER:
            teachers |= set(pc.unique(rows.column("teacher_id")).to_pylist())
            prompts |= set(pc.unique(rows.column("prompt_id")).to_pylist())
        take(rows)
        first += rows.num_rows
    if teachers - own:
        raise ShardDamaged(
            f"the shard holds rows of teachers {_short(teachers)}, its folder is of {_short(own)}",
            where=where,
            fix=REFILL,
        )
    created = notes.get("created", "")
    width = width_of(with_widths(schema, file.schema_arrow))
    return ShardFacts(first, created, frozenset(teachers), frozenset(prompts), width)


def remains(name: str, data: bytes) -> Remains:
    """What can be said of a file that is no sound shard under its name.

    Args:
        name: where it lies, relative to the store.
        data: its bytes.
    """
    try:
        footer = pq.read_metadata(pa.BufferReader(data))
        notes = _notes(footer)
    except (pa.ArrowException, OSError, ValueError):
        return Remains()
    table = notes.get("table", "")
    if table not in TABLES:
        return Remains(row_count=footer.num_rows)
    own_hash = sha256_bytes(data)
    # Only the hash in its name proves that nobody changed the file.
    proven = name.endswith(f"/{own_hash}.parquet")
    home = _home(table, notes.get("teacher_id", ""), own_hash, data) if proven else ""
    return Remains(
        footer.num_rows,
        notes.get("producer", ""),
        is_newer=proven and is_newer(footer, Shard(table, name)),
        home=home if home != name else "",
    )


def _home(table: str, teacher_id: str, own_hash: str, data: bytes) -> str:
    """The name under which these bytes are a sound shard, if there is one."""
    if table in BY_TEACHER and not re.fullmatch(r"[0-9a-f]{64}", teacher_id):
        return ""
    home = shard_name(table, own_hash, teacher_id)
    try:
        check_shard(Shard(table, home), data, where=home)
    except ShardDamaged:
        return ""
    return home


def _check_promises(
    footer: pq.FileMetaData, notes: dict[str, str], shard: Shard, where: str
) -> None:
    problems = []
    if notes.get("row_count") != str(footer.num_rows):
        problems.append(f"it was to hold {notes.get('row_count', '?')} rows, not {footer.num_rows}")
    if shard.table in BY_TEACHER and f"/teacher={notes.get('teacher_id', '')}/" not in shard.name:
        problems.append(f"it says that teacher {_short({notes.get('teacher_id', '')})} wrote it")
    if problems:
        raise ShardDamaged(
            f"the shard is not what its footer says: {'; '.join(problems)}", where=where, fix=REFILL
        )


def _rows(file: pq.ParquetFile, number: int, schema: pa.Schema, first: int, where: str) -> pa.Table:
    try:
        rows = file.read_row_group(number)
        check_table(rows, schema)
    except RowRefused as error:
        counted = f", counted from row {first}" if first else ""
        what = f"the shard holds a row that does not fit{counted}: {error.what}"
        raise ShardDamaged(what, where=where, fix=REFILL) from error
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _unreadable(error, where) from error
    return rows


def _notes(footer: pq.FileMetaData) -> dict[str, str]:
    found = footer.metadata or {}
    return {key.decode(errors="replace"): found[key].decode(errors="replace") for key in found}


def _unreadable(error: Exception, where: str) -> ShardDamaged:
    return ShardDamaged(f"the shard cannot be read: {first_line(error)}", where=where, fix=REFILL)


def _short(ids: set[str]) -> str:
    return ", ".join(f"{one[:12]}…" if one else "(none)" for one in sorted(ids)[:3])
