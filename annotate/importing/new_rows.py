"""Which prepared rows of a teacher are new, and which are at odds with another row or the store."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data_store.index import query
from data_store.layout import Store
from schemas.fields import key_columns
from schemas.tables import TABLES

IntArray = npt.NDArray[np.int64]

EVIDENCE = {
    "points": ("level_logprobs", "given_score", "given_confidence"),
    "pairs": ("letter_logprobs_ab", "letter_logprobs_ba", "given_preference"),
}
"""By table: what another system may have said; null where it did not."""


class NewRows(NamedTuple):
    """What becomes of the prepared rows of one teacher."""

    rows: pa.Table
    """The images and the evidence of the rows that the store does not hold, ordered by image."""
    unchanged_count: int
    disputed: IntArray
    """Numbers of rows whose key an earlier row has with other evidence."""
    changed: IntArray
    """Numbers of rows that the store holds with other evidence."""


def new_rows(
    store: Store, prepared: pa.Table, table: str, *, teacher_id: str, prompt_id: str
) -> NewRows:
    """Compare a teacher's prepared rows with each other and with the store.

    Args:
        store: where they may already be.
        prepared: `row`, and of the table the columns that name images and those of the evidence.
        table: points or pairs.
        teacher_id: whose rows they are.
        prompt_id: what the teacher was asked.
    """
    images = image_columns(table)
    repeated = repeated_rows(prepared, images)
    stored, changed = _compared(
        store,
        prepared,
        table,
        other=f"(select * from {table} where teacher_id = $teacher_id and prompt_id = $prompt_id)",
        parameters={"teacher_id": teacher_id, "prompt_id": prompt_id},
    )
    first = _without(prepared, repeated)
    _, disputed = (
        _compared(store, prepared, table, other="others", others=first)
        if len(repeated)
        else (repeated, repeated)
    )
    added = _without(first, stored).drop_columns(["row", "teacher"])
    return NewRows(
        added.sort_by([(name, "ascending") for name in images]),
        first.num_rows - added.num_rows,
        disputed,
        changed,
    )


def image_columns(table: str) -> list[str]:
    """The columns of points or pairs that name images."""
    return [name for name in key_columns(TABLES[table]) if name.startswith("image")]


def repeated_rows(table: pa.Table, columns: list[str]) -> IntArray:
    """Numbers of the rows whose columns hold what an earlier row's hold."""
    if any(pc.count_distinct(table.column(name)).as_py() == table.num_rows for name in columns):
        return np.empty(0, dtype=np.int64)  # the common case, at a fraction of the cost
    first = table.group_by(columns).aggregate([("row", "min")]).column("row_min")
    row: IntArray = table.column("row").to_numpy()
    return row[np.isin(row, first.to_numpy(), invert=True)]


def complete(rows: pa.Table, table: str, *, teacher_id: str, prompt_id: str) -> pa.Table:
    """Images and evidence with all other columns of their table; what asking cost is not known."""
    given = {"teacher_id": teacher_id, "prompt_id": prompt_id}
    columns = []
    for field in TABLES[table]:
        if field.name in given:
            columns.append(pa.repeat(pa.scalar(given[field.name], field.type), rows.num_rows))
        elif field.name in rows.column_names:
            columns.append(rows.column(field.name))
        else:
            columns.append(pa.nulls(rows.num_rows, field.type))
    return pa.table(columns, schema=TABLES[table])


def _compared(
    store: Store,
    prepared: pa.Table,
    table: str,
    *,
    other: str,
    parameters: Mapping[str, str] | None = None,
    others: pa.Table | None = None,
) -> tuple[IntArray, IntArray]:
    """Numbers of the prepared rows whose key the others have, and of those that differ in it."""
    by = ", ".join(image_columns(table))
    differs = " or ".join(_differs(table, name) for name in EVIDENCE[table])
    found = query(
        store,
        f"select row, {differs} as differs from prepared join {other} as other using ({by})",
        parameters,
        tables={"prepared": prepared}
        | ({"others": others.drop_columns("row")} if others is not None else {}),
    )
    row = found.column("row").to_numpy()
    return row, row[np.asarray(found.column("differs"), dtype=np.bool_)]


def _differs(table: str, name: str) -> str:
    # Lists of fixed length come from Arrow, lists of any length from the views.
    kind = "::float[]" if pa.types.is_fixed_size_list(TABLES[table].field(name).type) else ""
    return f"prepared.{name}{kind} is distinct from other.{name}{kind}"


def _without(table: pa.Table, rows: IntArray) -> pa.Table:
    if not len(rows):
        return table
    return table.filter(pa.array(np.isin(table.column("row").to_numpy(), rows, invert=True)))
