"""What a page is made of, before it is HTML: sections of figures, tables, galleries and notes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import pyarrow as pa

if TYPE_CHECKING:
    import altair as alt

Cell: TypeAlias = str | int | float | bool | None

MOST_ROWS = 5000
"""Rows that a figure may show. A browser draws each as a mark of its own, and the page carries
them: what has more is counted in bins, or a sample of it is shown and said to be one."""


class Figure(NamedTuple):
    """A chart with the words that make it readable, and the data it shows."""

    name: str
    """Of its files and its place on the page: lower-case words joined by hyphens."""
    title: str
    reading: str
    """How to read it, and what it would look like if something were wrong. One to three
    sentences; also what a screen reader says in place of the drawing."""
    chart: "alt.Chart | alt.LayerChart"
    """One view without a width: it fills its column. No facets and no concatenation."""
    rows: pa.Table
    """What the chart shows, at most `MOST_ROWS`: the CSV, and the table below the chart."""


class Grid(NamedTuple):
    """A table. Numbers are shown to four places; None as a dash."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    reading: str = ""


class Picture(NamedTuple):
    """A small picture that travels inside the page."""

    data_uri: str
    """Empty where the image could not be read."""
    width: int
    height: int
    alt: str
    """What it is, for who cannot see it; in place of the picture where there is none."""


class Card(NamedTuple):
    """One image, or the two of a pair, with what there is to know of it."""

    title: str
    pictures: Sequence[Picture]
    evidence: Sequence[tuple[str, Cell]]
    """Name and value, such as ("score", 0.31)."""


class Gallery(NamedTuple):
    """Cards side by side."""

    title: str
    reading: str
    cards: Sequence[Card]


class Note(NamedTuple):
    """A paragraph: what is missing and why, or what to do next."""

    text: str


Block: TypeAlias = Figure | Grid | Gallery | Note


class Section(NamedTuple):
    """A part of the page with an entry in its table of contents."""

    name: str
    """Its anchor: lower-case words joined by hyphens."""
    title: str
    blocks: Sequence[Block]
    reading: str = ""


class Page(NamedTuple):
    """A whole page."""

    title: str
    reading: str
    """What this page is about, in a sentence or two."""
    facts: Sequence[tuple[str, Cell]]
    """Provenance in short: name and value."""
    sections: Sequence[Section]

    def figures(self) -> list[Figure]:
        """All figures in the order of the page."""
        return [
            block
            for section in self.sections
            for block in section.blocks
            if isinstance(block, Figure)
        ]
