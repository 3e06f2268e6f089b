"""Which prepared rows of a teacher are new, and which are at odds with another row or the store."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

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

    teacher_id: str
    rows: pa.Table
    """The rows that the store does not hold, complete, ordered by their key."""
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
    images = [name for name in key_columns(TABLES[table]) if name.startswith("image")]
    by = ", ".join(images)
    same = ", ".join(_comparable(table, name) for name in EVIDENCE[table])
    found = query(
        store,
        f"""
        with given as (select row, {by}, struct_pack({same}) as evidence from prepared),
        stored as (
            select {by}, struct_pack({same}) as stored_evidence from {table}
            where teacher_id = $teacher_id and prompt_id = $prompt_id
        )
        select
            row_number() over (partition by {by} order by row) = 1 as is_first,
            evidence is distinct from first_value(evidence) over (partition by {by} order by row)
                as disputed,
            stored_evidence is not null as is_stored,
            stored_evidence is not null and evidence is distinct from stored_evidence as changed
        from given left join stored using ({by})
        order by row
        """,
        {"teacher_id": teacher_id, "prompt_id": prompt_id},
        tables={"prepared": prepared},
    )
    flags = {name: np.asarray(found.column(name), dtype=np.bool_) for name in found.column_names}
    is_new = flags["is_first"] & ~flags["is_stored"]
    row = prepared.column("row").to_numpy()
    added = prepared.filter(pa.array(is_new)).sort_by([(name, "ascending") for name in images])
    return NewRows(
        teacher_id,
        _complete(added, table, teacher_id, prompt_id),
        int((flags["is_first"] & flags["is_stored"]).sum()),
        row[flags["disputed"]],
        row[flags["changed"]],
    )


def repeated_rows(table: pa.Table, columns: list[str]) -> IntArray:
    """Numbers of the rows whose columns hold what an earlier row's hold."""
    first = table.group_by(columns).aggregate([("row", "min")]).column("row_min")
    row: IntArray = table.column("row").to_numpy()
    return row[np.isin(row, first.to_numpy(), invert=True)]


def _comparable(table: str, name: str) -> str:
    # Lists of fixed length come from Arrow, lists of any length from the views.
    kind = TABLES[table].field(name).type
    return (
        f"{name} := {name}::float[]" if pa.types.is_fixed_size_list(kind) else f"{name} := {name}"
    )


def _complete(rows: pa.Table, table: str, teacher_id: str, prompt_id: str) -> pa.Table:
    given = {"teacher_id": teacher_id, "prompt_id": prompt_id}
    columns = []
    for field in TABLES[table]:
        if field.name in given:
            columns.append(pa.repeat(pa.scalar(given[field.name], field.type), rows.num_rows))
        elif field.name in rows.column_names:
            columns.append(rows.column(field.name))
        else:  # what asking cost is not known
            columns.append(pa.nulls(rows.num_rows, field.type))
    return pa.table(columns, schema=TABLES[table])
