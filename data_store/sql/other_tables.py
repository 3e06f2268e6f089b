"""Parquet files that a query may name beside the store's views, such as a sweep's table.

The files are read here, for the user who named them on the command line, and given to the query
as tables in memory. What the query itself can open does not grow: the fence stays as it is.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import InputError

OPTION = "--with"


def read_tables(words: Sequence[str]) -> dict[str, pa.Table]:
    """Tables from words like `sweep=OUT/sweep.parquet`.

    Raises:
        InputError: a word is not name=file, a name comes twice, or a file is no Parquet.
    """
    tables: dict[str, pa.Table] = {}
    for word in words:
        name, separator, text = word.partition("=")
        if not separator or not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
            raise InputError(
                f"{word!r} is not name=file",
                where=OPTION,
                fix=f"say {OPTION} sweep=OUT/sweep.parquet and write sweep in the query",
            )
        if name.lower() in tables:
            raise InputError(f"{name} is given twice", where=OPTION, fix="use another name")
        tables[name.lower()] = _read(Path(text).expanduser())
    return tables


def _read(path: Path) -> pa.Table:
    if not path.is_file():
        raise InputError(
            "there is no such file", where=f"{OPTION} {path}", fix="name one Parquet file"
        )
    try:
        with pq.ParquetFile(path) as file:
            return file.read()
    except (OSError, ValueError) as error:  # Arrow's own errors are ValueErrors too
        raise InputError(
            f"the file cannot be read: {error}",
            where=f"{OPTION} {path}",
            fix="give a Parquet file; `store sql --parquet` writes one",
        ) from error
