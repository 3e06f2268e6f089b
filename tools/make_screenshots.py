"""Make the pictures of docs/pictures: reports, label page and terminal, from a real store and run.

    python -m tools.make_screenshots [--store demo/store] [--run demo/run] [--out docs/pictures]

Nothing is drawn by hand: the reports are made, opened in Chromium and photographed, and commands
are typed on a terminal. `make demo` makes the store and the run.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from data_store.console import say
from data_store.index import query
from data_store.layout import open_store
from schemas.errors import InputError, LeafError
from tools.screenshots.pages import View, chromium, opened, write_png, write_view
from tools.screenshots.terminal import session, write_svg

ASKED = 300
"""Images that the teacher is asked about while we look."""

VIEWS = {
    "teacher-report.png": ("teacher.html", View("Scores and confidence", height=1300)),
    "teacher-report-narrow.png": (
        "teacher.html",
        View("Images to look at", width=400, height=900, scheme="dark"),
    ),
    "student-report.png": ("student.html", View("Before and after calibration", height=900)),
    "student-report-narrow.png": (
        "student.html",
        View("Overview", width=400, height=900, scheme="dark"),
    ),
}
TERMINAL = {
    "terminal-plan.svg": [
        "annotate points --model tiny --engine transformers --store new.store --dry-run",
        "annotate points --model tiny --engine transformers --store new.store",
    ],
    "terminal-status.svg": ["store status --store my.store"],
    "terminal-error.svg": ["train run --store my.store --run other.run --set distil.epoch=3"],
}


def make_screenshots(store: Path, run: Path, out: Path) -> list[Path]:
    """Write all pictures.

    Args:
        store: with points, pairs and MOS; only read.
        run: a finished training on it; only read.
        out: folder of the pictures; those of the same names are replaced.

    Returns:
        the files, in the order of their names.

    Raises:
        InputError: store or run is missing, or there is no browser.
    """
    for folder in (store, run):
        if not folder.is_dir():
            raise InputError("there is nothing to show", where=folder, fix="run `make demo` first")
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        _prepare(place, store.resolve(), run.resolve())
        for file, lines in TERMINAL.items():
            say(f"typing for {file}")
            screen = session([line.split() for line in lines], place)
            write_svg(screen, out / file, title=file)
        with chromium() as browser:
            for file, (page, view) in VIEWS.items():
                say(f"looking at {file}")
                write_view(browser, place / page, view, out / file)
            _label_page(browser, place, out / "label-page.png")
    return sorted(out / file for file in (*VIEWS, *TERMINAL, "label-page.png"))


def _prepare(place: Path, store: Path, run: Path) -> None:
    """A folder with a copy of the store, a new store, both reports and a label page.

    The names are short, and none is a path of this machine: they stand in the pictures.
    """
    shutil.copytree(store, place / "my.store")
    (place / "my.run").symlink_to(run)
    paths = query(open_store(store), f"select path from images order by image_id limit {ASKED}")
    (place / "photos").mkdir()
    for path in map(Path, paths["path"].to_pylist()):
        (place / "photos" / path.name).symlink_to(path)
    for line in (
        "store init new.store",
        "store add-images photos --store new.store",
        "store report --store my.store --out teacher.html",
        "train report my.run --store my.store --out student.html",
        "train select --store my.store --include-labelled --budget 12 --page labels",
    ):
        _run(line.split(), place)


def _run(words: Sequence[str], place: Path) -> None:
    program = Path(sys.executable).parent / words[0]
    done = subprocess.run(
        [program, *words[1:]], cwd=place, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise InputError(
            done.stderr.strip(), where=" ".join(words), fix="run the command by itself"
        )


def _label_page(browser: object, place: Path, path: Path) -> None:
    """The page for raters, with a name given and the first image shown."""
    with opened(browser, place / "labels" / "index.html", View(width=1000, height=760)) as tab:
        tab.locator("input[type=text]:visible, input:not([type]):visible").first.fill("anna")
        tab.keyboard.press("Enter")
        tab.wait_for_timeout(500)  # the image of the page comes from disk
        write_png(tab.screenshot(), path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and make the pictures; 2 for what the user can mend."""
    parser = argparse.ArgumentParser(description="Make the pictures of the documentation.")
    parser.add_argument("--store", type=Path, default=Path("demo/store"))
    parser.add_argument("--run", type=Path, default=Path("demo/run"))
    parser.add_argument("--out", type=Path, default=Path("docs/pictures"))
    options = parser.parse_args(arguments)
    try:
        for path in make_screenshots(options.store, options.run, options.out):
            say(f"{path}: {path.stat().st_size // 1024} KB")
    except LeafError as error:
        say(f"error: {error}")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
