"""Ratings come out of Label Studio's JSON export as one MOS per image, or not at all."""

import json

import pytest

from data_store.commands import mos
from data_store.index import query
from data_store.mos.label_studio import read_label_studio
from schemas.errors import MosFileError
from tests.data_store.named_images import know_images

SCALE = (1.0, 5.0)


def rated(value, *, control="quality", kind="rating", skipped=False):
    result = {"from_name": control, "to_name": "image", "type": kind, "value": {kind: value}}
    return {"completed_by": 1, "was_cancelled": skipped, "result": [result]}


def export(folder, tasks):
    path = folder / "export.json"
    rows = [
        {"id": 7 + number, "data": {"image": "/x.png", "image_id": name}, "annotations": given}
        for number, (name, given) in enumerate(tasks)
    ]
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


def test_several_ratings_become_mean_deviation_and_number(tmp_path):
    path = export(
        tmp_path, [("a", [rated(2), rated(4), rated(1, skipped=True)]), ("b", [rated(5)])]
    )
    found = read_label_studio(path, SCALE)
    rows = found.scores.select(["place", "name", "mos", "mos_std", "rating_count"]).to_pylist()
    assert [list(row.values()) for row in rows] == [
        ["task 7", "a", 3.0, pytest.approx(2**0.5), 2],
        ["task 8", "b", 5.0, None, 1],
    ]


def test_tasks_that_nobody_rated_are_counted(tmp_path):
    path = export(tmp_path, [("a", [rated(2)]), ("b", []), ("c", [rated(1, skipped=True)])])
    found = read_label_studio(path, SCALE)
    assert (found.scores.num_rows, found.unrated_count, found.problems) == (1, 2, [])


def test_a_number_is_as_good_as_stars(tmp_path):
    path = export(tmp_path, [("a", [rated(2.5, kind="number")])])
    assert read_label_studio(path, SCALE).scores["mos"].to_pylist() == [2.5]


def test_one_of_several_controls_has_to_be_named(tmp_path):
    path = export(tmp_path, [("a", [rated(2), rated(5, control="beauty")])])
    with pytest.raises(MosFileError, match="beauty, quality"):
        read_label_studio(path, SCALE)
    assert read_label_studio(path, SCALE, control="beauty").scores["mos"].to_pylist() == [5.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "cannot be read"),
        ('{"a": 1}', "no list of tasks"),
        ('[{"image": "a.png", "quality": 3}]', "no list of tasks"),
        ('[{"data": {"image_id": "a"}, "annotations": []}]', "no task has a rating"),
    ],
)
def test_what_is_no_export_with_ratings_is_refused(tmp_path, text, message):
    path = tmp_path / "export.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(MosFileError, match=message):
        read_label_studio(path, SCALE)


def test_all_wrong_tasks_are_named_and_nothing_is_stored(tmp_path, store):
    know_images(store, ["a.png"])
    path = export(tmp_path, [("a.png", [rated(9)]), (None, [rated(3)])])
    with pytest.raises(MosFileError, match=r"task 7: .* outside .*; task 8: .* no image_id"):
        mos.add_mos([path], str(store.root), scale=SCALE, layout="label-studio")
    assert query(store, "from mos").num_rows == 0


def test_the_command_stores_them(tmp_path, store):
    know_images(store, ["a.png", "b.png"])
    path = export(tmp_path, [("a.png", [rated(2), rated(3)]), ("b.png", [])])
    mos.add_mos([path], str(store.root), scale=SCALE, layout="label-studio", source="week 1")
    rows = query(store, "select mos, rating_count, source from mos").to_pylist()
    assert rows == [{"mos": 2.5, "rating_count": 2, "source": "week 1"}]
