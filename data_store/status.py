"""What a store holds, in numbers."""

from typing import Any

from data_store import queries
from data_store.index import query
from data_store.layout import Store


def store_status(store: Store) -> dict[str, list[dict[str, Any]]]:
    """Tables with their shards, rows and bytes; teachers with what each has left to answer."""
    image_count = query(store, "select count(*) as n from images").column("n")[0].as_py()
    teachers = [
        {
            "teacher_id": row["teacher_id"][:12],
            "name": row["name"],
            "points": row["point_count"],
            "pairs": row["pair_count"],
        }
        for row in queries.teachers(store).to_pylist()
    ]
    without = query(
        store,
        """
        select teacher_id, prompt_id, $images - count(*) as images_without_point
        from points group by all order by all
        """,
        {"images": image_count},
    ).to_pylist()
    gaps = {row["teacher_id"][:12]: row["images_without_point"] for row in without}
    for row in teachers:
        row["images_without_point"] = gaps.get(row["teacher_id"], image_count)
    return {"tables": queries.table_sizes(store).to_pylist(), "teachers": teachers}
