"""What the documentation says is true: generated pages, links, commands, files."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = sorted([*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")])


def test_generated_pages_are_up_to_date():
    done = subprocess.run(
        [sys.executable, "-m", "tools.make_docs", "--check"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_exist(page):
    text = page.read_text(encoding="utf-8")
    named = re.findall(
        r"`((?:docs|tools|configs|examples|benchmarks|requirements)/[\w./-]+)`", text
    )
    for name in named:
        assert (REPOSITORY / name).exists(), f"{page.name} names {name}"


def test_no_registry_address_stands_in_the_tree():
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    pattern = re.compile(rb"https?://(files|pyp[a-z]*|registry|index|download)\.")
    for name in listed.stdout.splitlines():
        path = REPOSITORY / name
        assert not path.is_file() or not pattern.search(path.read_bytes()), name
