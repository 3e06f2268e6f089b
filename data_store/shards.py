"""Shards: immutable Parquet files that commit by appearing under the hash of their bytes.

A shard's name is the SHA-256 of its bytes, so writing the same bytes twice gives one shard, and
a damaged shard is found by hashing it again.
"""

import os
import platform
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from data_store.files import is_broken_link, leads_out
from data_store.layout import Shard, Store, shard_name
from schemas.errors import ShardDamaged
from schemas.fields import repeating_columns, schema_version
from schemas.ids import sha256_bytes
from schemas.packed import fits, with_widths
from schemas.rows import check_table
from schemas.tables import TABLES
from schemas.upgrades import schema_of

ROW_GROUP_ROWS = 122_880
"""DuckDB reads one row group per thread; this is its own default size."""

ROW_GROUP_BYTES = 1 << 25
"""32 MiB: rows with states are read group by group, and a group is in memory whole."""

LEADS_OUT = "the shard is a link out of the store, and queries read nothing that is not in it"
REFILL = "run `store verify --repair`; it says which command refills the shard"


def commit_rows(
    store: Store,
    table: str,
    rows: pa.Table,
    *,
    producer: str,
    teacher_id: str = "",
    generation: int = 0,
) -> Path:
    """Write rows as one shard; once this returns they are on disk, whole, for good.

    Args:
        store: where.
        table: which table; its schema in `schemas.tables` must fit exactly.
        rows: at least one row.
        producer: what made the rows, for provenance: command, engine and version.
        teacher_id: whose folder, for points and pairs.
        generation: how often the rows went through compaction, or one more than that of rows
            which they replace; where two shards hold a key, the row of the greater stands.

    Raises:
        RowRefused: the rows do not fit the table.
        StoreNotWritable: the disk is full, or the store may not be written.
        StoreUnreachable: the object storage does not answer.
    """
    check_table(rows, TABLES[table])
    schema = with_widths(TABLES[table], rows.schema)
    provenance = {
        "producer": producer,
        "teacher_id": teacher_id,
        "generation": str(generation),
        "writer": f"leaf-iqa {metadata.version('leaf-iqa')}",
        "host": platform.node(),
        "process": str(os.getpid()),
        "row_count": str(rows.num_rows),
        "created": datetime.now(UTC).isoformat(timespec="microseconds"),
    }
    data = _parquet_bytes(rows, schema, provenance)
    name = shard_name(table, sha256_bytes(data), teacher_id)
    store.folder.write(name, data)
    return store.root / name


def read_footer(store: Store, shard: Shard) -> pq.FileMetaData:
    """A shard's footer, once it is certain that we can read the shard: format, table, version.

    Raises:
        ShardDamaged: it is no readable Parquet, not one of ours, of a newer release, or this user
            may not read it.
    """
    path = store.root / shard.name
    if leads_out(path, store.root):
        raise ShardDamaged(
            LEADS_OUT, where=path, fix="put the file itself in the place of the link"
        )
    try:
        footer = pq.read_metadata(path)
    except FileNotFoundError as error:
        if not is_broken_link(path):
            raise  # compacted away by another process; whoever listed it lists again
        raise ShardDamaged("the shard is a link to nothing", where=path, fix=REFILL) from error
    except PermissionError as error:
        raise ShardDamaged(
            f"the shard cannot be read: {error.strerror}",
            where=path,
            fix="give this user the right to read it",
        ) from error
    except (pa.ArrowException, OSError) as error:
        what = f"the shard cannot be read: {first_line(error)}"
        raise ShardDamaged(what, where=path, fix=REFILL) from error
    check_footer(footer, shard, where=path)
    return footer


def check_bytes(shard: Shard, data: bytes, *, where: str | Path) -> None:
    """Compare a shard's bytes with its name.

    Raises:
        ShardDamaged: they differ.
    """
    found = sha256_bytes(data)
    if found != shard.sha256:
        raise ShardDamaged(
            f"the shard's bytes hash to {found[:8]}…, its name says {shard.sha256[:8]}…",
            where=where,
            fix=REFILL,
        )


def check_footer(footer: pq.FileMetaData, shard: Shard, *, where: str | Path) -> None:
    """Make sure that a file is one of ours, lies in its table's folder and has its columns.

    Raises:
        ShardDamaged: it is not, or it is of a newer release (`is_newer`).
    """
    notes = footer.metadata or {}
    table = notes.get(b"table", b"?").decode(errors="replace")
    if table != shard.table:
        raise ShardDamaged(
            f"the file says that it holds table {table!r}, its folder is {shard.table!r}"
            if b"table" in notes
            else "this Parquet file was not written by leaf-iqa",
            where=where,
            fix="move it out of the store, or run `store verify --repair`",
        )
    version, newest = _version(footer), schema_version(TABLES[table])
    if is_newer(footer, shard):
        raise ShardDamaged(
            f"the shard has schema version {version} of {table}, this release reads up to {newest}",
            where=where,
            fix="use the release of leaf-iqa that wrote it, or a newer one",
        )
    try:
        found = footer.schema.to_arrow_schema()
    except (pa.ArrowException, ValueError) as error:
        what = f"the shard's columns cannot be read: {first_line(error)}"
        raise ShardDamaged(what, where=where, fix=REFILL) from error
    if version < 1 or not fits(found, schema_of(table, version)):
        raise ShardDamaged(
            f"the shard's columns are not those of {table} version {version}:"
            f" {', '.join(str(field).removeprefix('pyarrow.Field<')[:-1] for field in found)}",
            where=where,
            fix=REFILL,
        )


def is_newer(footer: pq.FileMetaData, shard: Shard) -> bool:
    """Whether a shard's schema is of a release after this one, so that only that can read it."""
    return _version(footer) > schema_version(TABLES[shard.table])


def first_line(error: Exception) -> str:
    """What a library says, without the advice and the traces that it adds on further lines."""
    return str(error).strip().split("\n")[0]


def _row_group_rows(schema: pa.Schema) -> int:
    widths = [kind.byte_width for kind in schema.types if pa.types.is_fixed_size_binary(kind)]
    return min(ROW_GROUP_ROWS, max(1, ROW_GROUP_BYTES // (sum(widths) or 1)))


def _version(footer: pq.FileMetaData) -> int:
    text = (footer.metadata or {}).get(b"schema_version", b"")
    return int(text) if text.isdigit() else 0


def _parquet_bytes(rows: pa.Table, schema: pa.Schema, provenance: dict[str, str]) -> pa.Buffer:
    stamped = schema.with_metadata(
        {**schema.metadata, **{key.encode(): value.encode() for key, value in provenance.items()}}
    )
    sink = pa.BufferOutputStream()
    pq.write_table(
        pa.Table.from_arrays(rows.columns, schema=stamped),
        sink,
        compression="zstd",
        row_group_size=_row_group_rows(schema),
        write_page_checksum=True,
        use_dictionary=repeating_columns(schema),
    )
    return sink.getvalue()
