"""The pictures of the documentation come from a script, and every picture shown is there."""

import os
import re
import shutil
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from schemas.errors import InputError
from tests.docs.fences import PAGES, REPOSITORY
from tools.make_screenshots import TERMINAL, VIEWS, make_screenshots
from tools.screenshots.terminal import screen_of, write_svg

pytest.importorskip("playwright")

PICTURES = REPOSITORY / "docs" / "pictures"
MOST_BYTES = 300_000


@pytest.fixture(scope="module")
def taken(prepared, tmp_path_factory):
    """The pictures of a small store and run."""
    if not (os.environ.get("LEAF_CHROMIUM") or shutil.which("chromium")):
        pytest.skip("no Chromium; `make browser` installs it, or set LEAF_CHROMIUM to a program")
    out = tmp_path_factory.mktemp("pictures")
    words = ("--store", prepared / "my.store", "--run", prepared / "runs" / "a", "--out", out)
    done = subprocess.run(
        [sys.executable, "-m", "tools.make_screenshots", *words],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return out


@pytest.mark.slow
def test_the_script_makes_every_picture(taken):
    names = sorted(path.name for path in taken.iterdir())
    assert names == sorted([*VIEWS, *TERMINAL, "label-page.png"])
    for path in taken.glob("*.png"):
        with Image.open(path) as picture:
            assert len(picture.getcolors()) > 3, path.name
            assert np.asarray(picture.convert("L")).std() > 3, path.name


@pytest.mark.slow
def test_the_terminal_shows_what_the_commands_said(taken):
    def text(name):
        root = ElementTree.parse(taken / name).getroot()
        return "".join(root.itertext()).replace("\N{NO-BREAK SPACE}", " ")

    assert "$ store status --store my.store" in text("terminal-status.svg")
    assert "60/60" in text("terminal-plan.svg")
    assert "distil.epochs" in text("terminal-error.svg")
    for name in TERMINAL:
        assert "http" not in (taken / name).read_text().replace("http://www.w3.org/2000/svg", "")
        assert str(taken.parent) not in text(name)


def test_a_bar_that_is_drawn_again_and_again_stands_on_the_screen_once():
    written = (
        "begin\r\n\x1b[?25lbar 1\r\x1b[2Kbar 2\r\n\x1b[1A\x1b[2Kbar \x1b[32m3\x1b[0m\r\nend\r\n"
    )
    assert screen_of(written) == "begin\nbar \x1b[32m3\x1b[0m\nend"


def test_the_same_screen_gives_the_same_bytes(tmp_path):
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        write_svg("\x1b[1mbold\x1b[0m <&> text", tmp_path / folder / "a.svg", title="a")
    first, second = (tmp_path / one / "a.svg" for one in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()
    assert "<&>" in "".join(ElementTree.parse(first).getroot().itertext()).replace("\xa0", " ")


def test_without_a_demo_the_script_says_what_to_run(tmp_path):
    with pytest.raises(InputError, match="nothing to show"):
        make_screenshots(tmp_path / "store", tmp_path / "run", tmp_path / "out")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_picture_of_a_page_is_there_and_is_described(page):
    text = page.read_text(encoding="utf-8")
    for alt, target in re.findall(r"!\[([^\]]*)\]\(([^)\s]+)\)", text):
        assert len(alt.split()) >= 3, f"{page.name}: {target} needs words"
        assert (page.parent / target).is_file(), f"{page.name}: {target}"
    assert "<img" not in text


def test_pictures_are_small_and_shown_somewhere():
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for path in PICTURES.iterdir():
        assert path.stat().st_size < MOST_BYTES, path.name
        assert f"pictures/{path.name})" in text, f"no page shows {path.name}"


def test_the_pictures_that_are_kept_are_those_of_the_script():
    kept = {path.name for path in PICTURES.iterdir()}
    assert kept == {*VIEWS, *TERMINAL, "label-page.png"}
