"""What the shards that a store has tell of those to come: rows per second, bytes per row.

Shards are committed while the work goes on, so the rows of a shard took about as long as it came
after the one before it.
"""

from data_store.index import query
from data_store.layout import Store
from data_store.plans import Figure

LONGEST_GAP_S = 600.0
"""A worker commits every minute or so; after a longer silence it was not working."""

_RATE = """
with commits as (
    select producer, host, row_count, written_s, written_s - lag(written_s) over (
        partition by producer, host order by written_s
    ) as gap_s
    from (
        select producer, host, row_count,
            epoch(replace(created, '+00:00', '')::timestamp) as written_s
        from shards
        where table_name = $table and teacher_id = $teacher_id and generation = 0
            and starts_with(producer, $engine)
            and not ($engine = 'vllm ' and starts_with(producer, 'vllm server '))
    )
)
select producer, host, sum(row_count)::bigint as rows, sum(gap_s) as seconds
from commits where gap_s > 0 and gap_s <= $longest
group by all order by max(written_s) desc limit 1
"""
_SIZE = """
select sum(file_bytes)::double as bytes, sum(row_count)::bigint as rows
from shards
where table_name = $table and row_count > 0 and ($teacher_id is null or teacher_id = $teacher_id)
"""


def rows_per_s(store: Store, table: str, *, teacher_id: str, engine: str) -> Figure:
    """How fast this engine of this teacher answered when it last worked for this store.

    Args:
        store: whose shards are looked at; shards that were compacted say no more when.
        table: points, pairs or embeddings.
        teacher_id: whose answers.
        engine: what the engine calls itself begins so, as in "vllm ".
    """
    found = query(
        store,
        _RATE,
        {"table": table, "teacher_id": teacher_id, "engine": engine, "longest": LONGEST_GAP_S},
    ).to_pylist()
    if not found:
        return Figure(None, "this store holds no two shards in a row of this teacher and engine")
    one = found[0]
    rate = one["rows"] / one["seconds"]
    basis = f"{rate:,.1f} rows/s over {one['rows']:,} rows on {one['host']}, {one['producer']}"
    return Figure(rate, basis)


def bytes_per_row(
    store: Store, table: str, *, teacher_id: str | None, assumed: float | None
) -> Figure:
    """What a row takes on disk: in this teacher's shards, in all of the table, or as assumed.

    Args:
        store: whose shards are looked at.
        table: which table.
        teacher_id: whose shards come first; None for those of all.
        assumed: for a store that has none of the table; None where nothing can be assumed.
    """
    for whose in dict.fromkeys((teacher_id, None)):
        if table == "embeddings" and whose is None and teacher_id is not None:
            continue  # states of another teacher have another width
        (row,) = query(store, _SIZE, {"table": table, "teacher_id": whose}).to_pylist()
        if row["rows"]:
            size = row["bytes"] / row["rows"]
            return Figure(size, f"{size:,.0f} bytes a row in this store's shards of {table}")
    return assumed_bytes(table, assumed)


def assumed_bytes(table: str, assumed: float | None) -> Figure:
    """The same where there is no shard to look at."""
    if assumed is None:
        return Figure(None, f"the store holds no {table} yet")
    return Figure(assumed, f"{assumed:.0f} bytes a row, as measured on ten million rows elsewhere")
