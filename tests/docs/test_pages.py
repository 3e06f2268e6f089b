"""The short pages' commands and programs, run as they stand there on a small store.

A fence that says `<!-- run: tests/docs/test_pages.py -->` is run here, those of one page in their
order, in a folder that has what the pages suppose: photos/, my.store, runs/ and so on.
"""

import shutil
from itertools import groupby
from pathlib import Path

import pytest

from data_store.layout import open_store
from tests.docs.conftest import write_csv
from tests.docs.fences import Fence, command_lines, run_by

FENCES = run_by("tests/docs/test_pages.py")
PAGES = {page: list(group) for page, group in groupby(FENCES, lambda fence: fence.page)}

# What takes minutes or a GPU, replaced by what is short; nothing else of a command is changed.
STAND_INS = {
    "--model tiny ": "--model tiny --engine transformers ",
    "--model tuned ": "--model tuned --engine transformers ",
    "annotate tune --model tiny --engine transformers ": "annotate tune --model tiny ",
    "label_fractions=[0.1,0.3,1.0]": "label_fractions=[0.5,1.0]",
    "--budget 100 ": "--budget 5 ",
    "--out students/leaf_10": "--out students/leaf_10 --force",
    "--epochs 10 ": "--epochs 1 ",
    "train run --store": "train run --config configs/student_base.toml --store",
    "--student leaf_10": "--student leaf_50",
}


@pytest.fixture
def place(prepared, tmp_path, monkeypatch) -> Path:
    """A copy of the folder for one page, and the working folder of its commands."""
    folder = tmp_path / "place"
    shutil.copytree(prepared, folder)
    monkeypatch.chdir(folder)
    return folder


def test_no_page_is_left_out():
    assert len(PAGES) >= 12


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_code_of_a_page_runs(page, place, cli_here):
    BEFORE.get(page.name, lambda folder: None)(place)
    for fence in PAGES[page]:
        if fence.language == "python":
            exec(compile(fence.code, fence.name, "exec"), {})
        else:
            _run_commands(fence, cli_here)


def _run_commands(fence: Fence, cli_here) -> None:
    code = fence.code.replace("\\\n", " ")
    for written, stand_in in STAND_INS.items():
        if written != "train run --store" or "--config" not in code:
            code = code.replace(written, stand_in)
    calls = command_lines(code)
    assert calls, fence.name
    for call in calls:
        if "--teacher" in call and "readouts" in fence.page.name:
            call[call.index("--teacher") + 1] = _newest_teacher()
        cli_here(*_expanded(call))


def _newest_teacher() -> str:
    """A readout's name says how many labels it learnt from, which depends on the store."""
    (name,) = (spec.name for spec in open_store("my.store").teachers().values() if "-" in spec.name)
    return name


def _expanded(words: list[str]) -> list[str]:
    """Words with a star as the shell reads them."""
    return [
        match
        for word in words
        for match in (sorted(map(str, Path().glob(word))) if word.endswith("*") else [word])
    ]


def _ratings(folder: Path) -> None:
    """What two people saved from the page for raters."""
    from data_store.index import query
    from data_store.mos.ratings import EXPORT_COLUMNS

    store = open_store("my.store")
    images = query(store, "select image_id from images order by all limit 12")["image_id"]
    (folder / "ratings").mkdir()
    for rater, rating in (("anna", 3), ("bo", 4)):
        rows = [
            (rater, image_id, image_id, rating, 1.5, f"2026-11-22T09:00:{at:02d}.000Z", "p", at + 1)
            for at, image_id in enumerate(images.to_pylist())
        ]
        write_csv(folder / "ratings" / f"{rater}.csv", EXPORT_COLUMNS, rows)


def _scores(folder: Path) -> None:
    """A workbook of scores."""
    from openpyxl import Workbook

    book = Workbook()
    book.active.append(("file", "mean", "sd"))
    book.active.append(("photos_1.png", 3.5, 0.5))
    book.save(folder / "scores.xlsx")


BEFORE = {"few-labels.md": _ratings, "datasets.md": _scores}
"""What a page supposes beyond the folder."""
