"""Merge many small shards into few, without losing, repeating or hiding a row.

Shards are merged only with others of the same table, teacher and producer, so that every row
keeps its provenance, and of the same width where they hold states. A merged shard is committed,
read back and compared with its name before the shards it replaces are deleted; until they are
gone the views choose between equal rows. If the process dies anywhere, running it again finishes
the work; readers that were using a deleted shard ask again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import duckdb
import pyarrow as pa

from data_store.console import progress
from data_store.faults import reach
from data_store.index import reader, refresh
from data_store.layout import Shard, Store
from data_store.plans import Figure, Plan
from data_store.shards import check_bytes, commit_rows
from data_store.unique_rows import ShardFile, all_rows, unique_rows
from schemas.fields import key_columns
from schemas.packed import of_width
from schemas.tables import TABLES

ROWS_PER_SHARD = 1_000_000
"""About 60 MB of points: a merge holds one such shard in memory."""

BYTES_PER_SHARD = 1 << 28
"""256 MiB: states are wide, and a million rows of them would be gigabytes."""

SMALL_BELOW = 0.5
"""A shard with less than this share of the wanted rows, and bytes, is worth merging."""


@dataclass(frozen=True, slots=True)
class CompactSummary:
    """What compaction did."""

    shards_before: int
    shards_after: int
    rows_dropped: int
    """Rows that another shard held too; no view ever showed them."""


@dataclass(frozen=True, slots=True)
class _Listed:
    """A shard as the index lists it."""

    shard: Shard
    teacher_id: str
    producer: str
    row_count: int
    schema_version: int
    generation: int
    overlapping: bool
    width: int
    file_bytes: int

    def file(self, store: Store) -> ShardFile:
        return ShardFile(str(store.root / self.shard.name), self.schema_version, self.overlapping)


def compact(store: Store, *, rows_per_shard: int = ROWS_PER_SHARD) -> CompactSummary:
    """Merge small shards, and shards that share keys, until a second run would change nothing.

    Args:
        store: which store.
        rows_per_shard: how many rows a merged shard should have at most; it has fewer where they
            come to more than `BYTES_PER_SHARD`.

    Raises:
        ShardDamaged: a shard cannot be read; `store verify` says more.
        StoreNotWritable: the disk is full. Nothing that was not merged is deleted then.
    """
    before = len(store.shards())
    with reader(store) as connection:
        merges = list(_merges(_list(connection), rows_per_shard))
        reach("compact.begun")
        dropped = _merge_all(connection, store, merges)
    refresh(store)
    reach("compact.done")
    return CompactSummary(before, len(store.shards()), dropped)


def compact_plan(store: Store, *, rows_per_shard: int = ROWS_PER_SHARD) -> Plan:
    """What `compact` would merge now; nothing is written."""
    with reader(store) as connection:
        listed = _list(connection)
    merges = list(_merges(listed, rows_per_shard))
    merged = [one for merge in merges for one in merge]
    size = sum(one.file_bytes for one in merged)
    return Plan(
        "store compact",
        "shards",
        len(merged),
        len(listed) - len(merged),
        Figure(None, "nothing tells how fast this disk is"),
        Figure(float(size), "the shards as they are, beside which the merged ones are written"),
        {"rows": sum(one.row_count for one in merged), "shards_after": len(listed) - len(merged)
         + len(merges)},
    )  # fmt: skip


def _merge_all(
    connection: duckdb.DuckDBPyConnection, store: Store, merges: Sequence[Sequence[_Listed]]
) -> int:
    """Merge from one and the same view of the store; returns how many rows were dropped."""
    dropped = 0
    to_delete: list[_Listed] = []
    with progress(sum(len(merge) for merge in merges), label="compact", unit="shards") as bar:
        for merge in merges:
            try:
                dropped += _merge(connection, store, merge)
            except (duckdb.IOException, FileNotFoundError):
                if {one.shard for one in merge} <= set(store.shards()):
                    raise
                bar.note("another process is compacting too")
                continue
            reach("compact.merged")
            # Shards that share keys are compared with each other until the last is merged.
            if any(one.overlapping for one in merge):
                to_delete += merge
            else:
                _delete(store, merge)
            bar.advance(len(merge))
    _delete(store, to_delete)
    return dropped


def _delete(store: Store, replaced: Sequence[_Listed]) -> None:
    for place, one in enumerate(replaced):
        if place == len(replaced) // 2:
            reach("compact.half_deleted")
        store.folder.delete(one.shard.name)


def _list(connection: duckdb.DuckDBPyConnection) -> list[_Listed]:
    rows = connection.execute(
        "select table_name, path, teacher_id, producer, row_count, schema_version, generation,"
        " overlapping, width, file_bytes"
        " from shards order by table_name, teacher_id, producer, width, number"
    ).fetchall()
    return [_Listed(Shard(table, path), *others) for table, path, *others in rows]


def _merges(listed: Sequence[_Listed], rows_per_shard: int) -> Iterator[list[_Listed]]:
    """Sets of shards to be merged into one each.

    A shard that shares keys is merged even alone: its copies of rows that stand elsewhere go.
    """
    for _, group in groupby(listed, _alike):
        merge: list[_Listed] = []
        rows = size = 0
        for one in group:
            share = max(one.row_count / rows_per_shard, one.file_bytes / BYTES_PER_SHARD)
            if share >= SMALL_BELOW and not one.overlapping:
                continue
            rows, size = rows + one.row_count, size + one.file_bytes
            if merge and (rows > rows_per_shard or size > BYTES_PER_SHARD):
                yield from _worthwhile(merge)
                merge, rows, size = [], one.row_count, one.file_bytes
            merge.append(one)
        yield from _worthwhile(merge)


def _alike(one: _Listed) -> tuple[str, str, str, int]:
    return one.shard.table, one.teacher_id, one.producer, one.width


def _worthwhile(merge: list[_Listed]) -> list[list[_Listed]]:
    return [merge] if len(merge) > 1 or any(one.overlapping for one in merge) else []


def _merge(connection: duckdb.DuckDBPyConnection, store: Store, merge: Sequence[_Listed]) -> int:
    """Commit one shard that holds the rows of some; returns how many stand elsewhere."""
    first = merge[0]
    rows = _rows_that_stand(connection, store, merge)
    if rows.num_rows:
        path = commit_rows(
            store,
            first.shard.table,
            rows,
            producer=first.producer,
            teacher_id=first.teacher_id,
            generation=max(one.generation for one in merge) + 1,
        )
        merged = Shard(first.shard.table, path.relative_to(store.root).as_posix())
        check_bytes(merged, store.folder.read(merged.name), where=path)
    dropped: int = sum(one.row_count for one in merge) - rows.num_rows
    return dropped


def _rows_that_stand(
    connection: duckdb.DuckDBPyConnection, store: Store, merge: Sequence[_Listed]
) -> pa.Table:
    """The rows of these shards that the views show, in the present schema."""
    table = merge[0].shard.table
    schema = of_width(TABLES[table], merge[0].width)
    columns = ", ".join(schema.names)
    apart = [one.file(store) for one in merge if not one.overlapping]
    found = [connection.sql(f"select {columns} from ({all_rows(table, apart)})").to_arrow_table()]
    if len(apart) < len(merge):
        overlapping = [
            ShardFile(str(store.root / path), version, overlapping=True)
            for path, version in connection.execute(
                "select path, schema_version from shards where overlapping and table_name = ?",
                [table],
            ).fetchall()
        ]
        wanted = [one.shard.sha256 for one in merge if one.overlapping]
        chosen = connection.sql(
            f"select {columns} from {unique_rows(table, overlapping)}"
            " where list_contains($wanted, shard)",
            params={"wanted": wanted},
        ).to_arrow_table()
        _check_that_dropped_rows_stand_elsewhere(connection, table, overlapping, wanted, chosen)
        found.append(chosen)
    return pa.concat_tables([part.cast(schema) for part in found])


def _check_that_dropped_rows_stand_elsewhere(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    overlapping: Sequence[ShardFile],
    wanted: Sequence[str],
    chosen: pa.Table,
) -> None:
    """Prove, before anything is deleted, that every key goes on having a row."""
    keys = ", ".join(key_columns(TABLES[table]))
    connection.register("chosen", chosen)
    (lost,) = connection.execute(
        f"""
        with everything as ({all_rows(table, overlapping)})
        select count(*) from (
            select {keys} from everything where list_contains($wanted, shard)
            except select {keys} from chosen
            except select {keys} from everything where not list_contains($wanted, shard)
        )
        """,
        {"wanted": list(wanted)},
    ).fetchall()[0]
    connection.unregister("chosen")
    if lost:
        raise AssertionError(f"merging {len(wanted)} shards of {table} would lose {lost} rows")
