"""What the index holds, the shard list, key hashes and views, and how it is kept up to date."""

from collections.abc import Iterator, Sequence
from importlib import resources

import duckdb
import numpy as np
import pyarrow as pa

from data_store.faults import reach
from data_store.layout import Shard, Store
from data_store.shards import check_bytes, read_footer
from data_store.unique_rows import ShardFile, all_rows, unique_rows
from schemas.fields import field, key_columns
from schemas.ids import sha256_text
from schemas.packed import width_of, with_widths
from schemas.tables import TABLES

SHARDS = pa.schema(
    [
        field("number", pa.int32(), doc="the shard's number in this index"),
        field("table_name", pa.string(), doc="table whose rows it holds"),
        field("path", pa.string(), doc="where it lies below the store"),
        field(
            "shard", pa.string(), doc="SHA-256 of its bytes, hex; the views name it for each row"
        ),
        field("row_count", pa.int64(), doc="rows as written", unit="row"),
        field("file_bytes", pa.int64(), doc="size of the file", unit="byte"),
        field(
            "schema_version", pa.int32(), doc="version of the table's schema when it was written"
        ),
        field(
            "generation",
            pa.int32(),
            doc="of rows with one key the greater stands; compaction and replacing raise it",
        ),
        field("teacher_id", pa.string(), doc="whose answers; empty where no teacher is involved"),
        field("producer", pa.string(), doc="command, or engine with its version and hardware"),
        field("writer", pa.string(), doc="release of leaf-iqa that wrote it"),
        field("host", pa.string(), doc="machine that wrote it"),
        field("created", pa.string(), doc="when it was written, by that machine's clock, ISO 8601"),
        field(
            "width",
            pa.int32(),
            doc="numbers in each state; 0 where the table has no states",
        ),
        field("overlapping", pa.bool_(), doc="whether another shard may hold one of its keys"),
    ]
)
"""The table `shards` of the index: one row = one committed shard."""

_SQL_TYPES = {
    pa.string(): "varchar",
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.bool_(): "boolean",
}
_TABLES_OF_THE_INDEX = (
    "create schema if not exists internal;"
    "create table if not exists internal.meta (signature varchar);"
    "create table if not exists internal.repeated_contents (image_id varchar);"
    "create table if not exists shards ("
    + ", ".join(f"{column.name} {_SQL_TYPES[column.type]}" for column in SHARDS)
    + ");"
) + "".join(
    f"create table if not exists internal.keys_{table} (number integer, key_hash ubigint"
    f"{', content_hash ubigint' if table == 'images' else ''});"
    for table in TABLES
)


def is_current(
    connection: duckdb.DuckDBPyConnection, store: Store, shards: Sequence[Shard]
) -> bool:
    """Whether the attached index is of this place and release and lists exactly these shards."""
    try:
        if connection.sql("from internal.meta").fetchall() != [(_signature(store),)]:
            return False
        listed = connection.sql("select path from shards").fetchall()
    except duckdb.Error:
        return False  # an index of an older layout
    return len(listed) == len(shards) and {row[0] for row in listed} == {s.name for s in shards}


def bring_up_to_date(
    connection: duckdb.DuckDBPyConnection, store: Store, shards: Sequence[Shard]
) -> None:
    """Make the attached index, empty or older, list exactly these shards.

    Raises:
        ShardDamaged: a shard cannot be read.
        FileNotFoundError, duckdb.Error: a shard went away, or the index is of another release.
    """
    connection.execute("begin")
    connection.execute(_TABLES_OF_THE_INDEX)
    signatures = connection.sql("from internal.meta").fetchall()
    if signatures not in ([], [(_signature(store),)]):
        raise duckdb.CatalogException("the index is of another place or release")
    listed = {row[0] for row in connection.sql("select path from shards").fetchall()}
    gone = listed - {shard.name for shard in shards}
    _forget(connection, store, gone)
    new = [shard for shard in shards if shard.name not in listed]
    _list_shards(connection, store, new)
    reach("index.listed")
    for table in {shard.table for shard in new}:
        _find_repeated_keys(connection, store, table)
    if gone:
        _find_no_longer_overlapping(connection)
    if any(shard.table == "images" for shard in new):
        _find_repeated_contents(connection, store)
    connection.execute("drop table if exists new_shards")
    connection.execute("delete from internal.meta")
    connection.execute("insert into internal.meta values (?)", [_signature(store)])
    for statement in _view_statements(connection, store, all_of_them=not signatures):
        connection.execute(statement)
    connection.execute("commit")


def _forget(connection: duckdb.DuckDBPyConnection, store: Store, gone: set[str]) -> None:
    if not gone:
        return
    store.folder.forget(gone)
    connection.register("gone", pa.table({"path": sorted(gone)}))
    for table in TABLES:
        connection.execute(
            f"delete from internal.keys_{table} where number in"
            " (select number from shards where path in (select path from gone))"
        )
    connection.execute("delete from shards where path in (select path from gone)")
    connection.unregister("gone")


def _list_shards(connection: duckdb.DuckDBPyConnection, store: Store, new: Sequence[Shard]) -> None:
    (last,) = connection.sql("select coalesce(max(number), -1) from shards").fetchall()[0]
    rows = [_shard_row(store, shard, last + 1 + place) for place, shard in enumerate(new)]
    connection.register("footers", pa.Table.from_pylist(rows, schema=SHARDS))
    connection.execute("create or replace table new_shards as from footers")
    connection.execute("insert into shards from new_shards")
    connection.unregister("footers")


def _shard_row(store: Store, shard: Shard, number: int) -> dict[str, object]:
    footer = read_footer(store, shard)
    path = store.root / shard.name
    # Once per shard: DuckDB would take most flipped bits for data.
    check_bytes(shard, path.read_bytes(), where=path)
    notes = {key.decode(): value.decode() for key, value in footer.metadata.items()}
    return {
        "number": number,
        "table_name": shard.table,
        "path": shard.name,
        "shard": shard.sha256,
        "row_count": footer.num_rows,
        "file_bytes": (store.root / shard.name).stat().st_size,
        "schema_version": int(notes["schema_version"]),
        "generation": int(notes.get("generation", "0")),
        "width": width_of(with_widths(TABLES[shard.table], footer.schema.to_arrow_schema())),
        "overlapping": False,
        **{
            name: notes.get(name, "")
            for name in ("teacher_id", "producer", "writer", "host", "created")
        },
    }


def _find_repeated_keys(connection: duckdb.DuckDBPyConnection, store: Store, table: str) -> None:
    """Hash the keys of the new shards, and mark every shard that shares a hash."""
    _hash_new(connection, store, table)
    _collect_repeated(connection, table, "key_hash")
    connection.execute(
        f"""
        update shards set overlapping = true where table_name = '{table}' and number in (
            select number from internal.keys_{table} where key_hash in (from repeated)
        )
        """
    )


def _find_no_longer_overlapping(connection: duckdb.DuckDBPyConnection) -> None:
    """Unmark the shards whose keys no other shard holds now that some are gone."""
    for table in TABLES:
        overlapping = f"select number from shards where overlapping and table_name = '{table}'"
        connection.execute(
            f"""
            update shards set overlapping = false
            where number in ({overlapping}) and number not in (
                select number from internal.keys_{table} where key_hash in (
                    select key_hash from internal.keys_{table} where number in ({overlapping})
                    group by key_hash having count(*) > 1
                )
            )
            """
        )


def _find_repeated_contents(connection: duckdb.DuckDBPyConnection, store: Store) -> None:
    """Keep the image_ids of which there is more than one row: copies under several paths."""
    _collect_repeated(connection, "images", "content_hash")
    shards = _files(
        connection,
        store,
        "table_name = 'images' and number in"
        " (select number from internal.keys_images where content_hash in (from repeated))",
    )
    connection.execute(
        f"""
        insert into internal.repeated_contents
        select image_id from ({all_rows("images", shards)})
        where hash(image_id) in (from repeated)
            and image_id not in (select image_id from internal.repeated_contents)
        group by image_id having count(*) > 1
        """
    )


def _hash_new(connection: duckdb.DuckDBPyConnection, store: Store, table: str) -> None:
    is_new = f"table_name = '{table}' and number in (select number from new_shards)"
    key = ", ".join(key_columns(TABLES[table]))
    content = ", hash(image_id)" if table == "images" else ""
    connection.execute(
        f"insert into internal.keys_{table} select number, hash({key}){content}"
        f" from ({all_rows(table, _files(connection, store, is_new))})"
        f" join (select number, shard from new_shards where table_name = '{table}') using (shard)"
    )


def _collect_repeated(connection: duckdb.DuckDBPyConnection, table: str, column: str) -> None:
    """Put the hashes that stand more than once, and in a new shard, into table `repeated`."""
    in_new = f"select {column} from internal.keys_{table} join new_shards using (number)"
    (old,) = connection.sql(
        f"select count(*) from shards where table_name = '{table}'"
        " and number not in (select number from new_shards)"
    ).fetchall()[0]
    candidates = (
        f"select {column} from internal.keys_{table} where {column} in ({in_new})"
        if old
        else in_new  # a new index: the rows need not be looked up among themselves
    )
    # Sorting ten million numbers takes NumPy a tenth of the time that DuckDB takes to group them.
    hashes = np.sort(connection.sql(candidates).to_arrow_table().column(0).to_numpy())
    repeated = np.unique(hashes[1:][hashes[1:] == hashes[:-1]])
    connection.register("found", pa.table({column: repeated}))
    connection.execute("create or replace temp table repeated as from found")
    connection.unregister("found")


def _files(connection: duckdb.DuckDBPyConnection, store: Store, condition: str) -> list[ShardFile]:
    rows = connection.sql(
        f"select path, schema_version, overlapping from shards where {condition} order by path"
    ).fetchall()
    return [ShardFile(str(store.root / path), version, flag) for path, version, flag in rows]


def _view_statements(
    connection: duckdb.DuckDBPyConnection, store: Store, *, all_of_them: bool
) -> Iterator[str]:
    """The statements that make the views; if not all, those that name shards."""
    for statement in _views_text().split(";\n"):
        table = next((name for name in TABLES if "{" + name + "}" in statement), None)
        if table:
            files = _files(connection, store, f"table_name = '{table}'")
            yield statement.replace("{" + table + "}", unique_rows(table, files))
        elif all_of_them and statement.strip():
            yield statement


def _views_text() -> str:
    return resources.files("data_store").joinpath("views.sql").read_text(encoding="utf-8")


def _signature(store: Store) -> str:
    # Views hold absolute paths and our formulas, key hashes are DuckDB's own: a moved store or a
    # new release of either makes the index anew.
    versions = {table: str(schema.metadata[b"schema_version"]) for table, schema in TABLES.items()}
    return sha256_text(
        f"{store.root}\n{_views_text()}\n{duckdb.__version__}\n{versions}\n{_TABLES_OF_THE_INDEX}"
    )
