"""Columns whose values are numbers as bytes, of a width that each shard has for itself."""

import numpy as np
import pyarrow as pa
import pytest

from schemas.embeddings import EMBEDDINGS, embeddings_schema
from schemas.errors import RowRefused
from schemas.packed import fits, is_packed, item_type, numbers, width_of, with_widths
from schemas.points import POINTS
from schemas.rows import check_table, to_table

HALF = np.dtype("<f2")


def row(state):
    return {
        "image_id": "a",
        "teacher_id": "t",
        "prompt_id": "p",
        "state": state,
        "prompt_tokens": 30,
        "cached_tokens": None,
    }


def packed(*values):
    return np.array(values, HALF).tobytes()


def test_a_schema_of_a_width_says_type_and_shape_in_the_field():
    state = embeddings_schema(6).field("state")
    assert state.type == pa.binary(12)
    assert (state.metadata[b"dtype"], state.metadata[b"shape"]) == (b"float16", b"[6]")
    assert is_packed(state)
    assert item_type(state) == HALF
    assert (width_of(embeddings_schema(6)), width_of(EMBEDDINGS), width_of(POINTS)) == (6, 0, 0)


def test_the_table_takes_the_width_of_its_rows():
    table = to_table([row(packed(1, 2, 3)), row(packed(-1, 0, 65504))], EMBEDDINGS)
    assert table.schema.equals(embeddings_schema(3), check_metadata=True)
    found = numbers(table.column("state"), HALF)
    assert found.tolist() == [[1, 2, 3], [-1, 0, 65504]]


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (None, "row 1: column state is null"),
        ([1.0, 2.0, 3.0], r"row 1: column state is \[1.0, 2.0, 3.0\], not bytes"),
        (b"", "row 1: column state is 0 bytes, not one or more float16"),
        (packed(1, 2, 3)[:-1], "row 1: column state is 5 bytes, not one or more float16"),
        (packed(1, 2), "row 1: column state is 4 bytes, not 6 as the rows before it"),
        (packed(1, np.nan, 3), "row 1: column state holds nan at place 1, not a finite number"),
        (packed(1, 2, -np.inf), "row 1: column state holds -inf at place 2"),
    ],
)
def test_a_state_that_does_not_fit_is_refused_by_its_row(state, said):
    with pytest.raises(RowRefused, match=said):
        to_table([row(packed(1, 2, 3)), row(state)], EMBEDDINGS)


def test_a_schema_of_one_width_refuses_rows_of_another():
    with pytest.raises(RowRefused, match="row 0: column state is 4 bytes, not 6"):
        to_table([row(packed(1, 2))], embeddings_schema(3))
    table = to_table([row(packed(1, 2))], EMBEDDINGS)
    with pytest.raises(RowRefused, match="or differ in type"):
        check_table(table, embeddings_schema(3))


@pytest.mark.parametrize(
    "kind", [pa.binary(), pa.binary(3), pa.string(), pa.list_(pa.float16(), 2)]
)
def test_rows_whose_states_are_no_packed_numbers_are_refused(kind):
    place = EMBEDDINGS.get_field_index("state")
    schema = EMBEDDINGS.set(place, EMBEDDINGS.field("state").with_type(kind))
    assert not fits(schema, EMBEDDINGS)
    value = [1.0, 2.0] if pa.types.is_fixed_size_list(kind) else b"abc"
    table = pa.table(_columns(value), schema=schema)
    with pytest.raises(RowRefused, match="or differ in type"):
        check_table(table, EMBEDDINGS)


def _columns(state):
    return {name: [value] for name, value in row(state).items()}


def test_a_slice_and_chunks_of_a_column_are_read_in_their_order():
    values = np.arange(12, dtype=HALF).reshape(6, 2)
    whole = pa.array([one.tobytes() for one in values], pa.binary(4))
    assert numbers(whole.slice(2, 3), HALF).tolist() == values[2:5].tolist()
    chunks = pa.chunked_array([whole.slice(4), whole.slice(0, 0), whole.slice(0, 1)])
    assert numbers(chunks, HALF).tolist() == values[[4, 5, 0]].tolist()
    assert numbers(whole.slice(6), HALF).shape == (0, 2)
    assert numbers(pa.chunked_array([], pa.binary(4)), HALF).shape == (0, 2)


def test_other_tables_have_no_widths():
    assert with_widths(POINTS, embeddings_schema(3)).equals(POINTS, check_metadata=True)
    assert fits(POINTS, POINTS)
