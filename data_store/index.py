"""The DuckDB index: a list of the committed shards, and the views over them.

The index is never the truth: deleting it loses nothing. It is never changed in place. Whoever
finds it out of date makes the next one beside it, from a copy and the new shards alone, and
renames it over the old one; so no reader ever meets a lock, and one that has the old index open
goes on reading it. Where the store's folder cannot be written the index lies in the user's
cache, and where that cannot be written either, in memory.

For each shard the index also keeps a 64-bit hash of every row's key. Equal hashes tell which
shards may share a key, so that views sort for duplicates among these alone.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import pyarrow as pa

from data_store.faults import reach
from data_store.files import TEMPORARY_PREFIX, temporary_beside
from data_store.index_content import bring_up_to_date, is_current
from data_store.layout import Shard, Store
from data_store.shards import check_bytes
from data_store.unique_rows import pattern, quoted
from schemas.errors import LeafError, StoreNotWritable

MEMORY_LIMIT = "2GB"
"""Larger sorts and joins go to disk; the machine is the teacher's or the trainer's."""

ATTEMPTS = 20
_WRONG_SQL = (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException)
ABANDONED_AFTER_S = 600.0

Answer = TypeVar("Answer")
Connection = duckdb.DuckDBPyConnection


def query(
    store: Store,
    sql: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    tables: Mapping[str, pa.Table] | None = None,
) -> pa.Table:
    """Run one of our own queries on an up-to-date, read-only view of the store.

    Args:
        store: which store.
        sql: one SELECT, with $name for parameters.
        parameters: their values.
        tables: Arrow tables that the query may name.
    """

    def ask(connection: Connection) -> pa.Table:
        for name, table in (tables or {}).items():
            connection.register(name, table)
        return connection.sql(sql, params=dict(parameters or {})).to_arrow_table()

    return read(store, ask)


def read(store: Store, work: Callable[[Connection], Answer]) -> Answer:
    """Do some work on a connection that can read the store and nothing else (`reader`).

    The work is done again from the start if a shard that it was reading has been compacted away
    meanwhile, so it must not keep what it did before.

    Raises:
        ShardDamaged: a shard cannot be read.
        StoreUnreachable: the object storage does not answer.
    """
    for attempt in range(ATTEMPTS):
        shards = store.shards()
        try:
            with reader(store, shards) as connection:
                return work(connection)
        except (duckdb.Error, FileNotFoundError, LeafError) as error:
            cause = error.__cause__ if isinstance(error, LeafError) else error
            vanished = isinstance(cause, duckdb.IOException | FileNotFoundError)
            last = attempt == ATTEMPTS - 1
            if last or not vanished or set(shards) <= set(store.shards()):
                if isinstance(error, duckdb.Error) and not isinstance(error, _WRONG_SQL):
                    _blame_damage(store, shards)
                raise
            time.sleep(0.01 * attempt)
    raise RuntimeError  # the loop returns or raises


def _blame_damage(store: Store, shards: Sequence[Shard]) -> None:
    """Name the shard that was damaged after it was indexed, if that is why a query failed."""
    for shard in shards:
        path = store.root / shard.name
        check_bytes(shard, path.read_bytes(), where=path)


def refresh(store: Store) -> int:
    """Bring the index up to date; only shards it does not know are looked at.

    Returns:
        How many shards the index lists.

    Raises:
        ShardDamaged: a shard cannot be read.
    """

    def count(connection: Connection) -> int:
        return int(connection.sql("select count(*) from shards").fetchall()[0][0])

    return read(store, count)


@contextmanager
def reader(store: Store, shards: Sequence[Shard] | None = None) -> Iterator[Connection]:
    """A connection on which exactly these shards can be read, by default all, and nothing else.

    The index is attached read-only as the catalog `store`, which is in use; reading is fenced to
    the store's folder; settings are locked. A shard that is compacted away while the connection
    is open makes the query fail that reads it; `read` then asks again.
    """
    shards = store.shards() if shards is None else shards
    store.folder.fetch(shard.name for shard in shards)
    with _connect() as connection:
        _attach_current(connection, store, shards)
        # Paths are checked as they are written, and the views write them as patterns.
        allowed = {str(store.root), pattern(str(store.root))}
        connection.execute(f"set allowed_directories = [{', '.join(map(quoted, allowed))}]")
        connection.execute("set enable_external_access = false")
        connection.execute("set python_enable_replacements = false")
        connection.execute("set lock_configuration = true")
        yield connection


def _attach_current(connection: Connection, store: Store, shards: Sequence[Shard]) -> None:
    usable = None
    for path in (store.index_path, store.spare_index_path):
        if _attach(connection, path):
            if is_current(connection, store, shards):
                return
            usable = usable or path
            connection.execute("use memory; detach store")
    reach("index.begun")
    _attach_next(connection, store, shards, usable)


def _attach_next(
    connection: Connection, store: Store, shards: Sequence[Shard], previous: Path | None
) -> None:
    """Make the next index, attach it, and put it in the place of the one before."""
    for path in (store.index_path, store.spare_index_path):
        try:
            made = _make(store, shards, previous, temporary_beside(path))
        except (OSError, duckdb.Error, StoreNotWritable):
            if set(shards) - set(store.shards()):
                raise  # not the index's folder is at fault: a shard went away
            continue
        reach("index.built")
        if not _attach(connection, made):
            continue
        # Attached first, renamed then: another process may already have put its own there.
        try:
            made.replace(path)
        except OSError:  # a folder stands in its place
            connection.execute("use memory; detach store")
            made.unlink(missing_ok=True)
            continue
        reach("index.published")
        _clear_abandoned(path.parent)
        return
    connection.execute("attach ':memory:' as store; use store")
    bring_up_to_date(connection, store, shards)


def _make(store: Store, shards: Sequence[Shard], previous: Path | None, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        if previous is not None:
            shutil.copyfile(previous, target)
        try:
            _bring_file_up_to_date(store, shards, target)
        except duckdb.Error:
            if previous is None or set(shards) - set(store.shards()):
                raise
            target.unlink()  # an index of another release, or a damaged one: from nothing then
            _bring_file_up_to_date(store, shards, target)
    except BaseException:
        target.unlink(missing_ok=True)
        target.with_name(target.name + ".wal").unlink(missing_ok=True)
        raise
    return target


def _bring_file_up_to_date(store: Store, shards: Sequence[Shard], target: Path) -> None:
    with _connect() as connection:
        connection.execute(f"attach {quoted(str(target))} as store; use store")
        bring_up_to_date(connection, store, shards)
        connection.execute("use memory; detach store")


def _connect() -> Connection:
    spill = Path(tempfile.gettempdir()) / f"leaf-iqa-spill-{os.getpid()}"
    connection = duckdb.connect(
        ":memory:", config={"memory_limit": MEMORY_LIMIT, "temp_directory": str(spill)}
    )
    connection.execute("set enable_progress_bar = false")  # stdout belongs to the results
    return connection


def _attach(connection: Connection, path: Path) -> bool:
    """Whether the file could be attached: it is there, whole, and nobody writes to it."""
    if not path.exists():
        return False
    try:
        connection.execute(f"attach {quoted(str(path))} as store (read_only); use store")
    except duckdb.Error:
        return False
    return True


def _clear_abandoned(folder: Path) -> None:
    """Remove what killed processes left half-made; nobody takes ten minutes to make an index."""
    for path in folder.glob(f"{TEMPORARY_PREFIX}*-index.duckdb*"):
        try:
            if time.time() - path.stat().st_mtime > ABANDONED_AFTER_S:
                path.unlink()
        except OSError:
            continue  # another process was faster
