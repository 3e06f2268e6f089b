"""A query's result as a table, JSON, CSV or Parquet, batch by batch: it is never in memory whole.

The table is for people; the other three are for programs, and no row is left out of them unless
that was asked for.
"""

import itertools
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from data_store.console import json_text, print_table
from data_store.files import flush, temporary_beside
from data_store.folders import not_writable
from data_store.layout import Store
from data_store.sql.user_query import QueryResult
from data_store.terminal import speaks_unicode
from schemas.errors import InputError, QueryRefused


class FirstRows:
    """The first rows of a result; the others are counted and dropped."""

    def __init__(self, batches: Iterable[pa.RecordBatch], limit: int | None) -> None:
        self._batches, self._limit = batches, limit
        self.given = self.dropped = 0

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for batch in self._batches:
            room = batch.num_rows if self._limit is None else self._limit - self.given
            given = min(room, batch.num_rows)
            self.given += given
            self.dropped += batch.num_rows - given
            if given:
                yield batch.slice(0, given)


def show_table(found: QueryResult, limit: int | None) -> FirstRows:
    """Print rows as a table."""
    rows = FirstRows(found.batches, limit)
    cells = [list(row.values()) for batch in rows for row in batch.to_pylist()]
    print_table("", found.schema.names, cells)
    return rows


def print_json_rows(found: QueryResult, limit: int | None) -> FirstRows:
    """Print a JSON list of objects, one row to a line."""
    rows = FirstRows(_not_again(found.batches), limit)
    write, ascii_only = sys.stdout.write, not speaks_unicode(sys.stdout)
    before = "[\n"
    for batch in rows:
        for row in batch.to_pylist():
            write(before + json_text(row, ascii_only=ascii_only))
            before = ",\n"
    write("\n]\n" if rows.given else "[]\n")
    sys.stdout.flush()
    return rows


def print_csv(found: QueryResult, limit: int | None) -> FirstRows:
    """Print CSV with a header.

    Text is quoted, so that an empty text differs from null, which is nothing. Lists, structs and
    maps are JSON; bytes are hex.
    """
    rows = FirstRows(_not_again(found.batches), limit)
    sys.stdout.flush()
    _csv_into(sys.stdout.buffer, rows, found.schema)
    sys.stdout.buffer.flush()
    return rows


def write_csv(found: QueryResult, limit: int | None, target: Path) -> FirstRows:
    """Write a CSV file as `print_csv`, whole or not at all; a file of that name is replaced.

    Raises:
        StoreNotWritable: no file can be made there.
    """
    rows = FirstRows(found.batches, limit)
    with _appearing(target) as temporary, temporary.open("wb") as stream:
        _csv_into(stream, rows, found.schema)
    return rows


def write_parquet(found: QueryResult, limit: int | None, target: Path) -> FirstRows:
    """Write a Parquet file, whole or not at all; a file of that name is replaced.

    Raises:
        StoreNotWritable: no file can be made there.
        QueryRefused: a column has a type that Parquet does not know.
    """
    rows = FirstRows(found.batches, limit)
    with _appearing(target) as temporary:
        try:
            with pq.ParquetWriter(temporary, found.schema, compression="zstd") as writer:
                for batch in rows:
                    writer.write_batch(batch)
        except pa.ArrowNotImplementedError as error:
            raise QueryRefused(
                f"a column cannot be written as Parquet: {error}",
                where=target,
                fix="cast it in the query, such as cast(x as varchar)",
            ) from error
    return rows


def parquet_target(path: Path, store: Store, *, option: str = "--parquet") -> Path:
    """Where a result that is written to this path ends up; links are followed.

    Args:
        path: as the user gave it.
        store: the store that was asked.
        option: what the user gave it with.

    Raises:
        InputError: in the store's folder, which holds nothing but what the store wrote; or a
            folder or a device is there; or there is no folder to write into.
    """
    target = path.expanduser().resolve()
    problem = ""
    if target.is_relative_to(store.root.resolve()):
        problem = "the file would lie inside the store"
    elif target.is_dir():
        problem = "there is a folder of that name"
    elif target.exists() and not target.is_file():
        problem = "this is a device and not a file"
    elif not target.parent.is_dir():
        problem = "there is no such folder to write into"
    if problem:
        raise InputError(problem, where=f"{option} {path}", fix="name a file in another folder")
    return target


@contextmanager
def _appearing(target: Path) -> Iterator[Path]:
    """A name to write under; what was written there appears as `target` at the end."""
    temporary = temporary_beside(target)
    try:
        yield temporary
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.replace(target)
        flush(target.parent)
    except OSError as error:
        raise not_writable(error, target) from error
    finally:
        temporary.unlink(missing_ok=True)


def _not_again(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The batches, the first of them already fetched, for a printer that cannot start over.

    A query is asked again where an error's cause says that a shard went away. That may happen
    until the first row is out; from then on errors have no cause.
    """
    first = list(itertools.islice(batches, 1))

    def all_of_them() -> Iterator[pa.RecordBatch]:
        yield from first
        try:
            yield from batches
        except QueryRefused as error:
            raise QueryRefused(error.what, where=error.where, fix=error.fix) from None

    return all_of_them()


def _csv_into(sink: IO[bytes], rows: FirstRows, schema: pa.Schema) -> None:
    plain = pa.schema([pa.field(f.name, _csv_type(f.type)) for f in schema])
    with pa_csv.CSVWriter(sink, plain) as writer:
        for batch in rows:
            columns = [_csv_column(column) for column in batch.columns]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=plain))


def _csv_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return _csv_type(kind.value_type)
    return kind if _plain(kind) else pa.string()


def _csv_column(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        return _csv_column(column.dictionary_decode())
    if _plain(column.type):
        return column
    write: Callable[[Any], str] = bytes.hex if pa.types.is_binary(column.type) else json_text
    values = (None if value is None else write(value) for value in column.to_pylist())
    return pa.array(values, pa.string())


def _plain(kind: pa.DataType) -> bool:
    """Whether Arrow writes the type to CSV by itself."""
    tests = (
        pa.types.is_boolean,
        pa.types.is_date,
        pa.types.is_decimal,
        pa.types.is_floating,
        pa.types.is_integer,
        pa.types.is_large_string,
        pa.types.is_null,
        pa.types.is_string,
        pa.types.is_time,
        pa.types.is_timestamp,
    )
    return any(test(kind) for test in tests)
