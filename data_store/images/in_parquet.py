"""Images in a column of a Parquet file: which column, which rows, and the bytes of one."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from schemas.errors import ImageError, InputError

if TYPE_CHECKING:
    import pyarrow as pa

FILES_KEPT = 8
"""Parquet files that stay open per process."""
BYTES_AHEAD = 16 * 2**20
"""About what is decoded at a time; two such pieces are kept per open file."""
ROWS_AHEAD = 256
_NAME_ROWS = 16_384


class ImageColumns(NamedTuple):
    """Where in a Parquet file the images are; empty means: find out."""

    bytes_column: str = ""
    name_column: str = ""


def find_columns(path: str, wanted: ImageColumns) -> ImageColumns:
    """The columns to read: those that are wanted, or the only one that can hold images.

    Images are in a column of binary values, or in a column of structs with a field `bytes`, as
    the Hugging Face data sets have it. Of such a struct the field `path` names the image, unless
    another column is wanted; `name_column` is empty where nothing does.

    Raises:
        InputError: the file has no such column, or several that could be meant.
        ImageError: it is damaged, or no Parquet.
    """
    import pyarrow.parquet as pq

    with _readable(path):
        schema = pq.read_schema(path)
    able = [field.name for field in schema if _holds_bytes(field.type)]
    column = wanted.bytes_column or (able[0] if len(able) == 1 else "")
    if column not in able:
        raise InputError(
            f"column {column} holds no image bytes"
            if column
            else f"{len(able) or 'no'} columns could hold images",
            where=path,
            fix=f"choose one with --bytes-column: {', '.join(able)}"
            if able
            else f"give a file with a column of image bytes; it has {', '.join(schema.names)}",
        )
    if wanted.name_column and wanted.name_column not in schema.names:
        raise InputError(
            f"there is no column {wanted.name_column}",
            where=path,
            fix=f"choose --name-column from {', '.join(schema.names)}",
        )
    kind = schema.field(column).type
    named = _is_struct(kind) and kind.get_field_index("path") >= 0
    return ImageColumns(column, wanted.name_column or (f"{column}.path" if named else ""))


def row_names(path: str, columns: ImageColumns) -> Iterator[str | None]:
    """The name of each row's image, where the file has one.

    Raises:
        ImageError: the file is damaged, or its names are no text.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with _readable(path), pq.ParquetFile(path) as file:
        if not columns.name_column:
            yield from repeat(None, file.metadata.num_rows)
            return
        for batch in file.iter_batches(_NAME_ROWS, columns=[columns.name_column]):
            names = _inner(batch.column(0), "path")
            yield from pc.cast(names, pa.string()).to_pylist()


def read_row(parquet: str, place: str, *, where: str) -> bytes:
    """The bytes of one image.

    Args:
        parquet: the file.
        place: column and row, as `image/17`.
        where: names the image in errors.

    Raises:
        ImageError: there is no such row, it holds nothing, or the file is damaged.
        OSError: the file cannot be read.
    """
    import pyarrow as pa

    column, _, row = place.rpartition("/")
    if not (column and row.isascii() and row.isdecimal()):
        raise _problem("the path does not name a column and a row", where, "unreadable")
    status = Path(parquet).stat()
    try:
        data = _open(parquet, status.st_size, status.st_mtime_ns, column).read(int(row))
    except (pa.ArrowException, KeyError, IndexError) as error:
        raise _problem(f"the Parquet file cannot be read: {error}", where, "unreadable") from error
    if data is None:
        raise _problem("the row holds no bytes", where, "empty")
    return data


class _Column:
    """One column of an open file, decoded a piece at a time.

    Rows are asked for nearly in order when a file is looked through, so the reader goes on from
    where it is; a step back, or into another row group, starts that group anew.
    """

    def __init__(self, path: str, column: str) -> None:
        import pyarrow.parquet as pq

        # With a buffer, a column is read page by page and not a whole row group at once.
        self._file = pq.ParquetFile(path, buffer_size=2**20, pre_buffer=False)
        schema = self._file.schema_arrow
        nested = _is_struct(schema.field(column).type)
        self._column = f"{column}.bytes" if nested else column
        self._starts = [0]
        for group in range(self._file.num_row_groups):
            self._starts.append(self._starts[-1] + self._file.metadata.row_group(group).num_rows)
        self._lock = threading.Lock()
        self._pieces: deque[tuple[int, pa.Array]] = deque(maxlen=2)
        self._coming: Iterator[pa.RecordBatch] = iter(())
        self._group, self._next_row = -1, 0

    def read(self, row: int) -> bytes | None:
        with self._lock:
            for start, piece in self._pieces:
                if start <= row < start + len(piece):
                    return _as_bytes(piece[row - start])
            try:
                return self._read_on(row)
            except BaseException:
                self._group = -1  # the reader is lost; the next call starts a new one
                raise

    def _read_on(self, row: int) -> bytes | None:
        group = self._group_of(row)
        if group != self._group or row < self._next_row:
            self._group, self._next_row = group, self._starts[group]
            self._coming = self._file.iter_batches(
                self._rows_ahead(group),
                row_groups=[group],
                columns=[self._column],
                use_threads=False,
            )
        for batch in self._coming:
            start = self._next_row
            piece = _inner(batch.column(0), "bytes")
            self._next_row += len(piece)
            self._pieces.append((start, piece))
            if row < self._next_row:
                return _as_bytes(piece[row - start])
        raise IndexError(f"the row group ends before row {row}")

    def _group_of(self, row: int) -> int:
        for group, end in enumerate(self._starts[1:]):
            if row < end:
                return group
        raise IndexError(f"it has {self._starts[-1]} rows")

    def _rows_ahead(self, group: int) -> int:
        about = self._file.metadata.row_group(group)
        row_bytes = about.total_byte_size // max(1, about.num_rows)
        return max(1, min(ROWS_AHEAD, int(BYTES_AHEAD // max(1, row_bytes))))


@lru_cache(maxsize=FILES_KEPT)
def _open(path: str, _file_bytes: int, _modified_ns: int, column: str) -> _Column:
    # Size and time are part of the key: a file that was replaced is opened anew.
    return _Column(path, column)


def _as_bytes(value: "pa.Scalar") -> bytes | None:
    data: bytes | None = value.as_py()
    return data


def _inner(column: "pa.Array", field: str) -> "pa.Array":
    """A column of structs gives one of their fields, null where the struct is."""
    import pyarrow.compute as pc

    return pc.struct_field(column, field) if _is_struct(column.type) else column


def _holds_bytes(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    if _is_struct(kind):
        at = kind.get_field_index("bytes")
        kind = kind.field(at).type if at >= 0 else kind
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _is_struct(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    return bool(pa.types.is_struct(kind))


@contextmanager
def _readable(path: str) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise _problem(
            f"the Parquet file cannot be read: {error}", path, "bad_container"
        ) from error


def _problem(what: str, where: str, reason: str) -> ImageError:
    return ImageError(what, where=where, fix="mend the Parquet file", reason=reason)
