"""Tables for people: numbers to four places, nothing cut, and in parts where they are too wide.

On a terminal that is too narrow for all columns, a table is printed in parts one below the other,
each with the first column again. Long text is wrapped; numbers, names and hashes are not.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from data_store.terminal import printable

SHOWN_BYTES = 16
"""Of a cell of bytes in a table: a state has thousands."""
LONG_TEXT = 24
"""Characters above which text with spaces is wrapped where there is no room."""
EDGES = 3
"""Characters that a column takes beside its text: a line and a space on each side."""


class _Column(NamedTuple):
    name: str
    cells: list[str]
    is_numeric: bool
    is_text: bool
    """Whether it may be wrapped."""

    @property
    def least_width(self) -> int:
        """Characters without which it cannot be read."""
        widest = max(map(cell_len, [self.name, *self.cells]))
        return min(widest, max(LONG_TEXT, cell_len(self.name))) if self.is_text else widest


def show_table(
    console: Console, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]
) -> None:
    """Print a table, in as many parts as the console's width asks for."""
    made = [_column(name, [row[place] for row in rows]) for place, name in enumerate(columns)]
    for number, part in enumerate(_parts(made, console.width)):
        console.print(_table(title if number == 0 else "", part))


def _column(name: str, values: Sequence[object]) -> _Column:
    # A name such as [red].png must not be taken for mark-up, nor change the terminal's colour.
    cells = [printable(_cell(value)) for value in values]
    numeric = bool(values) and all(isinstance(value, int | float | None) for value in values)
    text = any(" " in cell and cell_len(cell) > LONG_TEXT for cell in cells)
    return _Column(name, cells, numeric, text)


def _parts(columns: Sequence[_Column], width: int) -> Iterator[list[_Column]]:
    """The first column and as many others as there is room for, until each was there once."""
    if not columns:
        return
    first, *others = columns
    part, used = [first], first.least_width + EDGES + 1
    for column in others:
        needed = column.least_width + EDGES
        if used + needed > width and len(part) > 1:
            yield part
            part, used = [first], first.least_width + EDGES + 1
        part.append(column)
        used += needed
    yield part


def _table(title: str, columns: Sequence[_Column]) -> Table:
    table = Table(title=Text(printable(title)) if title else None, title_justify="left")
    for column in columns:
        table.add_column(
            Text(column.name),
            justify="right" if column.is_numeric else "left",
            overflow="fold",
            min_width=min(column.least_width, LONG_TEXT),
        )
    for cells in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*map(Text, cells))
    return table


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bytes):
        start = value[:SHOWN_BYTES].hex()
        return start if len(value) <= SHOWN_BYTES else f"{start}… ({len(value)} bytes)"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
