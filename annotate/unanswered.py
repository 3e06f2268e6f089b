"""What of a piece of work the store does not hold yet: asked again before every piece.

A piece may have been answered since it was planned, by a worker that died before it could say so.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from annotate.job import TableName
from annotate.work import Work
from data_store.index import query
from data_store.layout import Store

_IMAGES = """
    select number from todo join asked using (prompt)
    where (image_id, prompt_id) not in (
        select (image_id, prompt_id) from {table} where teacher_id = $teacher_id
    )
    order by number
"""
_PAIRS = """
    select number from todo
    where (least(first, second), greatest(first, second)) not in (
        select (image_a, image_b) from pairs
        where teacher_id = $teacher_id and prompt_id in (select prompt_id from asked)
    )
    order by number
"""


def unanswered(
    store: Store, table: TableName, work: Work, *, teacher_id: str, prompt_ids: Sequence[str]
) -> Work:
    """The rows of the work that have no committed answer, in their order."""
    asked = pa.table({"prompt": np.arange(len(prompt_ids)), "prompt_id": list(prompt_ids)})
    ids = work.images.column("image_id")
    number = np.arange(len(work))
    if table != "pairs":
        rows = {"image_id": ids.take(work.rows[:, 0]), "prompt": work.rows[:, 1]}
    else:
        rows = {"first": ids.take(work.rows[:, 0]), "second": ids.take(work.rows[:, 1])}
    left = query(
        store,
        _PAIRS if table == "pairs" else _IMAGES.format(table=table),
        {"teacher_id": teacher_id},
        tables={"todo": pa.table({"number": number, **rows}), "asked": asked},
    )
    return Work(work.images, work.rows[left.column("number").to_numpy()])
