"""A page is whole in itself, and what users' files are called stays text on it."""

import altair as alt
import pyarrow as pa
import pytest
from PIL import Image

from data_store.pages.blocks import Card, Figure, Gallery, Grid, Note, Page, Section
from data_store.pages.charts import chart_text, write_figures
from data_store.pages.page import prose, write_page
from data_store.pages.thumbnails import thumbnail
from tests.browsing import assert_report_is_whole, figure_names, opened
from tests.conftest import picture

NASTY = "</script><img src=x onerror=alert(1)>'\".png"


def _figure(name: str = "scores") -> Figure:
    rows = pa.table({"score": [0.1, 0.5, 0.9], "images": [3, 9, 4], "teacher": [NASTY] * 3})
    chart = alt.Chart(rows).mark_bar().encode(x="score:Q", y="images:Q", color="teacher:N")
    return Figure(name, "Scores", "Each bar counts images.", chart, rows)


def _page(folder) -> Page:
    image = folder / "a.png"
    picture(1).save(image)
    cards = [
        Card(NASTY, [thumbnail(str(image))], [("score", 0.5)]),
        Card("a pair", [thumbnail(str(image)), thumbnail(str(folder / NASTY))], [("kind", NASTY)]),
    ]
    blocks = (
        _figure(),
        Grid("Numbers", ["name", "value"], [[NASTY, 0.25], ["none", None]], NASTY),
        Gallery("Pictures", NASTY, cards),
        Note(NASTY),
    )
    return Page(NASTY, NASTY, [("store", NASTY)], [Section("all", NASTY, blocks)])


def test_a_page_opens_from_disk_and_names_of_files_stay_text(browser, tmp_path):
    size = write_page(_page(tmp_path), tmp_path / "page.html")
    assert size == (tmp_path / "page.html").stat().st_size
    assert_report_is_whole(browser, tmp_path / "page.html")
    with opened(browser, tmp_path / "page.html") as found:
        assert figure_names(found) == ["scores"]
        assert found.page.locator("h1").inner_text() == NASTY
        assert found.page.locator("img").count() == 2
        assert "cannot be read" in found.page.locator(".missing").inner_text()


def test_a_chart_is_drawn_anew_in_the_other_theme(browser, tmp_path):
    write_page(_page(tmp_path), tmp_path / "page.html")
    with opened(browser, tmp_path / "page.html") as found:
        ink = "() => document.querySelector('.role-axis-title text').getAttribute('fill')"
        before = found.page.evaluate(ink)
        found.page.keyboard.press("Tab")
        found.page.keyboard.press("Tab")
        found.page.keyboard.press("Enter")
        found.page.wait_for_selector("body[data-drawn]")
        assert found.page.evaluate("document.documentElement.dataset.theme") == "dark"
        assert found.page.evaluate(ink) != before


def test_figures_are_written_as_png_svg_and_csv(tmp_path):
    written = write_figures([_figure("one"), _figure("two")], tmp_path / "plots")
    assert [path.name for path in written] == [
        *("one.png", "one.svg", "one.csv", "two.png", "two.svg", "two.csv")
    ]
    with Image.open(tmp_path / "plots/one.png") as drawn:
        assert drawn.width > 1000
        assert len(drawn.convert("RGB").getcolors(1 << 20)) > 10
    assert (tmp_path / "plots/one.svg").read_text().startswith("<svg")
    assert (tmp_path / "plots/one.csv").read_text().splitlines()[0] == '"score","images","teacher"'


def test_backquotes_set_commands_as_code_and_nothing_else_becomes_markup():
    assert prose("`store sql` & <b>") == "<code>store sql</code> &amp; &lt;b&gt;"
    assert prose("`<img src=x>`") == "<code>&lt;img src=x&gt;</code>"


def test_a_figure_of_too_many_marks_is_refused():
    rows = pa.table({"score": [0.5] * 5001})
    many = Figure("many", "t", "r", alt.Chart(rows).mark_point().encode(x="score:Q"), rows)
    with pytest.raises(ValueError, match="5001 rows, at most 5000"):
        chart_text(many)
