"""Pages in a real browser: Chromium without a window, from Debian's package, opening from disk."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

NARROW_PX, WIDE_PX = 400, 1600
SECONDS = 60.0
# Chromium refuses to run as root with its sandbox, and asks its makers' servers for news.
_ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


class Opened(NamedTuple):
    """A page in the browser, and what it said and asked for since it was opened."""

    page: object  # playwright's Page
    console: list[str]
    """Errors and warnings, and exceptions that nobody caught."""
    requests: list[str]
    """Addresses other than the page itself and what it carries (data:, blob:)."""


@contextmanager
def running_browser() -> Iterator[object]:
    """Chromium, ended at the end. Skips, saying so, where there is none."""
    program = os.environ.get("LEAF_CHROMIUM") or shutil.which("chromium")
    if program is None:
        pytest.skip("no Chromium; `make browser` installs it, or set LEAF_CHROMIUM to a program")
    sync_playwright = pytest.importorskip("playwright.sync_api").sync_playwright
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(_ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser, path: Path, *, width: int = WIDE_PX, scheme: str = "light") -> Iterator[Opened]:
    """Open a file from disk and wait until its charts are drawn, if it has any."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
    )
    context.set_default_timeout(SECONDS * 1000)
    page = context.new_page()
    found = Opened(page, [], [])
    address = path.resolve().as_uri()
    page.on(
        "console",
        lambda said: found.console.append(said.text) if said.type in ("error", "warning") else None,
    )
    page.on("pageerror", lambda error: found.console.append(str(error)))
    page.on(
        "request",
        lambda asked: (
            found.requests.append(asked.url)
            if asked.url.split("#")[0] != address and not asked.url.startswith(("data:", "blob:"))
            else None
        ),
    )
    try:
        page.goto(address)
        if page.locator("#charts").count():
            page.wait_for_selector("body[data-drawn]")
        yield found
    finally:
        context.close()


def assert_report_is_whole(browser, path: Path, *, schemes: tuple[str, ...] = ("light", "dark")):
    """No errors, no requests, no empty figure, no lost thumbnail, nothing cut off, nothing unnamed.

    At both widths, and at the last of them in each colour scheme.
    """
    for width, scheme in [(WIDE_PX, schemes[0]), *((NARROW_PX, scheme) for scheme in schemes)]:
        with opened(browser, path, width=width, scheme=scheme) as found:
            assert found.console == []
            assert found.requests == []
            assert empty_figures(found) == []
            assert lost_pictures(found) == []
            assert page_width(found) <= width, "the page is wider than the screen"
            if width == NARROW_PX:
                assert accessibility_problems(found) == []


def empty_figures(found: Opened) -> list[str]:
    """Figures that draw nothing: no mark with an extent within the drawing."""
    return found.page.evaluate(
        """() => [...document.querySelectorAll("[data-chart]")].filter((place) => {
            const marks = [...place.querySelectorAll(
                ".mark-rect path, .mark-symbol path, .mark-line path, .mark-area path,"
                + " .mark-rule line, .mark-rule path")]
                .filter((mark) => !mark.closest(".role-axis, .role-legend")
                    && !mark.classList.contains("background"));
            return !marks.some((mark) => {
                const box = mark.getBoundingClientRect();
                return box.width > 0.5 || box.height > 0.5;
            });
        }).map((place) => place.dataset.chart)"""
    )


def figure_names(found: Opened) -> list[str]:
    """The figures of a page, in order."""
    return found.page.evaluate(
        '() => [...document.querySelectorAll("[data-chart]")].map((one) => one.dataset.chart)'
    )


def lost_pictures(found: Opened) -> list[str]:
    """Pictures that did not load."""
    return found.page.evaluate(
        """async () => {
            const lost = [];
            for (const one of document.images) {
                try { await one.decode(); } catch { lost.push(one.alt); continue; }
                if (!one.naturalWidth) lost.push(one.alt);
            }
            return lost;
        }"""
    )


def page_width(found: Opened) -> int:
    """What the page needs, in px: more than the screen means scrolling sideways."""
    return found.page.evaluate("() => document.documentElement.scrollWidth")


def accessibility_problems(found: Opened) -> list[str]:
    """What axe-core finds: contrast, names of controls and pictures, order of headings, and more.

    Within the drawings of charts contrast and names are left out: a drawing has its description
    as a whole, and its data as a table.
    """
    from axe_playwright_python.sync_playwright import Axe

    results = Axe().run(found.page, context={"exclude": [["[data-chart] svg"]]}).response
    return [
        f"{one['id']}: {one['help']} ({one['nodes'][0]['html'][:160]})"
        for one in results["violations"]
    ]
