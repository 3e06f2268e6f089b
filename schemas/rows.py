"""The one door from rows to Arrow: a row that does not fit is refused by name, never repaired.

`pa.Table.from_pylist` drops unknown keys and fills missing ones with null without a word, so
keys, nulls, lengths and ranges are compared here before Arrow sees them. Arrow also reads bytes
as text or as numbers, true as 1, 0.5 as the whole number 0, a set in any order and any zone's time
as a time without a zone; such values are refused as well.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import chain
from types import NoneType
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.errors import RowRefused
from schemas.evidence import EVIDENCE
from schemas.fields import numeric_range, table_name
from schemas.packed import fits, is_packed, item_type, numbers, with_widths


def to_table(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Turn rows into a table of exactly this schema; packed columns get the width of the rows.

    Raises:
        RowRefused: a key is unknown or missing, a value is null, of the wrong type or length,
            not finite, or out of range, or all that a row could say is null; the row's number and
            the column are named.
    """
    expected = set(schema.names)
    for number, row in enumerate(rows):
        if row.keys() != expected:
            _refuse_keys(number, set(row.keys()), expected, schema)
    columns = [_column(rows, field, schema) for field in schema]
    found = pa.schema(
        [(field.name, column.type) for field, column in zip(schema, columns, strict=True)]
    )
    table = pa.Table.from_arrays(columns, schema=with_widths(schema, found))
    check_table(table, schema)
    return table


def check_table(table: pa.Table, schema: pa.Schema) -> None:
    """Refuse a table whose columns, nulls or ranges do not fit the schema, or that says nothing.

    Raises:
        RowRefused: with the first row and column that do not fit.
    """
    no_rows = not table.num_rows and table.schema.equals(schema, check_metadata=False)
    if not no_rows and not fits(table.schema, schema):
        raise RowRefused(
            f"the columns are {table.schema.names}, not {schema.names}, or differ in type",
            where=f"table {table_name(schema)}",
            fix="build the table with schemas.rows.to_table",
        )
    for field in schema:
        column = table.column(field.name).combine_chunks()
        if not field.nullable and column.null_count:
            row = int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
            _refuse(row, field, schema, "is null")
        if is_packed(field):
            _check_packed(column, field, schema)
        else:
            _check_range(column, field, schema)
    rule = EVIDENCE.get(table_name(schema))
    if rule and not (there := rule.is_there(table)).all():
        row = int(np.flatnonzero(~there)[0])
        _refuse(row, schema.field(rule.column), schema, rule.problem)


def _column(rows: Sequence[Mapping[str, Any]], field: pa.Field, schema: pa.Schema) -> pa.Array:
    values = [row[field.name] for row in rows]
    if is_packed(field):
        return _packed(values, field, schema)
    column = _array(values, field.type)
    if column is None:
        number = next(i for i, value in enumerate(values) if _array([value], field.type) is None)
        _refuse(number, field, schema, f"is {values[number]!r}, not {field.type}")
    return column


def _packed(values: Sequence[Any], field: pa.Field, schema: pa.Schema) -> pa.Array:
    """Bytes as binary of one width: that of the column, or of the first value where it has none."""
    item = item_type(field)
    width = 0 if pa.types.is_binary(field.type) else field.type.byte_width
    for number, value in enumerate(values):
        if value is None:
            _refuse(number, field, schema, "is null")
        if not isinstance(value, bytes):
            _refuse(number, field, schema, f"is {value!r}, not bytes")
        if not value or len(value) % item.itemsize:
            _refuse(number, field, schema, f"is {len(value)} bytes, not one or more {item.name}")
        width = width or len(value)
        if len(value) != width:
            problem = f"is {len(value)} bytes, not {width} as the rows before it or its column"
            _refuse(number, field, schema, problem)
    return pa.array(values, type=pa.binary(width) if width else field.type)


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array | None:
    if not _are_what_they_seem(values, kind):
        return None
    try:
        return pa.array(values, type=kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, ValueError, TypeError):
        return None


def _are_what_they_seem(values: Sequence[Any], kind: pa.DataType) -> bool:
    """Whether no value would become another one on its way into Arrow."""
    types = set(map(type, values)) - {NoneType}
    if pa.types.is_fixed_size_list(kind):
        if not all(issubclass(one, list | tuple | np.ndarray) for one in types):
            return False
        items = list(chain.from_iterable(value for value in values if value is not None))
        return _are_what_they_seem(items, kind.value_type)
    if pa.types.is_string(kind):
        return all(issubclass(one, str) for one in types)
    if pa.types.is_timestamp(kind):
        return all(issubclass(one, datetime) for one in types) and all(
            value is None or value.tzinfo is None for value in values
        )
    whole = all(issubclass(one, int | np.integer) for one in types)
    return bool not in types and (whole or not pa.types.is_integer(kind))


def _check_packed(column: pa.Array, field: pa.Field, schema: pa.Schema) -> None:
    if pa.types.is_binary(column.type):
        return  # without rows there is no width
    values = numbers(column, item_type(field))
    wrong = ~np.isfinite(values)
    if wrong.any():
        row, place = np.argwhere(wrong)[0]
        problem = f"holds {values[row, place]} at place {place}, not a finite number"
        _refuse(int(row), field, schema, problem)


def _check_range(column: pa.Array, field: pa.Field, schema: pa.Schema) -> None:
    row_of_item = np.arange(len(column))
    if pa.types.is_fixed_size_list(field.type):
        # A list that is null as a whole has no items.
        lists = row_of_item[column.is_valid().to_numpy(zero_copy_only=False)]
        row_of_item = lists.repeat(field.type.list_size)
        column = column.flatten()
        if column.null_count and not field.type.value_field.nullable:
            bad = np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0]
            _refuse(int(row_of_item[bad]), field, schema, "holds a null")
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        return
    low, high = numeric_range(field) or (-np.inf, np.inf)
    harmless = 0 if low <= 0 <= high else low
    values = pc.fill_null(column, pa.scalar(harmless, column.type)).to_numpy(zero_copy_only=False)
    wrong = ~np.isfinite(values) | (values < low) | (values > high)
    if wrong.any():
        item = int(np.flatnonzero(wrong)[0])
        wanted = f"a number in [{low:g}, {high:g}]" if np.isfinite(low) else "a finite number"
        _refuse(int(row_of_item[item]), field, schema, f"holds {values[item]}, not {wanted}")


def _refuse_keys(number: int, keys: set[str], expected: set[str], schema: pa.Schema) -> NoReturn:
    problems = [f"{key} is missing" for key in sorted(expected - keys)]
    problems += [f"{key} is unknown" for key in sorted(keys - expected)]
    raise RowRefused(
        f"row {number} has the wrong keys: {', '.join(problems)}",
        where=f"table {table_name(schema)}, row {number}",
        fix=f"give exactly the columns {', '.join(sorted(expected))}",
    )


def _refuse(number: int, field: pa.Field, schema: pa.Schema, problem: str) -> NoReturn:
    doc = (field.metadata or {}).get(b"doc", b"").decode()
    raise RowRefused(
        f"row {number}: column {field.name} {problem}",
        where=f"table {table_name(schema)}, row {number}, column {field.name}",
        fix=f"{field.name} is: {doc}",
    )
