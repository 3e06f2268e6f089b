"""From a figure to the Vega-Lite text that draws it, and to files for papers.

Vega-Lite through Altair, drawn to files by vl-convert: one description gives the chart of the
page, the PNG and the SVG, and none of the three needs a network or a browser to be made.
"""

import functools
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import csv

from data_store.files import write_atomically
from data_store.pages.blocks import MOST_ROWS, Figure
from data_store.pages.look import HEIGHT_PX, WIDTH_PX, chart_config

if TYPE_CHECKING:
    from collections.abc import Iterable

VEGA_LITE = "v6.4"
_BUNDLED = "window.vegaEmbed = vegaEmbed;"
PNG_SCALE = 2.0
"""A column of a paper is about 3.5 inches: 520 px twice are 300 dots an inch there."""


def chart_text(figure: Figure) -> dict[str, Any]:
    """The Vega-Lite description of a figure, as wide as its place.

    Raises:
        ValueError: the figure shows more than `MOST_ROWS` rows; whoever made it should count
            them in bins.
    """
    if figure.rows.num_rows > MOST_ROWS:
        raise ValueError(f"{figure.name}: {figure.rows.num_rows} rows, at most {MOST_ROWS}")
    spec: dict[str, Any] = figure.chart.to_dict()
    spec.pop("config", None)  # Altair's own look; the page and the files bring theirs
    return spec | {
        "width": "container",
        "height": spec.get("height", HEIGHT_PX),
        "autosize": {"type": "fit", "contains": "padding"},
        "description": f"{figure.title}. {figure.reading}",
    }


@functools.cache
def javascript() -> str:
    """The libraries that draw charts on a page, as one script."""
    import vl_convert

    return vl_convert.javascript_bundle(_BUNDLED, vl_version=VEGA_LITE)


def write_figures(figures: "Iterable[Figure]", folder: Path) -> list[Path]:
    """Write NAME.png, NAME.svg and NAME.csv of each figure; each file is whole or not there.

    Returns:
        The files, in order.
    """
    import vl_convert

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for figure in figures:
        spec = chart_text(figure) | {"width": WIDTH_PX, "background": "white"}
        text, look = json.dumps(spec), chart_config(dark=False) | {"background": "white"}
        drawn = {
            "png": vl_convert.vegalite_to_png(
                text, vl_version=VEGA_LITE, scale=PNG_SCALE, config=look
            ),
            "svg": vl_convert.vegalite_to_svg(text, vl_version=VEGA_LITE, config=look).encode(),
            "csv": csv_bytes(figure.rows),
        }
        for ending, data in drawn.items():
            path = folder / f"{figure.name}.{ending}"
            write_atomically(path, data)
            written.append(path)
    return written


def csv_bytes(rows: pa.Table) -> bytes:
    """A table as CSV with a header."""
    out = io.BytesIO()
    csv.write_csv(rows, out)
    return out.getvalue()
