"""Read named columns of a table file whole, as texts and numbers: for files of millions of rows.

CSV and Parquet go through Arrow without an object per row. Where Arrow does not take a text as
it is, and for all other formats, `named_columns.py` reads it line by line: slower, the same
cells, and with the line numbers that a message needs.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_store.named_columns import Line, read_columns
from data_store.table_formats import BATCH_ROWS, csv_delimiter, is_delimited
from schemas.errors import MosFileError

# What float() takes beyond this (nan, 1_000, digits of other scripts) is no number here.
_NUMBER = r"^(?:[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|-[iI]nf(?:inity)?)$"
_BLOCK_BYTES = 1 << 23


def read_table(
    path: Path,
    *,
    texts: Mapping[str, str],
    numbers: Mapping[str, str],
    where: Mapping[str, str],
    options: str,
) -> tuple[pa.Table, int]:
    """The rows of a file that have certain values in certain columns.

    Args:
        path: its ending tells the format, as in `read_columns`.
        texts: for each column of the result the column of the file that it is read from.
        numbers: likewise.
        where: column of the file to the text that a row must hold there.
        options: where the user names columns, for the message about a missing one.

    Returns:
        A table of `row` (int64, from 0, counting the rows that are left out), the texts (stripped
        of spaces, never null) and the numbers (float64; null where there is none, and for what
        is not a number; -inf is one, inf and nan are not); and how many rows the file has.

    Raises:
        MosFileError: the file cannot be read, or a column is missing or stands twice.
    """
    columns = tuple(dict.fromkeys((*texts.values(), *numbers.values(), *where)))
    names = ("row", *texts, *numbers)
    # Only what says by itself that it is complete and right is taken from Arrow.
    next(read_columns(path, columns, options=options), None)
    for source in (_from_arrow, _line_by_line):
        taken: list[pa.Table] = []
        count = 0
        try:
            for batch in source(path, columns, options):
                taken.append(_wanted(batch, count, texts, numbers, where).rename_columns(names))
                count += batch.num_rows
        except pa.ArrowException:
            if source is _line_by_line:
                raise
            continue
        return pa.concat_tables(taken) if taken else _nothing(texts, numbers), count
    raise AssertionError  # the loop returns or raises


def lines_of(
    path: Path, columns: Sequence[str], rows: Iterable[int], *, options: str
) -> dict[int, Line]:
    """Certain rows of a file, counted from 0, with their cells as text and their line numbers."""
    wanted = set(rows)
    found: dict[int, Line] = {}
    if wanted:
        until = max(wanted) + 1
        for row, line in enumerate(islice(read_columns(path, columns, options=options), until)):
            if row in wanted:
                found[row] = line
    return found


def _wanted(
    batch: pa.Table,
    before: int,
    texts: Mapping[str, str],
    numbers: Mapping[str, str],
    where: Mapping[str, str],
) -> pa.Table:
    arrays = [pa.array(np.arange(before, before + batch.num_rows, dtype=np.int64))]
    arrays += [_texts(batch.column(name)) for name in texts.values()]
    arrays += [_numbers(batch.column(name)) for name in numbers.values()]
    table = pa.table(arrays, names=[str(place) for place in range(len(arrays))])
    for name, value in where.items():
        kept = pc.equal(_texts(batch.column(name)), value)
        batch, table = batch.filter(kept), table.filter(kept)
    return table


def _texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_boolean(column.type) or pa.types.is_floating(column.type):
        # As `named_columns.py` writes them; nobody names images by numbers with a point.
        column = pa.chunked_array([[_spelt(cell) for cell in column.to_pylist()]], pa.string())
    text = pc.utf8_trim_whitespace(pc.cast(column, pa.string()))
    return pc.fill_null(text, "")


def _spelt(cell: object) -> str | None:
    return None if cell is None else str(cell).lower() if isinstance(cell, bool) else str(cell)


def _numbers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_boolean(kind) or pa.types.is_null(kind):
        return pa.chunked_array([pa.nulls(len(column), pa.float64())])
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind):
        text = _texts(column)
        right = pc.match_substring_regex(text, _NUMBER)
        values = pc.cast(pc.if_else(right, text, pa.scalar(None, pa.string())), pa.float64())
    else:
        values = pc.cast(column, pa.float64(), safe=False)
    # An overflow such as 1e999 reads as inf.
    usable = pc.less(pc.fill_null(values, np.nan), np.inf)
    return pc.if_else(usable, values, pa.scalar(None, pa.float64()))


def _nothing(texts: Mapping[str, str], numbers: Mapping[str, str]) -> pa.Table:
    fields = [("row", pa.int64()), *((name, pa.string()) for name in texts)]
    return pa.schema([*fields, *((name, pa.float64()) for name in numbers)]).empty_table()


def _from_arrow(path: Path, columns: Sequence[str], _options: str) -> Iterator[pa.Table]:
    if path.suffix.lower() in (".parquet", ".pq"):
        yield from _parquet(path, columns)
    elif is_delimited(path):
        yield from _delimited(path, columns)
    else:
        raise pa.ArrowNotImplementedError


def _parquet(path: Path, columns: Sequence[str]) -> Iterator[pa.Table]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(BATCH_ROWS, columns=list(columns)):
            yield pa.Table.from_batches([batch])


def _delimited(path: Path, columns: Sequence[str]) -> Iterator[pa.Table]:
    from pyarrow import csv as arrow_csv

    delimiter = csv_delimiter(path)
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream, delimiter=delimiter)
        header = [name.strip() for name in next(reader, [])]
        if reader.line_num != 1 or len(header) < 2:  # Arrow would count the header otherwise
            raise pa.ArrowNotImplementedError
    places = [str(header.index(name)) for name in columns]
    with arrow_csv.open_csv(
        path,
        read_options=arrow_csv.ReadOptions(
            column_names=[str(place) for place in range(len(header))],
            skip_rows=1,
            block_size=_BLOCK_BYTES,
        ),
        parse_options=arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(
            include_columns=places,
            column_types=dict.fromkeys(places, pa.string()),
            strings_can_be_null=False,
        ),
    ) as stream:
        for batch in stream:
            yield pa.Table.from_batches([batch]).rename_columns(list(columns))


def _line_by_line(path: Path, columns: Sequence[str], options: str) -> Iterator[pa.Table]:
    lines = read_columns(path, columns, options=options)
    while batch := [line.cells for line in islice(lines, BATCH_ROWS)]:
        try:
            cells = [pa.array(column, pa.string()) for column in zip(*batch, strict=True)]
        except UnicodeEncodeError as error:  # half a surrogate pair, which JSON can spell
            raise MosFileError(
                f"the file cannot be read: {error}",
                where=path,
                fix="write its names in UTF-8",
            ) from error
        yield pa.table(cells, names=list(columns))
