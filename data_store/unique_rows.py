"""SQL for the rows of a table: every shard read in its own version, one row per key.

Where a key lies in several shards the same row is chosen for ever, whatever the clock says: that of
the greater generation, which compaction raises and so does a MOS that replaces another; then by
the hash in the shard's name and the place in it.
Choosing costs a sort, so it is done only among shards of which the index knows that they share a
key.
"""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import pyarrow as pa

from schemas.fields import key_columns
from schemas.tables import TABLES
from schemas.upgrades import upgraded

_SQL_TYPES = {
    pa.string(): "varchar",
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.float32(): "float",
    pa.float64(): "double",
    pa.timestamp("us"): "timestamp",
    pa.binary(): "blob",
}
_CHOICE = {
    # A group that was given stands before one that was found, and both before none; of two looks
    # at one file the later one tells best whether it must be hashed again.
    "images": "case grouped_by when 'given' then 0 when 'look_alike' then 1 else 2 end,"
    " modified_ns desc nulls last, perceptual_hash is null, ",
}


class ShardFile(NamedTuple):
    """What a query must know of a shard."""

    path: str
    """Absolute, on this machine."""
    schema_version: int
    overlapping: bool
    """Whether another shard may hold one of its keys."""


def unique_rows(table: str, shards: Sequence[ShardFile]) -> str:
    """A SQL relation of a table's rows, one per key, with the column `shard` added.

    It refers to the index's table `shards` where it must choose between rows.
    """
    apart = [shard for shard in shards if not shard.overlapping]
    overlapping = [shard for shard in shards if shard.overlapping]
    parts = [all_rows(table, apart)] if apart or not overlapping else []
    if overlapping:
        columns = ", ".join((*TABLES[table].names, "shard"))
        parts.append(
            f"select {columns} from ("
            f"select *, row_number() over (partition by {', '.join(key_columns(TABLES[table]))}"
            f" order by {_CHOICE.get(table, '')}generation desc, shard, place) as rank"
            f" from ({all_rows(table, overlapping, keep=('shard', 'place'))}) join"
            " (select shard, generation from shards) using (shard)"
            ") where rank = 1"
        )
    return f"({' union all '.join(parts)})"


def all_rows(table: str, shards: Iterable[ShardFile], *, keep: tuple[str, ...] = ("shard",)) -> str:
    """A SELECT of every row of these shards in the present version.

    `keep` names what is added: `shard`, the hash in its name, and `place`, the row's number.
    """
    by_version: dict[int, list[str]] = {}
    for shard in shards:
        by_version.setdefault(shard.schema_version, []).append(shard.path)
    if not by_version:
        return _no_rows(table)
    return " union all ".join(
        upgraded(table, version, _read(paths), keep=keep)
        for version, paths in sorted(by_version.items())
    )


def quoted(text: str) -> str:
    """A text as a SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def pattern(path: str) -> str:
    """A path as DuckDB has to be given it: it takes [, * and ? in a path for a pattern."""
    return re.sub(r"[\[*?]", r"[\g<0>]", path)


def _read(paths: Sequence[str]) -> str:
    files = ", ".join(quoted(pattern(path)) for path in paths)
    return (
        "(select * exclude (filename, file_row_number),"
        " parse_filename(filename, true) as shard, file_row_number as place"
        f" from read_parquet([{files}],"
        " filename = true, file_row_number = true, hive_partitioning = false))"
    )


def _no_rows(table: str) -> str:
    columns = ", ".join(f"null::{_sql_type(field.type)} as {field.name}" for field in TABLES[table])
    return f"select {columns}, null::varchar as shard where false"


def _sql_type(kind: pa.DataType) -> str:
    if pa.types.is_fixed_size_list(kind):
        return f"{_SQL_TYPES[kind.value_type]}[]"
    return _SQL_TYPES[kind]
