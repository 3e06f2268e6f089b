"""From blocks to one HTML file that opens from disk: no network, no second file.

What the page shows of users' files (names, prompts, reasons) is text: the template escapes
everything, and a content security policy in the page forbids whatever would load from elsewhere.
"""

import functools
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

from data_store.files import write_atomically
from data_store.pages.blocks import Block, Card, Cell, Figure, Gallery, Grid, Note, Page
from data_store.pages.charts import chart_text, javascript
from data_store.pages.look import HEIGHT_PX, chart_config

SHOWN_ROWS = 200
"""Of a figure's data, in the table below it; `--plots` writes all of them."""


def write_page(page: Page, path: Path) -> int:
    """Write a page as one file, whole or not at all.

    Returns:
        Its size in bytes.
    """
    data = render(page).encode()
    write_atomically(path, data)
    return len(data)


def render(page: Page) -> str:
    """The HTML of a page."""
    figures = page.figures()
    names = [figure.name for figure in figures] + [section.name for section in page.sections]
    if len(set(names)) < len(names):
        raise ValueError(f"two parts of one page have the same name: {sorted(names)}")
    charts = {
        "specs": {figure.name: chart_text(figure) for figure in figures},
        "light": chart_config(dark=False),
        "dark": chart_config(dark=True),
    }
    return str(
        _template("page.html.j2").render(
            page=page,
            charts=charts,
            libraries=javascript() if figures else "",
            css=resource("page.css"),
            js=resource("page.js"),
        )
    )


def resource(name: str) -> str:
    """A text file of this package."""
    return files("data_store.pages").joinpath(name).read_text(encoding="utf-8")


@functools.cache
def _template(name: str) -> Any:
    from jinja2 import BaseLoader, Environment, StrictUndefined

    made = Environment(
        loader=BaseLoader(),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["cell"] = shown
    made.filters["prose"] = prose
    made.filters["kind"] = kind_of
    made.filters["table"] = _data_table
    made.filters["numeric"] = _is_numeric
    made.globals["chart_height"] = HEIGHT_PX
    return made.from_string(resource(name))


def shown(value: Cell) -> str:
    """A value as people read it: numbers to four places, None as a dash."""
    if value is None:
        return "\N{EN DASH}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) < 1000 else f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def prose(text: str) -> str:
    """A text of ours as HTML: escaped, and what stands between backquotes set as code."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def kind_of(block: Block | Card) -> str:
    """Which part of the template lays a block out."""
    kinds: dict[type, str] = {Figure: "figure", Grid: "grid", Gallery: "gallery", Note: "note"}
    return kinds[type(block)]


def _data_table(figure: Figure) -> dict[str, Any]:
    top = figure.rows.slice(0, SHOWN_ROWS)
    return {
        "columns": top.column_names,
        "rows": [list(row.values()) for row in top.to_pylist()],
        "left_out": figure.rows.num_rows - top.num_rows,
    }


def _is_numeric(rows: list[list[Cell]], index: int) -> bool:
    return bool(rows) and all(isinstance(row[index], int | float | None) for row in rows)
