"""What a store holds, in numbers.

Rows are counted by the footers of the shards, which costs the same for ten rows and for ten
million. The rows themselves are looked at only where two shards may hold the same key, for the
images without a point, and for the groups.
"""

from collections.abc import Sequence
from typing import Any

from data_store.index import query
from data_store.layout import Store
from schemas.tables import BY_TEACHER

Rows = list[dict[str, Any]]

LAST_WRITERS = 3
"""How many writers of each table and teacher are told."""

SHORT_ID = 12
"""Digits of an id that a table shows: enough to tell ids apart and to search for them."""


def store_status(store: Store) -> dict[str, Any]:
    """Everything that `store status` says; docs/queries.md explains the keys.

    Raises:
        ShardDamaged: a shard cannot be read.
    """
    names = {teacher_id: spec.name for teacher_id, spec in store.teachers().items()}
    counts = _counts(store)
    teachers = _by_teacher(counts, names)
    return {
        "store": store.address,
        "tables": _by_table(counts),
        "teachers": teachers,
        "gaps": _gaps(store, [row["teacher_id"] for row in teachers]),
        "mos": _ask(store, _MOS),
        "groups": _ask(store, _GROUPS)[0],
        "rejections": _ask(store, _REJECTIONS),
        "last_writers": _ask(store, _LAST_WRITERS, most=LAST_WRITERS),
    }


def status_tables(status: dict[str, Any]) -> dict[str, Rows]:
    """The same as tables for people: title and rows, with ids cut short; empty ones left out."""
    groups = [status["groups"]] if status["groups"]["images"] else []
    tables = {
        "tables": status["tables"],
        "teachers": status["teachers"],
        "images without a point": status["gaps"],
        "mos": status["mos"],
        "groups": groups,
        "rejections": status["rejections"],
        "last writers": status["last_writers"],
    }
    return {title: [_short(row) for row in rows] for title, rows in tables.items() if rows}


def _counts(store: Store) -> Rows:
    """Per table, and per teacher where shards lie by teacher: shards, rows and bytes."""
    counts = _ask(store, _COUNTS, by_teacher=list(BY_TEACHER))
    for row in counts:
        row["rows"] = row["rows_written"]
        if row.pop("overlapping"):
            # The view keeps one row per key; `images` alone has one per content instead.
            view = "image_files" if row["table_name"] == "images" else row["table_name"]
            where = " where teacher_id = $teacher_id" if row["teacher_id"] else ""
            teacher = {"teacher_id": row["teacher_id"]} if where else {}
            row["rows"] = _ask(store, f"select count(*) as n from {view}{where}", **teacher)[0]["n"]
    return counts


def _by_table(counts: Rows) -> Rows:
    tables: dict[str, dict[str, Any]] = {}
    for row in counts:
        name = row["table_name"]
        if name not in tables:
            tables[name] = {"table_name": name, "rows": 0, "rows_written": 0, "shards": 0}
            tables[name] |= {"bytes": 0, "schema_versions": [], "last_written": ""}
        table = tables[name]
        for key in ("rows", "rows_written", "shards", "bytes"):
            table[key] += row[key]
        versions = {*table["schema_versions"], *row["schema_versions"]}
        table["schema_versions"] = sorted(versions)
        table["last_written"] = max(table["last_written"], row["last_written"])
    return list(tables.values())


def _by_teacher(counts: Rows, names: dict[str, str]) -> Rows:
    found = {(row["teacher_id"], row["table_name"]): row for row in counts if row["teacher_id"]}
    teachers = []
    for teacher_id in sorted(names.keys() | {teacher for teacher, _ in found}):
        own = {table: found.get((teacher_id, table)) for table in BY_TEACHER}
        there = [row for row in own.values() if row]
        teachers.append(
            {
                "teacher_id": teacher_id,
                "name": names.get(teacher_id, ""),
                **{table: row["rows"] if row else 0 for table, row in own.items()},
                "shards": sum(row["shards"] for row in there),
                "bytes": sum(row["bytes"] for row in there),
                "last_written": max((row["last_written"] for row in there), default=""),
            }
        )
    return teachers


def _gaps(store: Store, teacher_ids: Sequence[str]) -> Rows:
    """Per teacher and prompt, the images that have no point; a teacher without points has all."""
    images = _ask(store, "select count(*) as n from images")[0]["n"]
    found = _ask(store, _ANSWERED)
    asked = {row["teacher_id"] for row in found}
    found += [
        {"teacher_id": teacher_id, "prompt_id": None, "images_with_point": 0}
        for teacher_id in teacher_ids
        if teacher_id not in asked
    ]
    return [row | {"images_without_point": images - row["images_with_point"]} for row in found]


def _short(row: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value[:SHORT_ID] if value and key in ("teacher_id", "prompt_id") else value
        for key, value in row.items()
    }


def _ask(store: Store, sql: str, **parameters: object) -> Rows:
    rows: Rows = query(store, sql, parameters).to_pylist()
    return rows


_COUNTS = """
select table_name, if(table_name in $by_teacher, teacher_id, '') as teacher_id,
    count(*) as shards, sum(row_count)::bigint as rows_written, sum(file_bytes)::bigint as bytes,
    list(distinct schema_version order by schema_version) as schema_versions,
    max(created) as last_written, bool_or(overlapping) as overlapping
from shards group by all order by all
"""

_ANSWERED = """
select teacher_id, prompt_id,
    count(*) filter (where image_id in (select image_id from images)) as images_with_point
from points group by all order by all
"""

_MOS = """
select source, scale_min, scale_max, count(*) as images, min(mos) as lowest, max(mos) as highest
from mos group by all order by all
"""

_GROUPS = """
select count(*) as groups, coalesce(sum(images), 0)::bigint as images,
    coalesce(max(images), 0) as largest_group,
    coalesce(sum(images) filter (where images > 1), 0)::bigint as images_that_share_a_group
from (select group_id, count(*) as images from images group by group_id)
"""

_REJECTIONS = """
select stage, reason, count(*) as rows from rejections group by all
order by rows desc, stage, reason
"""

_LAST_WRITERS = """
select * from (
    select table_name, teacher_id, producer, writer, host, count(*) as shards,
        sum(row_count)::bigint as rows_written, max(created) as last_written
    from shards group by all
)
qualify row_number() over (
    partition by table_name, teacher_id order by last_written desc, producer, host
) <= $most
order by table_name, teacher_id, last_written desc, producer, host
"""
