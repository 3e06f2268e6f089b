"""Hypothesis strategies for the rows of any table, made from its schema alone."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from schemas.evidence import EVIDENCE
from schemas.fields import key_columns, numeric_range, table_name
from schemas.packed import is_packed, of_width

WIDTH = 3
"""Numbers in each value of a packed column."""

ODD_TEXT = (
    "",
    "\0",
    "before\0after",
    "it's; drop table points --",
    '"quoted" \\back\\slash\\',
    "line\r\nline\u2028line",
    "é",
    "e\u0301",
    "\ufeff\ufffe\U0010ffff",
    "ﷺ" * 1000,
)


def as_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as a text that tells 1 from 1.0 and 0.0 from -0.0, which are equal."""
    return repr([sorted(row.items()) for row in rows])


def rows_of(schema: pa.Schema, *, min_size: int = 1, max_size: int = 8) -> Any:
    """Lists of valid rows, no two with the same key."""
    keys = key_columns(schema)
    return st.lists(
        row_of(schema),
        min_size=min_size,
        max_size=max_size,
        unique_by=lambda row: tuple(row[key] for key in keys),
    )


def row_of(schema: pa.Schema) -> Any:
    """Valid rows; where some must not be null together, they are not."""
    columns = of_width(schema, WIDTH)
    rows = st.fixed_dictionaries({field.name: values_of(field) for field in columns})
    rule = EVIDENCE.get(table_name(schema))
    if rule is None:
        return rows
    return rows.filter(lambda row: rule.is_there(pa.Table.from_pylist([row], schema)).all())


def values_of(field: pa.Field) -> Any:
    """Valid values of a column, null among them where it may be null."""
    if is_packed(field):
        return _packed(_values(pa.float16(), None))
    values = _values(field.type, numeric_range(field))
    return st.none() | values if field.nullable else values


def wrong_values_of(field: pa.Field) -> Any:
    """Values that a column must refuse."""
    if is_packed(field):
        odd = st.sampled_from([None, b"", b"\0", bytearray(2 * WIDTH), "text", 1, [1.0] * WIDTH])
        return odd | _packed(st.sampled_from([np.nan, np.inf, -np.inf]))
    wrong = [_wrong_type(field.type)]
    if not field.nullable:
        wrong.append(st.none())
    item_type = field.type
    if pa.types.is_fixed_size_list(field.type):
        item_type = field.type.value_type
        good = _items(field.type, numeric_range(field))
        length = field.type.list_size
        wrong.append(st.lists(good, max_size=2 * length).filter(lambda v: len(v) != length))
        bad = _wrong_numbers(item_type, numeric_range(field))
        if not field.type.value_field.nullable:
            bad |= st.none()
        wrong.append(_with_one_bad_item(st.lists(good, min_size=length, max_size=length), bad))
    elif not (pa.types.is_string(field.type) or pa.types.is_timestamp(field.type)):
        wrong.append(_wrong_numbers(field.type, numeric_range(field)))
    return st.one_of(wrong)


def _packed(numbers: Any) -> Any:
    lists = st.lists(numbers, min_size=WIDTH, max_size=WIDTH)
    return lists.map(lambda values: np.array(values, "<f2").tobytes())


def _with_one_bad_item(vectors: Any, bad: Any) -> Any:
    return st.builds(
        lambda vector, item, place: [*vector[: place % len(vector)], item, *vector[1:]][
            : len(vector)
        ],
        vectors,
        bad,
        st.integers(0, 10),
    )


def _values(kind: pa.DataType, within: tuple[float, float] | None) -> Any:
    if pa.types.is_string(kind):
        return st.text(max_size=40) | st.sampled_from(ODD_TEXT)
    if pa.types.is_fixed_size_list(kind):
        items = _items(kind, within)
        return st.lists(items, min_size=kind.list_size, max_size=kind.list_size)
    if pa.types.is_timestamp(kind):
        moments = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1))
        return moments.map(lambda moment: moment.replace(fold=0))
    if pa.types.is_integer(kind):
        limits = np.iinfo(kind.to_pandas_dtype())
        low, high = within or (limits.min, limits.max)
        return st.integers(max(int(low), limits.min), min(int(high), limits.max))
    low, high = within or (None, None)
    return st.floats(
        None if low is None else _rounded(kind, low, np.inf),
        None if high is None else _rounded(kind, high, -np.inf),
        width=kind.bit_width,
        allow_nan=False,
        allow_infinity=False,
    )


def _items(kind: pa.DataType, within: tuple[float, float] | None) -> Any:
    items = _values(kind.value_type, within)
    return st.none() | items if kind.value_field.nullable else items


def _rounded(kind: pa.DataType, bound: float, towards: float) -> float:
    """The bound, or the next number inside it that the type can hold."""
    number = kind.to_pandas_dtype()(bound)
    inside = number >= bound if towards > 0 else number <= bound
    return float(number if inside else np.nextafter(number, number.dtype.type(towards)))


def _wrong_numbers(kind: pa.DataType, within: tuple[float, float] | None) -> Any:
    if pa.types.is_integer(kind):
        limits = np.iinfo(kind.to_pandas_dtype())
        low, high = within or (limits.min, limits.max)
        outside = st.integers(max_value=int(low) - 1) | st.integers(min_value=int(high) + 1)
        return outside | st.sampled_from([0.5, np.nan, np.inf, True])
    wrong = st.sampled_from([np.nan, np.inf, -np.inf, True])
    if within is None:
        return wrong
    outside = st.floats(max_value=np.nextafter(within[0], -np.inf) - 1, allow_infinity=False)
    return wrong | outside | st.floats(min_value=within[1] + 1, allow_infinity=False)


def _wrong_type(kind: pa.DataType) -> Any:
    wrong: list[Any] = [b"bytes", {"a": 1}, {1.0, 2.0}, object(), "\ud800", [[1.0]], []]
    if not pa.types.is_string(kind):
        wrong += ["text", "1"]
    if pa.types.is_string(kind):
        wrong += [1, 1.5, True]
    if pa.types.is_timestamp(kind):
        wrong += [1, 1.5, datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1).date()]
    return st.sampled_from(wrong)
