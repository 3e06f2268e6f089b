"""The one door from rows to Arrow."""

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import RowRefused
from schemas.pairs import PAIRS
from schemas.points import POINTS
from schemas.probes import PROBES
from schemas.rejections import REJECTIONS
from schemas.rows import to_table
from schemas.tables import TABLES
from tests.schemas.any_rows import as_text, rows_of, wrong_values_of


def good_row() -> dict[str, object]:
    return {
        "image_id": "a",
        "teacher_id": "t",
        "prompt_id": "p",
        "level_logprobs": [-1.0, -2.0, -3.0, -4.0, -5.0],
        "given_score": None,
        "given_confidence": None,
        "prompt_tokens": 30,
        "cached_tokens": 0,
    }


@pytest.mark.parametrize("table", TABLES)
@settings(max_examples=50, deadline=None)
@given(st.data())
def test_any_valid_rows_come_out_as_they_went_in(table, data):
    rows = data.draw(rows_of(TABLES[table], min_size=0))
    assert as_text(to_table(rows, TABLES[table]).to_pylist()) == as_text(rows)


@pytest.mark.parametrize("table", TABLES)
@settings(max_examples=50, deadline=None)
@given(st.data())
def test_any_wrong_value_is_refused_with_its_row_and_column(table, data):
    schema = TABLES[table]
    rows = data.draw(rows_of(schema, max_size=4))
    number = data.draw(st.integers(0, len(rows) - 1))
    field = data.draw(st.sampled_from(list(schema)))
    rows[number] = {**rows[number], field.name: data.draw(wrong_values_of(field))}
    with pytest.raises(RowRefused) as refused:
        to_table(rows, schema)
    assert refused.value.what.startswith(f"row {number}: column {field.name} ")
    assert refused.value.where == f"table {table}, row {number}, column {field.name}"


@pytest.mark.parametrize("table", TABLES)
@settings(max_examples=50, deadline=None)
@given(st.data())
def test_any_wrong_key_is_refused_with_its_row(table, data):
    schema = TABLES[table]
    rows = data.draw(rows_of(schema, max_size=4))
    number = data.draw(st.integers(0, len(rows) - 1))
    name = data.draw(st.sampled_from(schema.names))
    row = dict(rows[number])
    said = data.draw(st.sampled_from(["missing", "unknown"]))
    if said == "missing":
        del row[name]
    else:
        name += " "
        row[name] = None
    rows[number] = row
    with pytest.raises(RowRefused) as refused:
        to_table(rows, schema)
    assert refused.value.what == f"row {number} has the wrong keys: {name} is {said}"
    assert refused.value.where == f"table {table}, row {number}"


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("image_id", None, "row 1: column image_id is null"),
        ("image_id", 7, "row 1: column image_id is 7, not string"),
        ("image_id", b"a", "row 1: column image_id is b'a', not string"),
        ("image_id", "\ud800", "row 1: column image_id is '\\ud800', not string"),
        ("level_logprobs", b"\x00\x00\x00\x00\x00", "row 1: column level_logprobs is b'"),
        ("level_logprobs", [0.0, False, 0.0, 0.0, 0.0], "row 1: column level_logprobs is"),
        ("level_logprobs", [-1.0] * 4, "row 1: column level_logprobs is"),
        ("level_logprobs", [-1.0, math.nan, -1.0, -1.0, -1.0], "column level_logprobs holds nan"),
        ("level_logprobs", [-1.0, 0.5, -1.0, -1.0, -1.0], "column level_logprobs holds 0.5"),
        ("prompt_tokens", 0, "column prompt_tokens holds 0"),
        ("prompt_tokens", 2**40, "column prompt_tokens is"),
        ("prompt_tokens", 30.5, "row 1: column prompt_tokens is 30.5, not int32"),
        ("prompt_tokens", "many", "column prompt_tokens is 'many'"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_with_row_and_column(column, value, said):
    with pytest.raises(RowRefused) as refused:
        to_table([good_row(), good_row() | {column: value}], POINTS)
    assert said in refused.value.what
    assert "row 1" in refused.value.where


def test_unknown_and_missing_keys_are_named_together():
    row = good_row() | {"extra": 1}
    del row["prompt_id"]
    with pytest.raises(RowRefused, match="prompt_id is missing, extra is unknown"):
        to_table([row], POINTS)


def test_columns_that_may_be_null_take_null():
    row = dict.fromkeys(REJECTIONS.names, "x") | {"image_id": None, "teacher_id": None}
    assert to_table([row], REJECTIONS).to_pylist() == [row]


def test_a_level_that_was_not_offered_is_null_and_stays_null():
    row = good_row() | {"level_logprobs": [None, -1.0, None, -0.5, None]}
    assert to_table([row], POINTS).to_pylist() == [row]


@pytest.mark.parametrize("levels", [[None] * 5, [None, -1.0, None, None, None]])
def test_a_point_holds_two_levels_or_a_score(levels):
    row = good_row() | {"level_logprobs": levels}
    scored = row | {"given_score": 0.25}
    assert to_table([scored], POINTS).to_pylist() == [scored]
    with pytest.raises(RowRefused, match="row 1: column level_logprobs holds fewer than 2 levels"):
        to_table([good_row(), row], POINTS)


def test_a_pair_holds_one_order_or_a_preference():
    empty = dict.fromkeys(PAIRS.names) | {
        "image_a": "a", "image_b": "b", "teacher_id": "t", "prompt_id": "p",
    }  # fmt: skip
    one_order = empty | {"letter_logprobs_ba": [-1.0, -0.5]}
    judged = empty | {"given_preference": 0.5}
    assert to_table([one_order, judged], PAIRS).to_pylist() == [one_order, judged]
    with pytest.raises(RowRefused, match="row 1: column given_preference is null, and so are"):
        to_table([judged, empty], PAIRS)


def test_a_wrong_number_after_a_list_that_is_null_is_named_by_its_row():
    judged = dict.fromkeys(PAIRS.names) | {
        "image_a": "a", "image_b": "b", "teacher_id": "t", "prompt_id": "p",
        "given_preference": 0.5,
    }  # fmt: skip
    with pytest.raises(RowRefused, match="row 1: column letter_logprobs_ab holds 9"):
        to_table([judged, judged | {"letter_logprobs_ab": [-1.0, 9.0]}], PAIRS)


def test_a_time_with_a_zone_is_refused_because_the_column_has_none():
    row = dict.fromkeys(PROBES.names, "x") | {
        "asked_at": datetime(2026, 11, 21, 12),
        "level_logprobs": [-1.0] * 5,
        "prompt_tokens": 30,
        "cached_tokens": 0,
    }
    assert to_table([row], PROBES).to_pylist() == [row]
    with pytest.raises(RowRefused, match="column asked_at is datetime"):
        to_table([row | {"asked_at": datetime(2026, 11, 21, 12, tzinfo=UTC)}], PROBES)
