"""Read outside files into one table of judgements, and name the rows that are wrong."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from annotate.importing.column_map import OPTIONS
from annotate.importing.request import ImportRequest
from data_store.named_columns import place, refuse
from data_store.whole_columns import lines_of, read_table

Cells = Mapping[str, str]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]

TEACHER = "teacher"
SHOWN = 10


class Wrong(NamedTuple):
    """Rows that have one thing wrong with them."""

    rows: npt.NDArray[np.int64]
    """Numbers in the column `row`."""
    say: Callable[[Cells], str]
    """What is wrong, given the cells of such a row as they stand in the file."""


@dataclass(frozen=True, slots=True)
class JudgedRows:
    """The rows of all files as columns, and what is wrong with some of them."""

    request: ImportRequest
    table: pa.Table
    """Column `row` (int64, from 0 over all files, ascending), `teacher`, and one per mapped key."""
    starts: tuple[int, ...]
    """The number of the first row of each file."""
    wrong: list[Wrong] = field(default_factory=list)

    def numbers(self, *keys: str) -> FloatArray:
        """(N, K) numbers of these keys, NaN where there is none."""
        columns = [self.table.column(key).to_numpy() for key in keys]
        return np.stack(columns, axis=1).astype(np.float64)

    def blame(self, there: BoolArray, say: Callable[[Cells], str]) -> None:
        """Note that the rows for which `there` (N,) is True are wrong."""
        self.blame_rows(self.table.column("row").to_numpy()[there], say)

    def blame_rows(self, rows: npt.NDArray[np.int64], say: Callable[[Cells], str]) -> None:
        """Note that the rows with these numbers are wrong."""
        if len(rows):
            self.wrong.append(Wrong(rows, say))

    def refuse_wrong(self) -> None:
        """Refuse the files if anything is wrong with them.

        Raises:
            MosFileError: with the first wrong rows by line or row number, and their count.
        """
        if not self.wrong:
            return
        rows = np.concatenate([wrong.rows for wrong in self.wrong])
        which = np.repeat(np.arange(len(self.wrong)), [len(wrong.rows) for wrong in self.wrong])
        # Of each row the first thing that was found wrong with it.
        rows, first = np.unique(rows, return_index=True)
        shown = rows[:SHOWN].tolist()
        cells = self._cells(shown)
        texts = [
            f"{cells[row][0]}: {self.wrong[which[at]].say(cells[row][1])}"
            for row, at in zip(shown, first, strict=False)
        ]
        refuse(_where(self.request.paths), texts + [""] * (len(rows) - len(texts)))

    def _cells(self, rows: Iterable[int]) -> dict[int, tuple[str, Cells]]:
        """Of each row where it stands, for people, and its cells."""
        columns = _texts(self.request) | self.request.columns.numbers
        named = tuple(dict.fromkeys(columns.values()))
        found: dict[int, tuple[str, Cells]] = {}
        ends = (*self.starts[1:], np.inf)
        for path, start, end in zip(self.request.paths, self.starts, ends, strict=True):
            inside = [row - start for row in rows if start <= row < end]
            before = f"{path.name}, " if len(self.request.paths) > 1 else ""
            for row, line in lines_of(path, named, inside, options=OPTIONS).items():
                by_column = dict(zip(named, line.cells, strict=True))
                cells = {key: by_column[column] for key, column in columns.items()}
                found[row + start] = (before + place(path, line.number), cells)
        return found


def read_judgements(request: ImportRequest) -> JudgedRows:
    """All rows of the files that are wanted, with those noted that lack a name or a number.

    Raises:
        MosFileError: a file cannot be read or lacks a column, or there is no row.
    """
    texts, numbers = _texts(request), request.columns.numbers
    tables, starts, count = [], [], 0
    for path in request.paths:
        table, file_rows = read_table(
            path, texts=texts, numbers=numbers, where=dict(request.where), options=OPTIONS
        )
        shifted = pc.add(table.column("row"), pa.scalar(count, pa.int64()))
        tables.append(table.set_column(0, "row", shifted))
        starts.append(count)
        count += file_rows
    found = pa.concat_tables(tables).combine_chunks()
    if not found.num_rows:
        wanted = " and ".join(f"{column}={value}" for column, value in request.where)
        refuse(
            _where(request.paths),
            [
                f"none of {count} rows has {wanted}"
                if wanted
                else "there is no row below the header"
            ],
        )
    if not request.teacher_column:
        found = found.append_column(TEACHER, pa.repeat(request.teacher.strip(), found.num_rows))
    rows = JudgedRows(request, found, tuple(starts))
    _blame_missing(rows)
    return rows


def _texts(request: ImportRequest) -> dict[str, str]:
    texts = request.columns.texts
    return texts | ({TEACHER: request.teacher_column} if request.teacher_column else {})


def _blame_missing(rows: JudgedRows) -> None:
    for key in _texts(rows.request):
        empty = np.asarray(pc.equal(rows.table.column(key), ""))
        rows.blame(empty, lambda _, key=key: f"{key} is empty")  # type: ignore[misc]
    for key in rows.request.columns.numbers:
        missing = np.asarray(pc.is_null(rows.table.column(key)))
        rows.blame(missing, lambda cells, key=key: _no_number(cells, key))  # type: ignore[misc]


def _no_number(cells: Cells, key: str) -> str:
    return f"{key} is {cells[key]!r}, not a number" if cells[key] else f"{key} is empty"


def _where(paths: tuple[Path, ...]) -> Path:
    return paths[0] if len(paths) == 1 else paths[0].parent
