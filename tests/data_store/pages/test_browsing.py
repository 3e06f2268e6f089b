"""What the tests of pages look for is found where it is planted."""

import altair as alt
import pyarrow as pa
import pytest

from data_store.pages.blocks import Card, Figure, Gallery, Page, Picture, Section
from data_store.pages.page import render, write_page
from tests.browsing import (
    accessibility_problems,
    empty_figures,
    lost_pictures,
    opened,
    page_width,
)

BROKEN = Picture("data:image/webp;base64,AAAA", 40, 40, "broken.png")
ELSEWHERE = "https://example.invalid/track.png"


@pytest.fixture
def page() -> Page:
    rows = pa.table({"x": [1.0, 2.0], "none": pa.array([None, None], pa.float64())})
    nothing = alt.Chart(rows).mark_point().encode(x="x:Q", y="none:Q").transform_filter("false")
    flat = alt.Chart(rows).mark_bar().encode(x="x:Q", y=alt.Y("x:Q"))
    blocks = (
        Figure("nothing", "Nothing", "No mark.", nothing, rows),
        Figure("bars", "Bars", "Two marks.", flat, rows),
        Gallery("Pictures", "One is broken.", [Card("broken", [BROKEN], [])]),
    )
    return Page("Planted", "Faults.", [], [Section("all", "All", blocks)])


def test_an_empty_figure_and_a_lost_picture_are_found(browser, tmp_path, page):
    write_page(page, tmp_path / "page.html")
    with opened(browser, tmp_path / "page.html") as found:
        assert empty_figures(found) == ["nothing"]
        assert lost_pictures(found) == ["broken.png"]


def test_an_error_a_request_a_wide_page_and_a_nameless_picture_are_found(browser, tmp_path, page):
    html = render(page).replace("default-src 'none'; img-src data: blob:;", "img-src *;")
    html = html.replace(
        "<main",
        f'<img src="{ELSEWHERE}"><div style="width: 3000px">wide</div>'
        "<script>console.error('told'); throw new Error('thrown')</script><main",
    )
    (tmp_path / "page.html").write_text(html)
    with opened(browser, tmp_path / "page.html") as found:
        assert ELSEWHERE in found.requests
        assert {"told", "thrown"} <= {line.split(":")[-1].strip() for line in found.console}
        assert page_width(found) >= 3000
        assert any(line.startswith("image-alt") for line in accessibility_problems(found))


def test_the_page_itself_forbids_what_would_load_from_elsewhere(browser, tmp_path, page):
    html = render(page).replace("<main", f'<img src="{ELSEWHERE}" alt="x"><main')
    (tmp_path / "page.html").write_text(html)
    with opened(browser, tmp_path / "page.html") as found:
        assert any("Content Security Policy" in line for line in found.console)
        assert not found.page.evaluate(
            "document.images[0].complete && document.images[0].naturalWidth"
        )
