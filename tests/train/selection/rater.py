"""A person who rates on a label page: with the keyboard, in a real browser."""

import csv
from contextlib import contextmanager

from tests.browsing import opened


@contextmanager
def rating(browser, page, name, **options):
    """The page as a rater sees it who has just started."""
    with opened(browser, page / "index.html", **options) as found:
        start(found.page, name)
        yield found


def start(tab, name):
    tab.fill("#rater", name)
    tab.keyboard.press("Enter")
    tab.wait_for_selector("body:not([data-view=start])")


def shown(tab):
    """The id of the image that can be seen."""
    tab.wait_for_selector("#shown:not(.waiting)")
    return tab.evaluate("document.getElementById('shown').src.split('/').pop().split('.')[0]")


def press(tab, keys):
    """Rate with the keyboard; which image got which key."""
    given = {}
    for key in keys:
        given[shown(tab)] = key
        tab.keyboard.press(key)
    return given


def saved(tab, folder, button=".save:visible"):
    with tab.expect_download() as download:
        tab.locator(button).click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    with path.open(encoding="utf-8", newline="") as stream:
        return path, list(csv.DictReader(stream))
