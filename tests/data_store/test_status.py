"""The status counts keys once, names every gap, and says who wrote last."""

import itertools

import pytest

from data_store.shards import commit_rows
from data_store.status import LAST_WRITERS, status_tables, store_status
from schemas.fields import schema_version
from schemas.images import IMAGES as IMAGES_SCHEMA
from schemas.points import POINTS
from schemas.rows import to_table
from tests.data_store.planted_store import (
    IMAGES,
    MOS_IMAGES,
    OTHER,
    UNASKED,
    VAGUE_PROMPT,
    planted_store,
)
from tests.data_store.rows import PROMPT, TEACHER, point


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return planted_store(tmp_path_factory.mktemp("status") / "store")


@pytest.fixture(scope="module")
def status(planted):
    return store_status(planted)


def commit_points(store, numbers, producer="test"):
    rows = to_table([point(n) for n in numbers], POINTS)
    return commit_rows(store, "points", rows, producer=producer, teacher_id=TEACHER)


def test_an_empty_store_has_nothing_of_anything(store):
    status = store_status(store)
    assert status.pop("store") == str(store.root)
    groups = status.pop("groups")
    assert groups == dict.fromkeys(
        ("groups", "images", "largest_group", "images_that_share_a_group"), 0
    )
    assert all(rows == [] for rows in status.values())
    assert status_tables(store_status(store)) == {}


def test_every_table_is_told_with_rows_bytes_shards_and_versions(planted, status):
    tables = {row["table_name"]: row for row in status["tables"]}
    assert {name: (row["rows"], row["shards"]) for name, row in tables.items()} == {
        "embeddings": (5 + 3, 2),
        "images": (IMAGES + 1, 1),
        "mos": (MOS_IMAGES + 3, 1),
        "pairs": (16, 2),
        "points": (11 + 10 + 2, 3),
        "probes": (5, 1),
        "rejections": (3, 1),
    }
    for name, row in tables.items():
        paths = [path for table, path in planted.shard_paths() if table == name]
        assert row["bytes"] == sum(path.stat().st_size for path in paths)
        assert row["rows_written"] == row["rows"]
    assert tables["images"]["schema_versions"] == [schema_version(IMAGES_SCHEMA)]


def test_every_teacher_is_told_with_rows_and_bytes(status):
    found = {
        row["teacher_id"]: (row["points"], row["pairs"], row["embeddings"])
        for row in status["teachers"]
    }
    assert found == {TEACHER: (13, 8, 5), OTHER: (10, 8, 3)}
    assert all(row["bytes"] > 0 and row["shards"] > 1 for row in status["teachers"])


def test_a_gap_is_counted_per_teacher_and_prompt(status):
    found = {
        (row["teacher_id"], row["prompt_id"]): row["images_without_point"] for row in status["gaps"]
    }
    assert found == {
        (TEACHER, PROMPT): len(UNASKED[TEACHER]),
        (OTHER, PROMPT): len(UNASKED[OTHER]),
        (TEACHER, VAGUE_PROMPT): IMAGES - 2,
    }


def test_a_point_of_an_image_that_is_not_there_fills_no_gap(planted, tmp_path):
    store = planted_store(tmp_path / "store")
    commit_points(store, [100, 101])
    (row,) = (
        row
        for row in store_status(store)["gaps"]
        if (row["teacher_id"], row["prompt_id"]) == (TEACHER, PROMPT)
    )
    assert row["images_without_point"] == len(UNASKED[TEACHER])
    assert row["images_with_point"] == IMAGES - len(UNASKED[TEACHER])


def test_a_teacher_that_only_compared_has_all_images_left(store, planted):
    for table in ("images", "pairs"):
        for _, path in filter(lambda shard: shard[0] == table, planted.shard_paths()):
            copy = store.root / path.relative_to(planted.root)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    assert store_status(store)["gaps"] == [
        {
            "teacher_id": teacher,
            "prompt_id": None,
            "images_with_point": 0,
            "images_without_point": IMAGES,
        }
        for teacher in sorted((TEACHER, OTHER))
    ]


def test_a_key_that_was_written_twice_is_one_row_and_two_written(store):
    commit_points(store, range(5))
    commit_points(store, range(3, 8), producer="another")
    commit_points(store, range(20, 25), producer="far away")
    status = store_status(store)
    (table,) = status["tables"]
    assert (table["rows"], table["rows_written"], table["shards"]) == (13, 15, 3)
    assert status["teachers"][0]["points"] == 13


def test_mos_is_told_per_source_with_its_scale(status):
    assert status["mos"] == [
        {
            "source": "five",
            "scale_min": 1.0,
            "scale_max": 5.0,
            "images": 3,
            "lowest": 3.0,
            "highest": 5.0,
        },
        {
            "source": "hundred",
            "scale_min": 1.0,
            "scale_max": 100.0,
            "images": 10,
            "lowest": 20.0,
            "highest": 48.0,
        },
    ]


def test_groups_and_rejections_are_counted(status):
    assert status["groups"] == {
        "groups": IMAGES - 2,
        "images": IMAGES,
        "largest_group": 3,
        "images_that_share_a_group": 3,
    }
    assert status["rejections"] == [
        {"stage": "add-images", "reason": "empty", "rows": 2},
        {"stage": "add-images", "reason": "truncated", "rows": 1},
    ]


def test_the_last_writers_are_told_latest_first(store):
    for number in range(LAST_WRITERS + 2):
        commit_points(store, [number], producer=f"run {number}")
    commit_points(store, [50], producer="run 3")
    writers = store_status(store)["last_writers"]
    assert [row["producer"] for row in writers] == ["run 3", "run 4", "run 2"]
    assert [row["shards"] for row in writers] == [2, 1, 1]
    assert all(row["host"] and row["writer"].startswith("leaf-iqa ") for row in writers)
    times = [row["last_written"] for row in writers]
    assert all(later > earlier for later, earlier in itertools.pairwise(times))


def test_the_tables_for_people_cut_ids_short_and_leave_empty_ones_out(status):
    tables = status_tables(status)
    assert list(tables) == [
        "tables", "teachers", "images without a point", "mos", "groups", "rejections",
        "last writers",
    ]  # fmt: skip
    assert tables["teachers"][0]["teacher_id"] in (TEACHER[:12], OTHER[:12])
    assert "mos" not in status_tables({**status, "mos": []})
    assert len(status["teachers"][0]["teacher_id"]) == 64
