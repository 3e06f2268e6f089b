"""Packed columns: a value is several numbers of one type as bytes, and each shard has its count.

How many numbers a value has depends on who gave it, so that a table can declare their type and
nothing more. In a shard the column is binary of one fixed width, and its metadata say `dtype` and
`shape`, so that the bytes can be read without this package.
"""

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.fields import field


def packed_field(name: str, dtype: str, *, doc: str) -> pa.Field:
    """A column of which the table knows the numbers' type (a name of NumPy's), not the count."""
    declared = field(name, pa.binary(), doc=doc)
    return declared.with_metadata({**declared.metadata, b"dtype": dtype.encode()})


def is_packed(column: pa.Field) -> bool:
    """Whether a column holds numbers as bytes."""
    return b"dtype" in (column.metadata or {})


def item_type(column: pa.Field) -> np.dtype[Any]:
    """The type of a packed column's numbers, little-endian."""
    dtype: np.dtype[Any] = np.dtype(column.metadata[b"dtype"].decode())
    return dtype.newbyteorder("<")


def of_width(schema: pa.Schema, width: int) -> pa.Schema:
    """The schema with `width` numbers in each value of those packed columns that have no width."""
    kinds = {
        column.name: pa.binary(width * item_type(column).itemsize)
        for column in schema
        if is_packed(column)
    }
    return with_widths(schema, pa.schema(kinds))


def width_of(schema: pa.Schema) -> int:
    """How many numbers each value of a packed column has; 0 where none has a width.

    Raises:
        ValueError: several packed columns differ in width.
    """
    widths = {
        column.type.byte_width // item_type(column).itemsize
        for column in schema
        if is_packed(column) and not pa.types.is_binary(column.type)
    }
    if len(widths) > 1:
        raise ValueError(f"packed columns of the widths {sorted(widths)}")
    return widths.pop() if widths else 0


def with_widths(schema: pa.Schema, found: pa.Schema) -> pa.Schema:
    """The schema with those packed columns that have no width yet as wide as in `found`.

    Where `found` has no such column, or one that cannot hold such numbers, the column stays as
    it is.
    """
    for place, column in enumerate(schema):
        at = found.get_field_index(column.name)
        if is_packed(column) and pa.types.is_binary(column.type) and at >= 0:
            schema = schema.set(place, _of_type(column, found.field(at).type))
    return schema


def fits(found: pa.Schema, schema: pa.Schema) -> bool:
    """Whether columns are those of a schema in name and type, packed ones of any one width."""
    known = with_widths(schema, found)
    return found.equals(known, check_metadata=False) and not any(
        is_packed(column) and pa.types.is_binary(column.type) for column in known
    )


def numbers(column: pa.Array | pa.ChunkedArray, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """The numbers of a packed column without nulls, (rows, numbers of each); copied if in chunks.

    Args:
        column: binary of one fixed width.
        dtype: the numbers' type (`item_type`).
    """
    width = column.type.byte_width // dtype.itemsize
    if isinstance(column, pa.ChunkedArray):
        parts = [numbers(chunk, dtype) for chunk in column.chunks]
        return parts[0] if len(parts) == 1 else np.concatenate(parts or [_none(width, dtype)])
    if not len(column):
        return _none(width, dtype)
    start = column.offset * width
    flat = np.frombuffer(column.buffers()[1], dtype, count=len(column) * width + start)
    return flat[start:].reshape(len(column), width)


def _none(width: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    return np.empty((0, width), dtype)


def _of_type(column: pa.Field, kind: pa.DataType) -> pa.Field:
    size = item_type(column).itemsize
    if not pa.types.is_fixed_size_binary(kind) or not kind.byte_width or kind.byte_width % size:
        return column
    shape = json.dumps([kind.byte_width // size]).encode()
    return column.with_type(kind).with_metadata({**column.metadata, b"shape": shape})
