"""Read score files into one checked table: who was rated, how, and everything that is wrong.

The table holds the good rows as columns, never as one object per row, so that a file of millions
of ratings fits; what is wrong is named by line.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from data_store.named_columns import place, read_columns

BATCH_ROWS = 65_536
SCORES = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),
        pa.field("place", pa.string(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("mos", pa.float64(), nullable=False),
        pa.field("mos_std", pa.float64()),
        pa.field("rating_count", pa.int32()),
    ]
)
"""One rated image: its place in the order of the files and in its file, its name there."""

# What float() takes beyond this (nan, inf, 1_000, digits of other scripts) is no score.
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


@dataclass(frozen=True, slots=True)
class MosColumns:
    """Which columns of a score file hold what."""

    image: str = "image"
    mos: str = "mos"
    std: str | None = None
    """Standard deviation of the ratings, on the scale of the MOS."""
    count: str | None = None
    """Number of ratings."""
    header: tuple[str, ...] = ()
    """Names of the columns of a text that has no header and parts its columns by spaces."""

    def named(self) -> tuple[str, ...]:
        """The columns to read, in this order: image, MOS, then std and count where there are."""
        return (self.image, self.mos, *(name for name in (self.std, self.count) if name))


class Problem(NamedTuple):
    """What is wrong with one row."""

    row: int
    text: str


def read_scores(
    paths: Sequence[Path], columns: MosColumns, scale: tuple[float, float]
) -> tuple[pa.Table, list[Problem]]:
    """All rows of some score files: the good ones as a table, the others as problems.

    Args:
        paths: read as if they were one file.
        columns: what to read.
        scale: worst and best value; a MOS outside is a problem.

    Returns:
        A table of schema SCORES, `row` ascending from 0 over all files; and the problems.

    Raises:
        MosFileError: a file cannot be read or lacks a column.
    """
    problems: list[Problem] = []
    rows = _good_rows(paths, columns, scale, problems)
    batches = []
    while batch := list(islice(rows, BATCH_ROWS)):
        batches.append(pa.record_batch(list(zip(*batch, strict=True)), schema=SCORES))
    return pa.Table.from_batches(batches, SCORES), problems


def _good_rows(
    paths: Sequence[Path],
    columns: MosColumns,
    scale: tuple[float, float],
    problems: list[Problem],
) -> Iterator[tuple[int, str, str, float, float | None, int | None]]:
    row = 0
    for path in paths:
        before = f"{path.name}, " if len(paths) > 1 else ""
        for number, cells in read_columns(path, columns.named(), header=columns.header):
            where = before + place(path, number)
            try:
                checked = _checked(cells, columns, scale)
            except ValueError as error:
                problems.append(Problem(row, f"{where}: {error}"))
            else:
                yield row, where, *checked
            row += 1


def _checked(
    cells: tuple[str, ...], columns: MosColumns, scale: tuple[float, float]
) -> tuple[str, float, float | None, int | None]:
    """Name, MOS, standard deviation and count of one row; ValueError says what is wrong."""
    name, mos_text, *more = cells
    if not name:
        raise ValueError("the image name is empty")
    name.encode()  # half a surrogate pair, which JSON can spell, is refused here
    if not mos_text:
        raise ValueError(f"{name} has no MOS")
    mos = _number(mos_text, f"the MOS of {name}")
    if not scale[0] <= mos <= scale[1]:
        raise ValueError(
            f"the MOS of {name} is {mos_text}, outside the scale {scale[0]:g} to {scale[1]:g}"
        )
    std = count = None
    if columns.std and (text := more.pop(0)):
        std = _number(text, f"the standard deviation of {name}")
        if not 0 <= std <= scale[1] - scale[0]:
            raise ValueError(
                f"the standard deviation of {name} is {text}, not on the scale of the MOS"
            )
    if columns.count and (text := more.pop(0)):
        ratings = _number(text, f"the number of ratings of {name}")
        if not 1 <= ratings <= 1e9 or ratings != int(ratings):
            raise ValueError(f"the number of ratings of {name} is {text}, no whole number from 1")
        count = int(ratings)
    return name, mos, std, count


def _number(text: str, what: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{what} is {text!r}, not a number")
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{what} is {text}, too large for a number")
    return value
