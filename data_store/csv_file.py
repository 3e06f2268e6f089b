"""Read named columns of a CSV file, with line numbers, so that problems can be named."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from schemas.errors import MosFileError


class Line(NamedTuple):
    """The wanted cells of one line, and its number in the file, from 1."""

    number: int
    cells: tuple[str, ...]


def read_columns(path: Path, columns: Sequence[str]) -> list[Line]:
    """The named columns of a CSV file with a header, stripped of spaces; missing cells are "".

    Raises:
        MosFileError: the file cannot be read, or a column is not in its header.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            header = reader.fieldnames or []
            _check_header(path, header, columns)
            return [
                Line(reader.line_num, tuple((row[name] or "").strip() for name in columns))
                for row in reader
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise MosFileError(
            f"the file cannot be read: {error}", where=path, fix="give a CSV file in UTF-8"
        ) from error


def refuse(path: Path, problems: Sequence[str]) -> None:
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
        fix="mend these rows; nothing of the file was stored",
    )


def _check_header(path: Path, header: Sequence[str], columns: Sequence[str]) -> None:
    missing = [name for name in columns if name not in header]
    if missing:
        raise MosFileError(
            f"the file has no column {', '.join(missing)}; it has {', '.join(header) or 'none'}",
            where=path,
            fix="name its columns with --image-column, --mos-column or --group-column",
        )
