"""How each format of a table file is read: its header, and some of its columns row by row.

Cells come as the format has them. Lines are counted in a text, rows elsewhere.
"""

import csv
import json
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from schemas.errors import MosFileError

Rows = Iterator[tuple[int, Sequence[Any]]]

BATCH_ROWS = 65_536
_DELIMITERS = {".tsv": "\t", ".tab": "\t"}


class TableFormat(NamedTuple):
    """How a format is read, and what its readers raise on a file that is not of it."""

    names: Callable[[Path], list[str]]
    rows: Callable[[Path, Sequence[str]], Rows]
    errors: tuple[type[Exception], ...]
    counted: str = "line"


def format_of(path: Path) -> TableFormat:
    """The format by the file's ending; any ending that is not known is read as CSV."""
    return _FORMATS.get(path.suffix.lower(), _CSV)


def is_delimited(path: Path) -> bool:
    """Whether a file is read as CSV or one of its kin."""
    return format_of(path) is _CSV


def spaced(header: Sequence[str]) -> TableFormat:
    """Text without a header, whose columns have these names and are parted by spaces."""

    def rows(path: Path, columns: Sequence[str]) -> Rows:
        picked = [header.index(name) for name in columns]
        with path.open(encoding="utf-8-sig") as stream:
            for number, line in enumerate(stream, start=1):
                row = line.split(maxsplit=len(header) - 1)
                if row:
                    yield number, [row[i] if i < len(row) else "" for i in picked]

    return TableFormat(lambda _: list(header), rows, (OSError, ValueError))


def csv_delimiter(path: Path) -> str:
    """By the ending, otherwise the one that parts the header into the most names."""
    if path.suffix.lower() in _DELIMITERS:
        return _DELIMITERS[path.suffix.lower()]
    with path.open(encoding="utf-8-sig", newline="") as stream:
        first = stream.readline()
    return max(",", "\t", ";", key=lambda mark: len(next(csv.reader([first], delimiter=mark), [])))


def _csv_names(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return [
            name.strip() for name in next(csv.reader(stream, delimiter=csv_delimiter(path)), [])
        ]


def _csv_rows(path: Path, columns: Sequence[str]) -> Rows:
    names = _csv_names(path)
    picked = [names.index(name) for name in columns]
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream, delimiter=csv_delimiter(path))
        next(reader, None)
        overlong = []
        for row in reader:
            # A comma too many, as in a decimal comma, would shift the cells without a word.
            if any(cell.strip() for cell in row[len(names) :]):
                overlong.append(str(reader.line_num))
            elif row:
                yield reader.line_num, [row[i] if i < len(row) else "" for i in picked]
    if overlong:
        more = ", …" if len(overlong) > 10 else ""
        raise ValueError(
            f"line {', '.join(overlong[:10])}{more} has more cells than the header;"
            " put quotes around text that holds the delimiter"
        )


def _json_objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(encoding="utf-8-sig") as stream:
        start = stream.read(1)
        while start.isspace():
            start = stream.read(1)
        stream.seek(0)
        found: Iterator[tuple[int, Any]]
        if start == "[":
            found = enumerate(json.load(stream), start=1)
        else:
            found = (
                (n, json.loads(line)) for n, line in enumerate(stream, start=1) if line.strip()
            )
        for number, value in found:
            if not isinstance(value, dict):
                raise ValueError(f"item {number} is no JSON object")
            yield number, value


def _json_names(path: Path) -> list[str]:
    return list(dict.fromkeys(name for _, row in _json_objects(path) for name in _leaves(row)))


def _leaves(value: dict[str, Any] | list[Any], before: str = "") -> Iterator[str]:
    """The names of an object's cells; what lies in an object or a list is named with a dot."""
    for name, item in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(item, dict | list):
            yield from _leaves(item, f"{before}{name}.")
        else:
            yield f"{before}{name}"


def _json_rows(path: Path, columns: Sequence[str]) -> Rows:
    for number, row in _json_objects(path):
        yield number, [row[name] if name in row else _leaf(row, name) for name in columns]


def _leaf(value: Any, name: str) -> Any:
    """What lies under a dotted name, such as `logits.good` or `probs.0`; None where nothing is."""
    for step in name.split("."):
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def _parquet_names(path: Path) -> list[str]:
    import pyarrow.parquet as pq

    return list(pq.read_schema(path).names)


def _parquet_rows(path: Path, columns: Sequence[str]) -> Rows:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pq.read_schema(path)
    for name in columns:
        kind = schema.field(name).type
        if pa.types.is_nested(kind) or pa.types.is_temporal(kind) or "binary" in str(kind):
            raise MosFileError(
                f"column {name} holds {kind}, neither numbers nor text",
                where=path,
                fix="write the column as text or numbers, or name another one",
            )
    number = 0
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(BATCH_ROWS, columns=list(columns)):
            cells = [batch.column(name).to_pylist() for name in columns]
            for row in zip(*cells, strict=True):
                number += 1
                yield number, row


@contextmanager
def _first_sheet(path: Path) -> Iterator[Iterator[tuple[int, tuple[Any, ...]]]]:
    """The rows of the first sheet that are not empty, with their numbers there."""
    from openpyxl import load_workbook

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about styles and extensions, which are not read
        book = load_workbook(path, read_only=True, data_only=True)
        try:
            sheet = book.worksheets[0]
            sheet.reset_dimensions()  # some writers leave a wrong size behind
            rows = enumerate(sheet.iter_rows(values_only=True), start=1)
            yield ((n, row) for n, row in rows if any(cell is not None for cell in row))
        finally:
            book.close()


def _header(cells: Sequence[Any]) -> list[str]:
    return ["" if cell is None else str(cell).strip() for cell in cells]


def _sheet_names(path: Path) -> list[str]:
    with _first_sheet(path) as rows:
        return _header(next(rows, (0, ()))[1])


def _sheet_rows(path: Path, columns: Sequence[str]) -> Rows:
    # Taken whole, at most 2**20 rows: warnings must not stay off while others work.
    with _first_sheet(path) as rows:
        names = _header(next(rows, (0, ()))[1])
        picked = [names.index(name) for name in columns]
        cells = [(n, [row[i] if i < len(row) else None for i in picked]) for n, row in rows]
    yield from cells


# ValueError: bytes that are no UTF-8, no JSON, no Parquet.
_CSV = TableFormat(_csv_names, _csv_rows, (OSError, ValueError, csv.Error))
_JSON = TableFormat(_json_names, _json_rows, (OSError, ValueError, RecursionError), "row")
_JSON_LINES = _JSON._replace(counted="line")
_PARQUET = TableFormat(_parquet_names, _parquet_rows, (OSError, ValueError), "row")
# A zip archive of XML: what damaged ones are known to raise. SyntaxError is the XML parser's.
_XLSX = TableFormat(
    _sheet_names,
    _sheet_rows,
    (OSError, ValueError, LookupError, EOFError, SyntaxError, zipfile.BadZipFile, zlib.error),
    "row",
)
_FORMATS = {
    ".json": _JSON,
    ".jsonl": _JSON_LINES,
    ".ndjson": _JSON_LINES,
    ".parquet": _PARQUET,
    ".pq": _PARQUET,
    ".xlsx": _XLSX,
    ".xlsm": _XLSX,
}
