"""The teachers' page in a real browser: of a full store, and of stores that lack something."""

import pytest

from data_store.layout import create_store
from data_store.report.report import write_report
from tests.browsing import (
    NARROW_PX,
    assert_report_is_whole,
    empty_figures,
    lost_pictures,
    opened,
    page_width,
)
from tests.data_store.report import small_stores
from tests.data_store.report.small_stores import NASTY, commit, opinion, with_files
from tests.data_store.rows import pair, point

ALL_FIGURES = [
    *("scores", "confidence", "confidence-by-score", "levels", "label-mass"),
    *("scores-by-prompt", "score-spread"),
    *("preferences", "position-bias", "consistency", "pairs-against-points"),
    *("scores-against-people", "errors-by-confidence", "reliability", "accuracy-coverage"),
    *("rank-correlations", "scatter-1", "rates"),
]


@pytest.mark.slow
def test_the_page_of_a_store_that_has_everything_is_whole(browser, full):
    _, written, folder = full
    assert written.figures == ALL_FIGURES
    assert written.file_bytes < 15e6
    assert_report_is_whole(browser, folder / "report.html")
    text = (folder / "report.html").read_text()
    assert text.count('<img src="data:image/webp;base64,') > 60
    assert '<span class="missing"' not in text


@pytest.mark.parametrize("kind", small_stores.KINDS, ids=lambda kind: kind.__name__)
def test_what_a_store_lacks_is_said_and_nothing_fails(browser, tmp_path, kind):
    store = create_store(tmp_path / "store")
    kind(store)
    write_report([store], tmp_path / "report.html")
    with opened(browser, tmp_path / "report.html") as found:
        assert found.console == []
        assert found.requests == []
        assert empty_figures(found) == []
        assert lost_pictures(found) == []
        assert found.page.locator(".note").count() > 0
        assert found.page.locator("section").count() == 8
        text = found.page.locator("body").inner_text()
    assert not {"nan", "NaN", "None", "inf"} & set(text.split())


def test_names_of_files_stay_text_and_a_lost_file_shows_as_such(browser, store, tmp_path):
    with_files(store, tmp_path / "pictures", 3)
    commit(store, "points", [point(n, (-1.0 - n, -2.0, -1.0, -2.0, -3.0)) for n in range(4)])
    commit(store, "pairs", [pair(0, 3, ab=(-0.1, -3.0), ba=(-0.1, -3.0))])
    commit(store, "mos", [opinion(n, 2.0 + n / 2, source=NASTY) for n in range(4)])
    write_report([store], tmp_path / "report.html")
    with opened(browser, tmp_path / "report.html", width=NARROW_PX) as found:
        assert found.console == []
        assert page_width(found) <= NARROW_PX
        assert lost_pictures(found) == []
        assert NASTY in found.page.locator("#look").inner_text()
        missing = found.page.locator(".missing")
        assert missing.count() > 0
        assert "gone.png" in missing.first.inner_text()


def test_a_store_beside_another_shows_both_by_name(browser, image_folder, tmp_path):
    stores = []
    for name in ("first", "second"):
        stores.append(create_store(tmp_path / name))
        commit(stores[-1], "points", [point(n) for n in range(5)])
    written = write_report(stores, tmp_path / "report.html")
    assert [row["store"] for row in written.numbers["stores"]] == ["first", "second"]
    with opened(browser, tmp_path / "report.html") as found:
        assert found.console == []
        drawn = found.page.locator("#scores svg.marks").inner_html()
        assert "first: " in drawn
        assert "second: " in drawn
