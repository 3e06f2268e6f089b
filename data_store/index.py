"""The DuckDB index: a list of the committed shards, and the views over them.

The index is never the truth: deleting it loses nothing. It is opened for writing for
milliseconds, by one process at a time. Readers open it read-only; where it is locked, or the
store cannot be written to, they work on one built in memory from the same shard list.

Everything that knows DuckDB is in this file.
"""

from importlib import resources
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from data_store.layout import Store
from data_store.shards import read_footer
from schemas.errors import QueryRefused, StoreError
from schemas.ids import sha256_text
from schemas.tables import TABLES

_SQL_TYPES = {
    pa.string(): "varchar",
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.float32(): "float",
    pa.float64(): "double",
}
_LIST_TABLE = """
create table if not exists shards (
    table_name varchar, path varchar primary key, row_count bigint, file_bytes bigint,
    teacher_id varchar, producer varchar, created varchar
)
"""


def refresh(store: Store) -> int:
    """Bring the index up to date; only shards it does not know are looked at.

    Returns:
        How many shards the index lists.

    Raises:
        ShardDamaged: a shard's footer cannot be read.
        StoreError: another process holds the index, or the folder cannot be written.
    """
    try:
        with duckdb.connect(str(store.index_path)) as connection:
            return _bring_up_to_date(connection, store)
    except duckdb.IOException as error:
        raise StoreError(
            f"the index cannot be opened for writing: {str(error).splitlines()[0]}",
            where=store.index_path,
            fix="close the program that holds it, or delete the file; `store index` rebuilds it",
        ) from error


def query(store: Store, sql: str, parameters: dict[str, Any] | None = None) -> pa.Table:
    """Run one of our own queries on an up-to-date, read-only view of the store."""
    with _reader(store) as connection:
        return connection.sql(sql, params=parameters or {}).to_arrow_table()


def user_query(store: Store, sql: str) -> pa.Table:
    """Run a user's query; it can read the store and nothing else.

    Raises:
        QueryRefused: the text is no SQL, is not exactly one statement that only reads, names
            what is not there, or reaches for a file outside the store.
    """
    with _reader(store) as connection:
        try:
            statements = connection.extract_statements(sql)
            if len(statements) != 1 or statements[0].type not in _READING:
                raise QueryRefused(
                    "only one statement that reads is allowed",
                    where=sql,
                    fix="begin with select, with, from, describe, show or explain",
                )
            return connection.sql(statements[0]).to_arrow_table()
        except duckdb.Error as error:
            raise QueryRefused(
                _without_caret(str(error)),
                where=sql,
                fix="`store sql 'show tables'` lists the views, docs/data-format.md their columns",
            ) from error


_READING = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)


def _reader(store: Store) -> duckdb.DuckDBPyConnection:
    connection = _open_fresh(store)
    if connection is None:
        try:
            refresh(store)
        except StoreError as error:
            if not isinstance(error.__cause__, duckdb.IOException):
                raise
        connection = _open_fresh(store) or _in_memory(store)
    # Reading is fenced to the store's folder, and the fence cannot be taken down again.
    connection.execute(f"set allowed_directories = [{_quote(str(store.root))}]")
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")
    return connection


def _open_fresh(store: Store) -> duckdb.DuckDBPyConnection | None:
    """The index opened read-only, or None where it is missing, locked or out of date."""
    if not store.index_path.exists():
        return None
    try:
        connection = duckdb.connect(str(store.index_path), read_only=True)
    except duckdb.Error:
        return None
    try:
        if _is_current(connection, store):
            return connection
    except duckdb.Error:
        pass  # an index of an older layout: it is rebuilt
    connection.close()
    return None


def _in_memory(store: Store) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:")
    _bring_up_to_date(connection, store)
    return connection


def _is_current(connection: duckdb.DuckDBPyConnection, store: Store) -> bool:
    if connection.sql("select signature from meta").fetchall() != [(_signature(store),)]:
        return False
    listed = {row[0] for row in connection.sql("select path from shards").fetchall()}
    return listed == {_relative(store, path) for _, path in store.shard_paths()}


def _bring_up_to_date(connection: duckdb.DuckDBPyConnection, store: Store) -> int:
    connection.execute("begin")
    connection.execute(_LIST_TABLE)
    there = {_relative(store, path): (table, path) for table, path in store.shard_paths()}
    listed = {row[0] for row in connection.sql("select path from shards").fetchall()}
    for relative in listed - there.keys():
        connection.execute("delete from shards where path = ?", [relative])
    rows = [
        _shard_row(table, relative, path)
        for relative, (table, path) in there.items()
        if relative not in listed
    ]
    if rows:
        connection.executemany("insert into shards values (?, ?, ?, ?, ?, ?, ?)", rows)
    connection.execute("create or replace table meta (signature varchar)")
    connection.execute("insert into meta values (?)", [_signature(store)])
    for statement in _view_statements(store, there):
        connection.execute(statement)
    connection.execute("commit")
    return len(there)


def _shard_row(table: str, relative: str, path: Path) -> tuple[object, ...]:
    footer = read_footer(path)
    notes = {key.decode(): value.decode() for key, value in footer.metadata.items()}
    return (
        table,
        relative,
        footer.num_rows,
        path.stat().st_size,
        notes.get("teacher_id", ""),
        notes.get("producer", ""),
        notes.get("created", ""),
    )


def _view_statements(store: Store, shards: dict[str, tuple[str, Path]]) -> list[str]:
    sources = {}
    for table in TABLES:
        paths = [str(path) for owner, path in shards.values() if owner == table]
        sources[table] = _union(paths) if paths else _no_rows(table)
    text = _views_text()
    for table, source in sources.items():
        text = text.replace("{" + table + "}", source)
    return [part for part in text.split(";\n") if part.strip()]


def _union(paths: list[str]) -> str:
    files = ", ".join(_quote(path) for path in paths)
    return (
        "(select * exclude (filename), parse_filename(filename, true) as shard"
        f" from read_parquet([{files}], filename = true, hive_partitioning = false))"
    )


def _no_rows(table: str) -> str:
    columns = ", ".join(f"null::{_sql_type(field.type)} as {field.name}" for field in TABLES[table])
    return f"(select {columns}, null::varchar as shard where false)"


def _sql_type(kind: pa.DataType) -> str:
    if pa.types.is_fixed_size_list(kind):
        return f"{_SQL_TYPES[kind.value_type]}[]"
    return _SQL_TYPES[kind]


def _views_text() -> str:
    return resources.files("data_store").joinpath("views.sql").read_text(encoding="utf-8")


def _signature(store: Store) -> str:
    # Views hold absolute paths and our formulas: a moved store or a new release rebuilds them.
    return sha256_text(f"{store.root}\n{_views_text()}")


def _relative(store: Store, path: Path) -> str:
    return path.relative_to(store.root).as_posix()


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _without_caret(message: str) -> str:
    """DuckDB's message without the copy of the query and the caret under it."""
    return message.split("\n\nLINE ", maxsplit=1)[0].strip()
