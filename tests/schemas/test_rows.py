"""The one door from rows to Arrow."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import RowRefused
from schemas.points import POINTS
from schemas.rejections import REJECTIONS
from schemas.rows import to_table

LOGPROBS = st.lists(st.floats(-100, 0, width=32), min_size=5, max_size=5)
COUNTS = st.integers(1, 10**6)
POINT_ROWS = st.fixed_dictionaries(
    {
        "image_id": st.text(max_size=80),
        "teacher_id": st.text(max_size=80),
        "prompt_id": st.text(max_size=80),
        "level_logprobs": LOGPROBS,
        "prompt_tokens": COUNTS,
        "cached_tokens": COUNTS,
    }
)


def good_row() -> dict[str, object]:
    return {
        "image_id": "a",
        "teacher_id": "t",
        "prompt_id": "p",
        "level_logprobs": [-1.0, -2.0, -3.0, -4.0, -5.0],
        "prompt_tokens": 30,
        "cached_tokens": 0,
    }


@given(st.lists(POINT_ROWS, max_size=20))
def test_any_valid_row_comes_out_as_it_went_in(rows):
    assert to_table(rows, POINTS).to_pylist() == rows


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("image_id", None, "row 1: column image_id is null"),
        ("image_id", 7, "row 1: column image_id is 7, not string"),
        ("level_logprobs", [-1.0] * 4, "row 1: column level_logprobs is"),
        ("level_logprobs", [-1.0, None, -1.0, -1.0, -1.0], "column level_logprobs holds a null"),
        ("level_logprobs", [-1.0, math.nan, -1.0, -1.0, -1.0], "column level_logprobs holds nan"),
        ("level_logprobs", [-1.0, 0.5, -1.0, -1.0, -1.0], "column level_logprobs holds 0.5"),
        ("prompt_tokens", 0, "column prompt_tokens holds 0"),
        ("prompt_tokens", 2**40, "column prompt_tokens is"),
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
