"""Parts of our HTML pages as PNG, taken in Chromium from disk."""

import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from schemas.errors import InputError

COLOURS = 128
"""Pages have few; a palette makes a file a third as large."""
_ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")


class View(NamedTuple):
    """What of a page is shown, and how."""

    section: str = ""
    """Its title; empty shows the page from its top."""
    width: int = 1200
    height: int = 1000
    scheme: str = "light"


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser without a window.

    Raises:
        InputError: there is none.
    """
    from playwright.sync_api import sync_playwright

    program = os.environ.get("LEAF_CHROMIUM") or shutil.which("chromium")
    if program is None:
        raise InputError(
            "no browser", where="chromium", fix="`make browser`, or set LEAF_CHROMIUM to a program"
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(_ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser: Any, page: Path, view: View) -> Iterator[Any]:
    """A page that is drawn: its charts are done."""
    context = browser.new_context(
        viewport={"width": view.width, "height": view.height},
        color_scheme=view.scheme,
        offline=True,
    )
    try:
        tab = context.new_page()
        tab.goto(page.resolve().as_uri())
        if tab.locator("#charts").count():
            tab.wait_for_selector("body[data-drawn]", timeout=120_000)
        yield tab
    finally:
        context.close()


def write_view(browser: Any, page: Path, view: View, path: Path) -> None:
    """Write a part of a page as PNG.

    Raises:
        InputError: the page has no such section.
    """
    with opened(browser, page, view) as tab:
        if view.section:
            _scroll_to(tab, page, view.section)
        write_png(tab.screenshot(), path, height=_whole_figures(tab))


def write_png(data: bytes, path: Path, *, height: int = 0) -> None:
    """Write a screenshot with a palette instead of full colours; of `height` px, or as it is."""
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    if height:
        picture = picture.crop((0, 0, picture.width, height))
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def _whole_figures(tab: Any) -> int:
    """Where the picture may end without cutting a figure: px from the top, 0 if it has none."""
    return int(
        tab.evaluate(
            """() => Math.ceil(Math.max(-16, ...[...document.querySelectorAll("figure, .card")]
                .map((one) => one.getBoundingClientRect().bottom)
                .filter((bottom) => bottom > 0 && bottom <= innerHeight - 16)) + 16)"""
        )
    )


def _scroll_to(tab: Any, page: Path, title: str) -> None:
    headings = tab.locator("h2").all_inner_texts()
    if title not in headings:
        raise InputError(
            f"the page has no section {title!r}, but {', '.join(headings)}",
            where=page,
            fix="name one of these in tools/make_screenshots.py",
        )
    heading = tab.locator("h2").nth(headings.index(title))
    heading.evaluate("one => window.scrollTo(0, one.getBoundingClientRect().top + scrollY - 16)")
