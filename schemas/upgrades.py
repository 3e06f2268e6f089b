"""How rows of older schema versions are read: one named step from each version to the next.

A shard is never rewritten because a schema changed. A step takes a SQL relation whose rows have
the older columns and returns a SELECT whose rows have the newer ones; the views apply the steps
that a shard needs. A step never changes once a release has shipped it.
"""

from collections.abc import Callable
from typing import NamedTuple

import pyarrow as pa

from schemas.fields import schema_version, table_schema
from schemas.tables import TABLES


class Upgrade(NamedTuple):
    """One step of one table."""

    step: Callable[[str], str]
    """From a relation with the older columns to a SELECT with the newer ones."""
    new_columns: tuple[str, ...]
    """Columns that the older version did not have."""


def images_1_to_2(rows: str) -> str:
    """Version 2 says where a group comes from, how an image looks and when its file changed."""
    return (
        "select *,"
        " case when group_id = image_id then 'alone' else 'given' end as grouped_by,"
        " null::varchar as perceptual_hash,"
        f" null::bigint as modified_ns from {rows}"
    )


def mos_1_to_2(rows: str) -> str:
    """Version 2 keeps the spread and the number of the ratings."""
    return f"select *, null::double as mos_std, null::integer as rating_count from {rows}"


UPGRADES: dict[tuple[str, int], Upgrade] = {
    ("images", 1): Upgrade(images_1_to_2, ("grouped_by", "perceptual_hash", "modified_ns")),
    ("mos", 1): Upgrade(mos_1_to_2, ("mos_std", "rating_count")),
}
"""The step that leaves each past (table, version)."""


def upgraded(table: str, version: int, rows: str, *, keep: tuple[str, ...] = ()) -> str:
    """A SELECT that gives rows of this version the columns of the present one, by name.

    Args:
        table: name of the table.
        version: schema version of the rows.
        rows: a SQL relation: a table function, a view, or a SELECT in brackets.
        keep: further columns of the relation that the SELECT passes on.
    """
    while (table, version) in UPGRADES:
        rows = f"({UPGRADES[table, version].step(rows)})"
        version += 1
    return f"select {', '.join((*TABLES[table].names, *keep))} from {rows}"


def schema_of(table: str, version: int) -> pa.Schema:
    """The schema that shards of this version have.

    Raises:
        KeyError: there was never such a version.
    """
    schema = TABLES[table]
    if version == schema_version(schema):
        return schema
    newer = schema_of(table, version + 1) if version < schema_version(schema) else None
    if newer is None:
        raise KeyError((table, version))
    added = UPGRADES[table, version].new_columns
    return table_schema(
        table,
        version,
        meaning=newer.metadata[b"meaning"].decode(),
        key=tuple(newer.metadata[b"key"].decode().split(",")),
        fields=[field for field in newer if field.name not in added],
    )
