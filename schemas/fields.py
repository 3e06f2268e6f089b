"""The vocabulary of our Arrow schemas: fields that carry their meaning, unit and range."""

import pyarrow as pa


def field(  # noqa: PLR0913 - a column has this many properties
    name: str,
    kind: pa.DataType,
    *,
    doc: str,
    unit: str = "",
    within: tuple[float, float] | None = None,
    nullable: bool = False,
    repeats: bool = False,
) -> pa.Field:
    """A column with its meaning, its unit and the closed range its numbers must lie in.

    `repeats` says that few different values stand in many rows: those are stored once and
    referred to. On columns that do not repeat, trying that costs half the time of writing.
    """
    metadata = {"doc": doc, "unit": unit}
    if within is not None:
        metadata["range"] = f"{within[0]:g} {within[1]:g}"
    if repeats:
        metadata["repeats"] = "yes"
    return pa.field(name, kind, nullable=nullable, metadata=metadata)


def vector(length: int, *, gaps: bool = False) -> pa.DataType:
    """A list of exactly `length` float32 numbers; none is null unless `gaps` are allowed."""
    # Parquet calls list items `element`; any other name reads back as a different schema.
    return pa.list_(pa.field("element", pa.float32(), nullable=gaps), length)


def table_schema(
    name: str, version: int, *, meaning: str, key: tuple[str, ...], fields: list[pa.Field]
) -> pa.Schema:
    """A table: its columns, the columns that identify a row, and its schema version."""
    metadata = {
        "table": name,
        "schema_version": str(version),
        "meaning": meaning,
        "key": ",".join(key),
    }
    return pa.schema(fields, metadata=metadata)


def table_name(schema: pa.Schema) -> str:
    """The table a schema describes."""
    return str(schema.metadata[b"table"], "utf-8")


def schema_version(schema: pa.Schema) -> int:
    """The version of a table's schema."""
    return int(schema.metadata[b"schema_version"])


def key_columns(schema: pa.Schema) -> tuple[str, ...]:
    """The columns that identify a row."""
    return tuple(schema.metadata[b"key"].decode().split(","))


def numeric_range(column: pa.Field) -> tuple[float, float] | None:
    """The closed range a column's numbers must lie in, if it has one."""
    text = (column.metadata or {}).get(b"range")
    if text is None:
        return None
    low, high = text.decode().split()
    return float(low), float(high)


def repeating_columns(schema: pa.Schema) -> list[str]:
    """The columns in which few different values stand in many rows."""
    return [column.name for column in schema if b"repeats" in (column.metadata or {})]
