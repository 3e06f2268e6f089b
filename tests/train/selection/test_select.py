"""`train select` on a store with SIMULATED answers: to a simulated rater and back."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from data_store.commands import mos
from data_store.index import query
from data_store.layout import open_store
from data_store.pages.label_page import RECORD
from data_store.splits import is_test
from schemas.errors import InputError, NotEnoughData
from schemas.ids import sha256_text
from tests.browsing import opened
from tests.docs.fences import command_lines, run_by
from tests.train.selection.rater import press, saved, start
from train.commands.choose import select
from train.run import train_run
from train.stages import STAGE_FILE, STAGES

COUNT = 36
KEYS = "314152535142"


@pytest.fixture(scope="module")
def unrated(tmp_path_factory, build_store, settings):
    """A store without MOS and a run in it; tests that add MOS use sources of their own."""
    folder = tmp_path_factory.mktemp("unrated")
    store = build_store(folder, COUNT, mos=False)
    quick = settings("label_fractions=[]", "distil.epochs=1", "split.seed=1")
    train_run(store, folder / "run", quick)
    return store, folder / "run"


def chosen(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def simulated_quality(path):
    """What `write_pictures` blurred each picture by."""
    return (int(Path(path).stem) * 7 % COUNT) / (COUNT - 1)


def test_rows_say_which_image_and_why(unrated, tmp_path):
    store, run = unrated
    select(str(store.root), 6, tmp_path / "a.csv", "design", run=run)
    rows = chosen(tmp_path / "a.csv")
    assert list(rows[0]) == ["image_id", "path", "rank", "score", "reason"]
    assert [row["rank"] for row in rows] == list("123456")
    assert all(Path(row["path"]).is_file() for row in rows)
    assert "share of the variance" in rows[0]["reason"]


def test_only_images_of_the_training_split_are_chosen(unrated, tmp_path):
    store, run = unrated
    select(str(store.root), 0.99, tmp_path / "a.csv", "random", run=run)
    groups = query(store, "select image_id, group_id from images").to_pydict()
    group_of = dict(zip(groups["image_id"], groups["group_id"], strict=True))
    rows = chosen(tmp_path / "a.csv")
    assert rows
    assert not any(is_test(group_of[r["image_id"]], seed=1, test_fraction=0.2) for r in rows)


@pytest.mark.parametrize(
    ("strategy", "signal"),
    [
        ("stratified", "confidence"),
        ("coverage", "confidence"),
        ("uncertainty", "disagreement"),
        ("diverse_uncertain", "inconsistency"),
    ],
)
def test_every_signal_can_be_read_from_a_store(unrated, tmp_path, strategy, signal, capsys):
    store, run = unrated
    out = tmp_path / "a.csv"
    select(str(store.root), 4, out, strategy, signal=signal, run=run, as_json=True)
    printed = json.loads(capsys.readouterr().out)
    assert [row["image_id"] for row in printed] == [row["image_id"] for row in chosen(out)]
    assert all(row["score"] is not None for row in printed)


def test_ratings_from_label_studio_come_back_and_are_not_asked_for_again(
    tmp_path, build_store, unrated
):
    store = build_store(tmp_path, COUNT, mos=False)
    out, rated = tmp_path / "tasks.json", tmp_path / "export.json"
    select(str(store.root), 8, out, file_format="label-studio", image_address="http://x/{name}")
    tasks = json.loads(out.read_text(encoding="utf-8"))
    assert tasks[0]["data"]["image"] == f"http://x/{Path(tasks[0]['data']['path']).name}"
    rng = np.random.default_rng(0)
    for task in tasks:  # two simulated people per task, as the export writes them
        task["annotations"] = [
            {"result": [{"from_name": "quality", "type": "rating", "value": {"rating": stars}}]}
            for stars in np.clip(
                np.round(1 + 4 * simulated_quality(task["data"]["path"]) + rng.normal(0, 0.4, 2)),
                1,
                5,
            ).tolist()
        ]
    rated.write_text(json.dumps(tasks), encoding="utf-8")
    mos.add_mos([rated], str(store.root), scale=(1, 5), layout="label-studio", source="people")
    first = {task["data"]["image_id"] for task in tasks}
    stored = query(store, "select image_id, mos_unit, rating_count from mos").to_pylist()
    assert {row["image_id"] for row in stored} == first
    assert {row["rating_count"] for row in stored} == {2}
    quality = {t["data"]["image_id"]: simulated_quality(t["data"]["path"]) for t in tasks}
    assert all(abs(row["mos_unit"] - quality[row["image_id"]]) < 0.35 for row in stored)
    select(str(store.root), 8, tmp_path / "next.csv")
    assert not first & {row["image_id"] for row in chosen(tmp_path / "next.csv")}


def test_a_csv_with_a_column_of_scores_comes_back(tmp_path, build_store):
    store = build_store(tmp_path, COUNT, mos=False)
    select(str(store.root), 5, tmp_path / "a.csv", "random")
    with (tmp_path / "filled.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, ["image_id", "mos"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows({**row, "mos": 3} for row in chosen(tmp_path / "a.csv"))
    mos.add_mos([tmp_path / "filled.csv"], str(store.root), scale=(1, 5), image_column="image_id")
    assert query(store, "from mos").num_rows == 5


def test_a_file_that_people_may_be_working_from_is_not_replaced(unrated, tmp_path):
    store, _ = unrated
    (tmp_path / "a.csv").write_text("dear")
    with pytest.raises(InputError, match="--force"):
        select(str(store.root), 5, tmp_path / "a.csv")
    select(str(store.root), 5, tmp_path / "a.csv", force=True)
    assert len(chosen(tmp_path / "a.csv")) == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budget": 0}, "--budget"),
        ({"budget": 2.5}, "--budget"),
        ({"budget": 1000}, "images to choose from"),
        ({"strategy": "best"}, "diverse_uncertain"),
        ({"signal": "mood"}, "inconsistency"),
        ({"file_format": "xml"}, "label-studio"),
        ({"strategy": "design"}, "--run"),
        ({"file_format": "label-studio", "image_address": "{url}"}, "image_id"),
        ({"teacher": ["nobody"]}, "nobody"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(unrated, tmp_path, options, message):
    store, _ = unrated
    given = {"budget": 5, **options}
    with pytest.raises(InputError, match=message):
        select(str(store.root), out=tmp_path / "a.csv", **given)
    assert not list(tmp_path.iterdir())


def test_a_run_and_another_split_exclude_each_other(unrated, tmp_path):
    store, run = unrated
    with pytest.raises(InputError, match="already which images are held out"):
        select(str(store.root), 5, tmp_path / "a.csv", run=run, split_seed=3)


def test_without_a_teacher_chance_still_chooses_and_the_others_say_what_they_lack(
    tmp_path, build_store
):
    store = build_store(tmp_path, 12, points=False, pairs=False, mos=False)
    select(str(store.root), 3, tmp_path / "a.csv", "random")
    assert len(chosen(tmp_path / "a.csv")) == 3
    with pytest.raises(NotEnoughData, match="annotate points"):
        select(str(store.root), 3, tmp_path / "b.csv", "stratified")


BUDGETS = {"--budget 100": "--budget 12", "--budget 50": "--budget 3"}
"""A store of pictures for tests has fewer than a page for people speaks of."""


def test_twelve_images_rated_with_the_keyboard_calibrate_a_student(
    unrated, browser, cli_here, tmp_path, monkeypatch
):
    """Goes round the circle by the very commands of docs/label-selection.md."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(unrated[0].root, "my.store")
    shutil.copytree(unrated[1], "my.run")
    Path("photos").symlink_to(unrated[0].root.parent / "images")
    hand_work = {  # what people do before a command, by its last file
        "ratings": lambda: rate_twelve(browser),
        "filled.csv": fill_in,
        "export.json": export_from_label_studio,
    }
    for fence in run_by("tests/train/selection/test_select.py"):
        code = fence.code
        for written, stand_in in BUDGETS.items():
            code = code.replace(written, stand_in)
        for call in command_lines(code):
            for name, work in hand_work.items():
                if name in call:
                    work()
            cli_here(*call, "--json")
    pressed = json.loads(Path("pressed.json").read_text())
    store = open_store("my.store")
    stored = query(store, "select image_id, source, mos, rating_count from mos").to_pylist()
    mine = [row for row in stored if row["source"] == "ratings"]
    assert {row["image_id"]: row["mos"] for row in mine} == pressed
    assert {row["rating_count"] for row in mine} == {1}
    assert sorted(row["source"] for row in stored if row not in mine) == (
        ["round 1"] * 3 + ["round 2"] * 3
    )
    assert len({row["image_id"] for row in stored}) == 18  # nothing was asked for twice
    stage = json.loads(Path("my.calibrated", STAGES, "leaf_100", STAGE_FILE).read_text())
    assert stage["facts"]["labelled_images_sha256"] == sha256_text("\n".join(sorted(pressed)))
    assert json.loads(Path("my.calibrated", "summary.json").read_text()) == []
    assert len(chosen(Path("scores.csv"))) == COUNT


def rate_twelve(browser):
    """One person, who reloads the page in between; all they press is in pressed.json."""
    ids = {image["id"] for image in json.loads(Path("to-rate", RECORD).read_text())["images"]}
    with opened(browser, Path("to-rate/index.html")) as found:
        start(found.page, "Ann")
        given = press(found.page, KEYS[:5])
        found.page.reload()
        assert found.page.locator("#rater").input_value() == "Ann"
        assert "Ann has rated 5 of 12" in found.page.locator("#known").inner_text()
        start(found.page, "Ann")
        assert "Image 6 of 12, 5 rated" in found.page.locator("#progress").inner_text()
        given |= press(found.page, KEYS[5:])
        Path("ratings").mkdir()
        _, rows = saved(found.page, Path("ratings"))
        assert found.console == []
    assert given.keys() == ids
    assert {row["image_id"]: row["rating"] for row in rows} == given
    numbers = {image_id: float(key) for image_id, key in given.items()}
    Path("pressed.json").write_text(json.dumps(numbers))


def fill_in():
    """Somebody adds a column to the list."""
    with Path("filled.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, ["image_id", "mos"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows({**row, "mos": 3} for row in chosen(Path("next.csv")))


def export_from_label_studio():
    """Two people rate each task."""
    tasks = json.loads(Path("tasks.json").read_text(encoding="utf-8"))
    for task in tasks:
        task["annotations"] = [
            {"result": [{"from_name": "quality", "type": "rating", "value": {"rating": stars}}]}
            for stars in (2, 3)
        ]
    Path("export.json").write_text(json.dumps(tasks), encoding="utf-8")
