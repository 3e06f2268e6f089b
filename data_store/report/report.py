"""The story of `store report`: ask the stores, lay out the page, write it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from data_store.folders import not_writable
from data_store.layout import Store
from data_store.pages.blocks import Page
from data_store.pages.charts import write_figures
from data_store.pages.page import write_page
from data_store.report import (
    against_people,
    between,
    looking,
    overview,
    pairs,
    refusals,
    scores,
    throughput,
)
from data_store.report.findings import Findings
from data_store.report.reading import read_findings
from data_store.report.series import asked_stores


class Written(NamedTuple):
    """A report that was written."""

    file_bytes: int
    figures: list[str]
    """Their names, in the order of the page."""
    plots: list[Path]
    numbers: dict[str, Any]
    """The page's tables, for programs; docs/teacher-report.md explains the keys."""
    shown: dict[str, list[list[str]]]
    """The ids of the one or two images of each card, by gallery."""


def write_report(
    stores: Sequence[Store],
    path: Path,
    *,
    teachers: Sequence[str] = (),
    plots: Path | None = None,
    price_per_hour: float | None = None,
) -> Written:
    """Write the page about one or several stores, whole or not at all.

    Args:
        stores: at least one; the first gives the page its title.
        path: the HTML file; replaced if it is there.
        teachers: names or starts of ids; none for all.
        plots: a folder for PNG, SVG and CSV of each figure.
        price_per_hour: of the machine that asked, in any currency.

    Raises:
        InputError: no teacher or several fit a name.
        ShardDamaged: a shard cannot be read.
        StoreNotWritable: the page or the plots cannot be written.
    """
    asked = asked_stores(stores, teachers)
    found = read_findings(asked)
    page = Page(
        f"Teacher report: {' beside '.join(found.stores)}",
        "What the teachers of a store said about its images: how they use the scale, how sure and"
        " how consistent they are, how right where people's opinions are known, and what it took.",
        overview.facts(found, asked),
        [
            overview.section(found, asked),
            scores.section(found),
            pairs.section(found),
            against_people.section(found),
            between.section(found),
            looking.section(found),
            refusals.section(found),
            throughput.section(found, price_per_hour),
        ],
    )
    figures = page.figures()
    try:
        size = write_page(page, path)
        drawn = write_figures(figures, plots) if plots else []
    except OSError as error:
        raise not_writable(error, path) from error
    return Written(
        size,
        [figure.name for figure in figures],
        drawn,
        _numbers(found, price_per_hour),
        looking.shown_images(found),
    )


NUMBERS = {
    "stores": "counts",
    "teachers": "teachers",
    "prompts": "prompts",
    "pairs": "pairs",
    "against_people": "opinions",
    "reliability_of_pairs": "pair_reliability",
    "reliability_of_points": "point_reliability",
    "rank_correlations": "rank_correlations",
    "rejections": "rejections",
    "sessions": "sessions",
    "drift": "drift",
}
"""Keys of `--json` and the questions that they answer."""


def _numbers(found: Findings, price_per_hour: float | None) -> dict[str, Any]:
    numbers: dict[str, Any] = {key: found.rows(name) for key, name in NUMBERS.items()}
    return numbers | {"spent": throughput.spent_rows(found, price_per_hour)}
