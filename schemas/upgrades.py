"""How rows of older schema versions are read: one named step from each version to the next.

A shard is never rewritten because a schema changed. A step takes a SQL relation whose rows have
the older columns and returns a SELECT whose rows have the newer ones; the views apply the steps
that a shard needs. A step never changes once a release has shipped it.
"""

from collections.abc import Callable
from typing import NamedTuple

import pyarrow as pa

from schemas.fields import schema_version, table_schema, vector
from schemas.scale import LETTERS, LEVEL_WORDS
from schemas.tables import TABLES


class Upgrade(NamedTuple):
    """One step of one table."""

    step: Callable[[str], str]
    """From a relation with the older columns to a SELECT with the newer ones."""
    new_columns: tuple[str, ...]
    """Columns that the older version did not have."""
    old_fields: tuple[pa.Field, ...] = ()
    """Columns that the older version declared otherwise, as it did."""


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


def points_1_to_2(rows: str) -> str:
    """Version 2 has room for outside systems: levels not offered, own scores, no token counts."""
    return f"select *, null::double as given_score, null::double as given_confidence from {rows}"


def pairs_1_to_2(rows: str) -> str:
    """Version 2 has room for outside systems: one order alone, or nothing but a preference."""
    return f"select *, null::double as given_preference from {rows}"


def _always(*names: str) -> tuple[pa.Field, ...]:
    """Columns, and items of them, that could not be null: the numbers an engine gave."""
    kinds = {
        "level_logprobs": vector(len(LEVEL_WORDS)),
        "letter_logprobs_ab": vector(len(LETTERS)),
        "letter_logprobs_ba": vector(len(LETTERS)),
    }
    return tuple(pa.field(name, kinds.get(name, pa.int32()), nullable=False) for name in names)


UPGRADES: dict[tuple[str, int], Upgrade] = {
    ("images", 1): Upgrade(images_1_to_2, ("grouped_by", "perceptual_hash", "modified_ns")),
    ("mos", 1): Upgrade(mos_1_to_2, ("mos_std", "rating_count")),
    ("points", 1): Upgrade(
        points_1_to_2,
        ("given_score", "given_confidence"),
        _always("level_logprobs", "prompt_tokens", "cached_tokens"),
    ),
    ("pairs", 1): Upgrade(
        pairs_1_to_2,
        ("given_preference",),
        _always("letter_logprobs_ab", "letter_logprobs_ba", "prompt_tokens", "cached_tokens"),
    ),
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
    step = UPGRADES[table, version]
    # What a number means and its range are as they were.
    old = {f.name: f.with_metadata(newer.field(f.name).metadata) for f in step.old_fields}
    return table_schema(
        table,
        version,
        meaning=newer.metadata[b"meaning"].decode(),
        key=tuple(newer.metadata[b"key"].decode().split(",")),
        fields=[old.get(f.name, f) for f in newer if f.name not in step.new_columns],
    )
