"""The whole circle: choose images, let a person rate them in a real browser, calibrate on that."""

import json

import pytest

from data_store.index import query
from tests.train.selection.rater import press, saved, shown, start
from train.run import train_run

KEYS = "312541523414"
"""What is pressed, image by image."""


@pytest.fixture(scope="module")
def distilled(tmp_path_factory, build_store, settings):
    """A store that nobody has rated, and a student distilled in it."""
    folder = tmp_path_factory.mktemp("distilled")
    store = build_store(folder, 60, mos=False)
    train_run(store, folder / "run", settings("label_fractions=[]", "distil.epochs=2"))
    return store, folder / "run"


@pytest.mark.slow
def test_what_a_person_presses_is_what_the_student_is_calibrated_on(
    browser, distilled, cli_here, tmp_path
):
    store, run = distilled
    place = ("--store", store.address)
    page = tmp_path / "to-rate"
    chosen = cli_here(
        *("train", "select", *place, "--run", run, "--strategy", "design"),
        *("--budget", len(KEYS), "--page", page, "--json"),
    )
    wanted = {row["image_id"] for row in json.loads(chosen.stdout)}
    assert len(wanted) == len(KEYS) == 12

    context = browser.new_context(offline=True)
    try:
        tab = context.new_page()
        tab.goto((page / "index.html").as_uri())
        start(tab, "Ann")
        given = press(tab, KEYS[:5])
        tab.reload()  # as where the computer was shut in the middle
        assert tab.input_value("#rater") == "Ann"
        start(tab, "Ann")
        assert "Image 6 of 12, 5 rated" in tab.locator("#progress").inner_text()
        assert shown(tab) not in given
        given |= press(tab, KEYS[5:])
        path, rows = saved(tab, tmp_path)
    finally:
        context.close()
    assert set(given) == wanted
    assert {row["image_id"]: row["rating"] for row in rows} == given

    added = cli_here("store", "add-mos", path, "--ratings", *place, "--json")
    assert json.loads(added.stdout)["rating_count"] == 12
    stored = query(store, "select image_id, mos, mos_unit, rating_count from mos").to_pylist()
    assert {row["image_id"]: f"{row['mos']:.0f}" for row in stored} == given
    assert {row["rating_count"] for row in stored} == {1}
    assert all(row["mos_unit"] == (row["mos"] - 1) / 4 for row in stored)

    done = cli_here("train", "calibrate", "--run", run, "--out", tmp_path / "calibrated", "--json")
    assert json.loads(done.stdout)["labelled_count"] == 12
    record = json.loads((tmp_path / "calibrated" / "run.json").read_text())
    assert record["counts"]["mos"] == 12
    scored = cli_here(
        *("train", "predict", "--run", tmp_path / "calibrated"),
        *("--images", page / "images", "--out", tmp_path / "scores.csv"),
    )
    assert "12 images scored by leaf_100" in scored.stderr
