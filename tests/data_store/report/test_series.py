import pytest

from data_store.layout import create_store
from data_store.report.series import MOST_TEACHERS, asked_stores
from schemas.errors import InputError
from schemas.ids import sha256_text
from tests.data_store.report.small_stores import OUTSIDE, commit
from tests.data_store.report.test_guide import TEACHER as SPEC
from tests.data_store.rows import TEACHER, point


def test_a_teacher_without_a_description_is_called_by_its_id(store):
    commit(store, "points", [point(0)])
    (asked,) = asked_stores([store], [])
    assert [(one.label, one.spec) for one in asked.teachers] == [(TEACHER[:8], None)]


def test_two_teachers_of_one_name_are_told_apart(store):
    twins = [SPEC, SPEC.model_copy(update={"dtype": "float32"})]
    for spec in twins:
        store.write_teacher(spec)
    (asked,) = asked_stores([store], [])
    assert {one.label for one in asked.teachers} == {
        f"{spec.name} ({spec.teacher_id[:8]})" for spec in twins
    }
    with pytest.raises(InputError, match="2 teachers fit"):
        asked_stores([store], [SPEC.name])


def test_those_with_most_rows_are_shown_where_there_is_no_room_for_all(store):
    for number in range(MOST_TEACHERS + 2):
        rows = [point(n) for n in range(number + 1)]
        commit(store, "points", rows, teacher=sha256_text(f"teacher {number}"))
    (asked,) = asked_stores([store], [])
    assert len(asked.teachers) == MOST_TEACHERS
    assert asked.teachers[0].label == sha256_text(f"teacher {MOST_TEACHERS + 1}")[:8]
    assert asked.left_out == [sha256_text(f"teacher {n}")[:8] for n in (1, 0)]


def test_stores_of_one_name_are_called_by_more_of_their_paths(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    stores = [create_store(tmp_path / name / "store") for name in ("one", "two")]
    for store in stores:
        commit(store, "points", [point(0)], teacher=OUTSIDE)
    asked = asked_stores([*stores], [])
    assert [one.label for one in asked] == ["one/store", "two/store"]
    assert asked[0].teachers[0].label == f"one/store: {OUTSIDE[:8]}"
    twice = asked_stores([stores[0], stores[0]], [])
    assert len({one.label for one in twice}) == 2
