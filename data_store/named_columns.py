"""Read named columns of a table file, with line or row numbers, so that problems can be named.

CSV and its kin with tabs or semicolons (UTF-8, with or without a byte order mark), JSON (a list of
objects, or one object per line; `logits.good` and `probs.0` name what lies deeper), Parquet, XLSX
(first sheet, values only), and text without a header whose columns are parted by spaces. Every
cell comes as text: what is a number, and what is wrong with one that is not, is for the caller to
say. `whole_columns.py` reads the same files as columns, for millions of rows.
"""

import difflib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from data_store.table_formats import TableFormat, format_of, spaced
from schemas.errors import MosFileError

_NAMES_SHOWN = 20
MEND_FIX = "mend these rows; nothing of the file was stored"
_OPTIONS = "--image-column, --mos-column or --group-column"


class Line(NamedTuple):
    """The wanted cells of one line, and its number: of the line in a text, of the row elsewhere."""

    number: int
    cells: tuple[str, ...]


def read_columns(
    path: Path,
    columns: Sequence[str],
    *,
    header: Sequence[str] = (),
    options: str = _OPTIONS,
) -> Iterator[Line]:
    """The named columns of a file, stripped of spaces; missing cells are "".

    Args:
        path: its ending tells the format; any ending that is not known is read as CSV.
        columns: as they are named in the file.
        header: the names of the columns, for a text without a header, parted by spaces.
        options: where the user names columns, for the message about a missing one.

    Raises:
        MosFileError: the file cannot be read, or a column is missing, stands twice or holds
            neither numbers nor text.
    """
    table = spaced(header) if header else format_of(path)
    with _readable(path, table):
        _check_names(path, table.names(path), columns, options)
        for number, cells in table.rows(path, columns):
            yield Line(number, tuple(_text(cell) for cell in cells))


def column_names(path: Path) -> list[str]:
    """The names in a file's header, in order.

    Raises:
        MosFileError: the file cannot be read.
    """
    table = format_of(path)
    with _readable(path, table):
        return table.names(path)


def place(path: Path, number: int) -> str:
    """How a message names a line of this file: "line 7", or "row 7" where there are no lines."""
    return f"{format_of(path).counted} {number}"


def refuse(path: Path, problems: Sequence[str], *, fix: str = MEND_FIX) -> None:
    """Raise one error for all problems of a file; the first ten are spelt out.

    Raises:
        MosFileError: if there is any problem.
    """
    if not problems:
        return
    shown = "; ".join(problems[:10])
    rest = f"; and {len(problems) - 10} more" if len(problems) > 10 else ""
    raise MosFileError(
        f"{len(problems)} rows are wrong: {shown}{rest}",
        where=path,
        fix=fix,
    )


def nearest(name: str, names: Sequence[str]) -> str:
    """The one of these names that somebody may have meant, or ""."""
    folded = {other.casefold(): other for other in names}
    found = difflib.get_close_matches(name.casefold(), folded, n=1)
    return folded[found[0]] if found else ""


@contextmanager
def _readable(path: Path, table: TableFormat) -> Iterator[None]:
    try:
        yield
    except table.errors as error:
        raise MosFileError(
            f"the file cannot be read: {error}",
            where=path,
            fix="give CSV, TSV or JSON in UTF-8, Parquet or XLSX, with the ending that says which",
        ) from error


def _check_names(path: Path, names: Sequence[str], columns: Sequence[str], options: str) -> None:
    missing = []
    for name in columns:
        if name not in names:
            meant = nearest(name, names)
            missing.append(f"{name} (did you mean {meant}?)" if meant else name)
    twice = [name for name in columns if names.count(name) > 1]
    if missing or twice:
        more = ", …" if len(names) > _NAMES_SHOWN else ""
        raise MosFileError(
            f"the file has no column {', '.join(missing)};"
            f" it has {', '.join(names[:_NAMES_SHOWN]) or 'none'}{more}"
            if missing
            else f"column {', '.join(twice)} stands twice",
            where=path,
            fix=f"name its columns with {options}",
        )


def _text(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return str(cell).strip()  # of a float the shortest digits that give the same float again
