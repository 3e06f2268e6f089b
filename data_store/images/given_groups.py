"""Groups that the user gives: read from a file, and given to images that the store knows."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from data_store.images.writer import PRODUCER, ROWS_PER_SHARD
from data_store.index import query
from data_store.layout import Store
from data_store.named_columns import place, read_columns, refuse
from data_store.shards import commit_rows
from schemas.ids import sha256_text
from schemas.images import IMAGES

FOUND_FILES = """
select * exclude (repeat) from (
    select *, row_number() over (partition by path order by part, place) as repeat from found
) where repeat = 1
"""
"""SQL: the files of the table `found` (`sources.FOUND`), each once."""

UNCHANGED = """
known.path = files.path and known.modified_ns = files.modified_ns
and (files.file_bytes is null or known.file_bytes = files.file_bytes)
"""
"""SQL: whether a row `known` of the view image_files is about `files` as it is now."""


class Regrouped(NamedTuple):
    """What giving groups to known images came to."""

    changed: int
    """Files that have the given group now."""
    disputed: int
    """Files that were given another group before, which stands."""
    left_behind: int
    """Images that were grouped with these by their looks, and stay where they were."""


def read_groups(path: Path, *, image_column: str, group_column: str) -> dict[str, str]:
    """Group name of each image name, from any file that `named_columns` reads.

    Raises:
        MosFileError: a column is missing, a cell is empty, or an image has two groups.
    """
    groups: dict[str, str] = {}
    problems = []
    for number, (name, group) in read_columns(path, (image_column, group_column)):
        if not name or not group:
            problems.append(f"{place(path, number)}: the image or its group is empty")
        elif groups.setdefault(name, group) != group:
            problems.append(
                f"{place(path, number)}: {name} is in group {groups[name]} and in {group}"
            )
    refuse(path, problems)
    return groups


def group_table(groups: Mapping[str, str]) -> pa.Table:
    """Columns name (of the image) and group_id, from the names of images and groups."""
    return pa.table(
        {
            "name": pa.array(groups.keys(), pa.string()),
            "group_id": pa.array(
                (sha256_text(f"group:{group}") for group in groups.values()), pa.string()
            ),
        }
    )


def regroup(store: Store, tables: Mapping[str, pa.Table]) -> Regrouped:
    """Give files that are known and unchanged the groups that are given now.

    Args:
        store: which store.
        tables: `found` as `sources.FOUND`, `given` as from `group_table`.
    """
    if not tables["given"].num_rows:
        return Regrouped(0, 0, 0)
    files = query(
        store,
        f"""
        select {", ".join(f"known.{name}" for name in IMAGES.names)},
            images.grouped_by as was_by, images.group_id as was, given.group_id as given_group
        from ({FOUND_FILES}) as files join given on given.name = files.name
        join image_files as known on {UNCHANGED}
        join images on images.image_id = known.image_id
        where images.group_id != given.group_id
        order by files.part, files.place, files.path
        """,
        tables=tables,
    )
    changed = files.filter(pc.not_equal(files["was_by"], "given"))
    rows = changed.set_column(
        changed.schema.get_field_index("group_id"), "group_id", changed["given_group"]
    )
    rows = rows.set_column(
        rows.schema.get_field_index("grouped_by"),
        "grouped_by",
        pa.repeat("given", rows.num_rows),
    )
    rows = rows.select(IMAGES.names).cast(IMAGES)
    for start in range(0, rows.num_rows, ROWS_PER_SHARD):
        commit_rows(store, "images", rows.slice(start, ROWS_PER_SHARD), producer=PRODUCER)
    left_behind = query(
        store,
        """
        select count(*) as images from images
        where grouped_by != 'given' and group_id in (select was from changed)
        """,
        tables={"changed": changed},
    )
    return Regrouped(
        changed.num_rows, files.num_rows - changed.num_rows, left_behind["images"][0].as_py()
    )
