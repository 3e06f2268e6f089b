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

from data_store.files import write_atomically
from data_store.layout import Store
from schemas.errors import ShardDamaged
from schemas.ids import sha256_bytes, sha256_file
from schemas.rows import check_table
from schemas.tables import TABLES

ROW_GROUP_ROWS = 122_880
"""DuckDB reads one row group per thread; this is its own default size."""


def commit_rows(
    store: Store, table: str, rows: pa.Table, *, producer: str, teacher_id: str = ""
) -> Path:
    """Write rows as one shard; once this returns they are on disk, whole, for good.

    Args:
        store: where.
        table: which table; its schema in `schemas.tables` must fit exactly.
        rows: at least one row.
        producer: what made the rows, for provenance: command, engine and version.
        teacher_id: whose folder, for points and pairs.

    Raises:
        RowRefused: the rows do not fit the table.
    """
    schema = TABLES[table]
    check_table(rows, schema)
    data = _parquet_bytes(rows, schema, _provenance(rows, producer, teacher_id))
    path = store.shard_folder(table, teacher_id) / f"{sha256_bytes(data)}.parquet"
    write_atomically(path, data)
    return path


def read_footer(path: Path) -> pq.FileMetaData:
    """A shard's footer: row count, schema, provenance.

    Raises:
        ShardDamaged: the file is no readable Parquet.
    """
    try:
        return pq.read_metadata(path)
    except (pa.ArrowException, OSError) as error:
        raise ShardDamaged(
            f"the shard cannot be read: {error}",
            where=path,
            fix="move the file away and run the command that wrote it again to refill it",
        ) from error


def check_shard(path: Path) -> None:
    """Compare a shard's bytes with its name.

    Raises:
        ShardDamaged: they differ.
    """
    found = sha256_file(path)
    if found != path.stem:
        raise ShardDamaged(
            f"the shard's bytes hash to {found[:8]}…, its name says {path.stem[:8]}…",
            where=path,
            fix="move the file away and run the command that wrote it again to refill it",
        )


def _parquet_bytes(rows: pa.Table, schema: pa.Schema, provenance: dict[str, str]) -> bytes:
    stamped = schema.with_metadata(
        {**schema.metadata, **{key.encode(): value.encode() for key, value in provenance.items()}}
    )
    sink = pa.BufferOutputStream()
    pq.write_table(
        rows.cast(schema).replace_schema_metadata(stamped.metadata),
        sink,
        compression="zstd",
        row_group_size=ROW_GROUP_ROWS,
        write_page_checksum=True,
    )
    return bytes(sink.getvalue())


def _provenance(rows: pa.Table, producer: str, teacher_id: str) -> dict[str, str]:
    return {
        "producer": producer,
        "teacher_id": teacher_id,
        "writer": f"leaf-iqa {metadata.version('leaf-iqa')}",
        "host": platform.node(),
        "process": str(os.getpid()),
        "row_count": str(rows.num_rows),
        "created": datetime.now(UTC).isoformat(timespec="microseconds"),
    }
