"""MOS of images that are not in the store, as rows of the table `mos`.

`store add-mos` gives MOS to images by name. Images without a file have none that it could find, so
their MOS come with the judgements, under the same ids.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from annotate.importing.judged_rows import JudgedRows
from data_store.index import query
from data_store.layout import Store
from schemas.mos import MOS


class NewMos(NamedTuple):
    """What becomes of the MOS in a file."""

    rows: pa.Table
    unchanged_count: int


def new_mos(store: Store, rows: JudgedRows, image_ids: pa.Array) -> NewMos:
    """The MOS that the store does not hold; what is wrong with the rows is noted.

    A file with several teachers names each image several times: its MOS must be the same in all.

    Args:
        store: which store.
        rows: as they were read.
        image_ids: of each row.
    """
    if rows.request.mos_scale is None:
        return NewMos(MOS.empty_table(), 0)
    low, high = rows.request.mos_scale
    mos = rows.numbers("mos")[:, 0]
    with np.errstate(invalid="ignore"):
        off = (mos < low) | (mos > high)
    rows.blame(
        off,
        lambda cells: (
            f"the MOS of {cells['image']} is {cells['mos']}, outside the scale {low:g} to {high:g}"
        ),
    )
    found = query(
        store,
        """
        with first as (
            select image_id, arg_min(mos, row) as mos, arg_min(row, row) as row
            from given group by image_id
        )
        select given.row, given.image_id, given.mos, first.row = given.row as is_first,
            given.mos <> first.mos as disputed,
            stored.mos is not null as is_stored,
            coalesce(stored.mos <> given.mos or scale_min <> $low or scale_max <> $high, false)
                as changed
        from given join first using (image_id)
        left join (from mos where source = $source) as stored using (image_id)
        order by given.row
        """,
        {"source": rows.request.dataset, "low": low, "high": high},
        tables={
            "given": pa.table(
                {"row": rows.table.column("row"), "image_id": image_ids, "mos": pa.array(mos)}
            )
        },
    )
    flags = {
        name: np.asarray(found.column(name).fill_null(fill_value=False), dtype=np.bool_)
        for name in ("is_first", "disputed", "is_stored", "changed")
    }
    row = found.column("row").to_numpy()
    rows.blame_rows(
        row[flags["disputed"]], lambda cells: f"{cells['image']} has another MOS in an earlier row"
    )
    rows.blame_rows(
        row[flags["changed"] & ~flags["disputed"]],
        lambda cells: f"{cells['image']} is stored with another MOS or on another scale",
    )
    new = found.filter(pa.array(flags["is_first"] & ~flags["is_stored"])).sort_by("image_id")
    count = new.num_rows
    table = pa.table(
        {
            "image_id": new.column("image_id"),
            "source": pa.repeat(rows.request.dataset, count),
            "mos": new.column("mos"),
            "scale_min": pa.repeat(float(low), count),
            "scale_max": pa.repeat(float(high), count),
            "mos_std": pa.nulls(count, pa.float64()),
            "rating_count": pa.nulls(count, pa.int32()),
        },
        schema=MOS,
    )
    return NewMos(table, int((flags["is_first"] & flags["is_stored"]).sum()))
