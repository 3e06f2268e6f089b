"""The documentation site: built strictly, needs no other host, and its search works from disk."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.browsing import WIDE_PX, lost_pictures, opened, page_width
from tests.docs.fences import REPOSITORY

pytest.importorskip("mkdocs")

LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src"}
LINKS = ("stylesheet", "icon", "preload", "preconnect", "manifest", "modulepreload")

NO_NETWORK = {name: "http://127.0.0.1:9" for name in ("http_proxy", "https_proxy", "all_proxy")}
"""Whoever asks the network is sent to a port where nobody answers."""


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site, built as `make docs` builds it, in another folder."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=REPOSITORY,
        env={**os.environ, **NO_NETWORK, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


class Loads(HTMLParser):
    """What a page makes a browser fetch by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag in LOADED:
            self.addresses.append(given.get(LOADED[tag], ""))
        if tag == "link" and set(given.get("rel", "").split()) & set(LINKS):
            self.addresses.append(given.get("href", ""))


def test_no_page_loads_anything_from_another_host(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 50
    for page in pages:
        found = Loads()
        found.feed(page.read_text(encoding="utf-8"))
        assert found.addresses
        assert [one for one in found.addresses if re.match(r"(https?:)?//", one)] == [], page.name


def test_no_style_loads_anything_from_another_host(site):
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert not re.search(r"(url\(|@import)\s*['\"]?(https?:)?//", text), sheet.name


def test_every_page_is_in_the_menu_or_a_decision(site):
    home = (site / "index.html").read_text(encoding="utf-8")
    for page in sorted((REPOSITORY / "docs").rglob("*.md")):
        name = page.relative_to(REPOSITORY / "docs").with_suffix(".html").as_posix()
        name = name.replace("README.html", "index.html")
        if not name.startswith("decisions/0"):
            assert f'href="{name}"' in home, name


def test_python_is_documented_from_the_code(site):
    text = (site / "python-api.html").read_text(encoding="utf-8")
    for name in ("open_store", "teacher_points", "user_query", "logit_expectation", "srcc"):
        assert re.search(rf'id="[\w.]+\.{name}"', text), name


def test_a_page_works_from_disk_in_a_browser(site, browser):
    for name in ("index.html", "tutorial.html", "sql-views.html"):
        for width in (400, WIDE_PX):
            with opened(browser, site / name, width=width) as found:
                assert found.console == []
                assert [one for one in found.requests if not one.startswith("file:")] == []
                assert lost_pictures(found) == []
                assert page_width(found) <= width


def test_the_search_finds_a_page_from_disk(site, browser):
    with opened(browser, site / "index.html") as found:
        found.page.click("input.md-search__input")
        found.page.keyboard.type("position bias")
        found.page.wait_for_selector(".md-search-result__item a")
        first = found.page.locator(".md-search-result__item").first.inner_text()
        assert "bias" in first.lower()
        assert found.console == []
        assert [one for one in found.requests if not one.startswith("file:")] == []


def test_both_colour_schemes_are_there(site, browser):
    colours = set()
    for scheme in ("light", "dark"):
        with opened(browser, site / "index.html", scheme=scheme) as found:
            colours.add(found.page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(colours) == 2
