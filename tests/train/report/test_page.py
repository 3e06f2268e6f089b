"""The student's page in a real browser, opened from disk, and what it says where things lack."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from data_store.pages.blocks import Gallery, Grid
from tests.browsing import NARROW_PX, assert_report_is_whole, empty_figures, opened
from tests.docs.fences import command_lines, run_by
from tests.train.report.conftest import copied
from train.evaluation.finished_run import open_run
from train.report.story import Wish, write_report

FIGURES = [
    *("srcc-of-students", "rmse-of-students"),
    *("before-calibration", "after-calibration", "what-calibration-moved"),
    *("residuals", "residuals-by-opinion", "residuals-by-confidence"),
    *("labels-srcc", "labels-rmse"),
    *("distillation", "validation", "fitting", "stage-times"),
    *("student-and-teacher", "less-the-teacher"),
]


def _grid(page, title):
    (found,) = (
        block
        for section in page.sections
        for block in section.blocks
        if isinstance(block, Grid) and block.title == title
    )
    return found


def _galleries(page):
    return [block for one in page.sections for block in one.blocks if isinstance(block, Gallery)]


def test_a_run_s_page_opens_from_disk_with_all_its_figures(browser, cli_here, reported, tmp_path):
    out = tmp_path / "report.html"
    done = cli_here("train", "report", reported, "--out", out)
    assert "leaf_50" in done.stdout
    assert str(out) in done.stderr
    assert_report_is_whole(browser, out)
    text = out.read_text(encoding="utf-8")
    assert re.findall(r'data-chart="([\w-]+)"', text) == FIGURES
    assert text.count('<img src="data:image/webp') >= 16


def test_two_runs_and_a_sweep_stand_side_by_side(
    browser, reported, unlabelled, sweep_folder, tmp_path
):
    out = tmp_path / "report.html"
    written = write_report(Wish([reported, unlabelled, sweep_folder], out))
    assert_report_is_whole(browser, out, schemes=("light",))
    names = [figure.name for figure in written.page.figures()]
    assert {"ablation-1", "ablation-1-differences", "before-calibration"} <= set(names)
    compared = _grid(written.page, "Paired comparisons").rows
    assert ["unlabelled: label_free", "calibrated: label_free"] in [row[:2] for row in compared]
    differing = [row[0] for row in _grid(written.page, "What differs between the runs").rows]
    assert "settings.seed" in differing
    assert "settings.label_fractions" in differing
    assert "settings.split.seed" not in differing


def test_the_commands_of_student_report_md_do_what_they_say(
    cli_here, unlabelled, reported, sweep_folder, tmp_path, monkeypatch
):
    for name, folder in (("runs/a", unlabelled), ("runs/b", reported), ("sweeps/l", sweep_folder)):
        copied(folder, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    (fence,) = run_by("tests/train/report/test_page.py")
    places = {
        "sweeps/losses": "sweeps/l",
        "/new/place/of/the.store": open_run(reported).store_address,
    }
    said = [
        cli_here(*(places.get(word, word) for word in call)) for call in command_lines(fence.code)
    ]
    assert Path("compared.html").exists()
    figures = re.findall(r'data-chart="([\w-]+)"', Path("a-report.html").read_text("utf-8"))
    files = sorted(path.name for path in Path("figures").iterdir())
    assert files == sorted(f"{n}.{end}" for n in figures for end in ("png", "svg", "csv"))
    assert f"{len(figures)} figures" in said[-1].stderr


def test_a_run_without_labels_has_no_calibration_to_show(unlabelled, tmp_path):
    page = write_report(Wish([unlabelled], tmp_path / "r.html")).page
    names = [figure.name for figure in page.figures()]
    assert "before-calibration" in names
    assert "after-calibration" not in names
    assert "labels-srcc" not in names
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "No student of these runs was calibrated" in text


def test_a_run_whose_store_is_gone_still_has_a_page(browser, cli_here, without_store, tmp_path):
    out = tmp_path / "report.html"
    done = cli_here("train", "report", without_store, "--out", out, "--json")
    told = json.loads(done.stdout)
    assert "give its new place with --store" in told["notes"][0]
    assert {row["name"] for row in told["held_out"]} >= {"teacher", "leaf_50", "cft_only_50"}
    assert "labels-srcc" in told["figures"]
    assert "distillation" in told["figures"]
    assert "before-calibration" not in told["figures"]
    with opened(browser, out, width=NARROW_PX) as found:
        assert (found.console, found.requests, empty_figures(found)) == ([], [], [])
        assert "has moved" in found.page.locator("#missing").inner_text()


def test_a_store_that_has_moved_is_named(cli_here, without_store, simulated_store, tmp_path):
    words = ("--out", tmp_path / "r.html", "--store", simulated_store.root, "--json")
    told = json.loads(cli_here("train", "report", without_store, *words).stdout)
    assert told["notes"] == []
    assert told["figures"] == FIGURES


def test_images_without_files_are_cards_without_pictures(reported, tmp_path, monkeypatch):
    monkeypatch.setattr("train.report.mistakes.CARDS", 2)
    found = write_report(Wish([reported], tmp_path / "r.html"))
    cards = [card for gallery in _galleries(found.page) for card in gallery.cards]
    assert all(card.pictures[0].data_uri for card in cards)
    images = found.runs[0].images
    assert images is not None
    images.paths[:] = [f"{path}.gone" for path in images.paths]
    from train.report.mistakes import mistakes

    cards = [card for gallery in mistakes(found.runs) for card in gallery.cards]
    assert cards
    assert not any(card.pictures[0].data_uri for card in cards)


def test_a_killed_run_shows_what_it_has_finished(reported, tmp_path):
    run = copied(reported, tmp_path / "killed")
    for name in ("summary.json", "summary.parquet", "predictions.json"):
        (run / name).unlink()
    shutil.rmtree(run / "stages" / "leaf_50")
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    (run / "run.json").write_text(json.dumps(record | {"run_id": "another"}), encoding="utf-8")
    events = run / "events.jsonl"
    torn = events.read_text(encoding="utf-8") + '{"event": "epoch", "stage": "label_fr'
    events.write_text(torn, encoding="utf-8")
    done = write_report(Wish([run], tmp_path / "r.html"))
    assert any("not finished" in note for note in done.notes)
    assert "distillation" in [figure.name for figure in done.page.figures()]
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "Finished: label_free, leaf_25, cft_only_25, cft_only_50." in text


def test_a_run_that_has_only_begun_has_its_provenance(reported, tmp_path):
    (tmp_path / "begun").mkdir()
    record = json.loads((reported / "run.json").read_text(encoding="utf-8"))
    text = json.dumps(record | {"run_id": "begun", "store": str(tmp_path / "none")})
    (tmp_path / "begun" / "run.json").write_text(text, encoding="utf-8")
    page = write_report(Wish([tmp_path / "begun"], tmp_path / "r.html")).page
    assert page.figures() == []
    assert [one.name for one in page.sections] == ["missing", "overview", "scale", "provenance"]


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("STORE/r.html", "inside a store"),
        ("r.json", "ends in .html"),
        ("folder.html", "a folder of that name"),
    ],
)
def test_a_report_never_replaces_what_is_no_report(
    cli_here, reported, simulated_store, tmp_path, out, message
):
    (tmp_path / "folder.html").mkdir()
    path = simulated_store.root / "r.html" if out.startswith("STORE") else tmp_path / out
    done = cli_here("train", "report", reported, "--out", path, code=2)
    assert message in done.stderr


def test_what_is_no_run_is_refused(cli_here, reported, tmp_path):
    out = ("--out", tmp_path / "r.html")
    assert "no run here" in cli_here("train", "report", tmp_path, *out, code=2).stderr
    run = copied(reported, tmp_path / "damaged")
    (run / "stages" / "leaf_50" / "stage.json").write_text("{", encoding="utf-8")
    assert "leaf_50" in cli_here("train", "report", run, *out, code=2).stderr
    (tmp_path / "cells.json").write_text("{}", encoding="utf-8")
    assert "finished `train sweep`" in cli_here("train", "report", tmp_path, *out, code=2).stderr
    (tmp_path / "sweep.parquet").write_bytes(b"PAR1")
    assert "sweep's table" in cli_here("train", "report", tmp_path, *out, code=2).stderr
    assert not (tmp_path / "r.html").exists()


def test_an_existing_report_is_replaced(unlabelled, tmp_path):
    (tmp_path / "r.html").write_text("old", encoding="utf-8")
    done = write_report(Wish([unlabelled], tmp_path / "r.html"))
    assert (tmp_path / "r.html").stat().st_size == done.size > 1000


def test_a_report_does_not_wait_for_torch(unlabelled, tmp_path):
    program = (
        "import sys\n"
        "from train.cli import app\n"
        "app(sys.argv[1:], standalone_mode=False)\n"
        "assert not {'torch', 'timm'} & sys.modules.keys()\n"
    )
    words = ["report", str(unlabelled), "--out", str(tmp_path / "r.html")]
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "r.html").exists()
