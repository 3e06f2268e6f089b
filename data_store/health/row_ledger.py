"""What the rows of all shards say together: keys that come twice, images that nobody added.

Kept are 64-bit hashes of keys and of image ids, in a database of its own that goes to disk
when it grows large, so memory stays bounded however many rows there are.
"""

import tempfile
import threading
from types import TracebackType
from typing import NamedTuple, Self

import duckdb
import pyarrow as pa

from data_store.index import MEMORY_LIMIT
from data_store.layout import Shard
from schemas.fields import key_columns
from schemas.tables import TABLES

IMAGE_COLUMNS = {
    "points": ("image_id",),
    "pairs": ("image_a", "image_b"),
    "embeddings": ("image_id",),
    "mos": ("image_id",),
    "predictions": ("image_id",),
}
"""Where tables name images. A rejection may name a file that never became an image."""


class UnknownImages(NamedTuple):
    """Images that a table names and the store does not have."""

    image_count: int
    times_named: int


class RowLedger:
    """Takes the rows of shards; several threads may add at once."""

    def __init__(self) -> None:
        self._spill = tempfile.TemporaryDirectory(prefix="leaf-iqa-verify-")
        self._connection = duckdb.connect(
            ":memory:", config={"memory_limit": MEMORY_LIMIT, "temp_directory": self._spill.name}
        )
        self._connection.execute("set enable_progress_bar = false")  # it would go to stdout
        self._lock = threading.Lock()
        self._numbers: dict[Shard, int] = {}
        self._connection.execute("create table known (number integer, image_hash ubigint)")
        for table in TABLES:
            self._connection.execute(
                f"create table keys_{table} (number integer, key_hash ubigint);"
                f"create table named_{table} (number integer, image_hash ubigint);"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()
        self._spill.cleanup()

    def add(self, shard: Shard, rows: pa.Table) -> None:
        """Take some rows of a shard."""
        table = shard.table
        keys = key_columns(TABLES[table])
        images = IMAGE_COLUMNS.get(table, ())
        with self._lock:
            number = self._numbers.setdefault(shard, len(self._numbers))
            self._connection.register("rows", rows.select(list(dict.fromkeys((*keys, *images)))))
            self._insert(f"keys_{table}", number, keys)
            for column in images:
                self._insert(f"named_{table}", number, (column,))
            if table == "images":
                self._insert("known", number, ("image_id",))
            self._connection.unregister("rows")

    def forget(self, shard: Shard) -> None:
        """Drop the rows of a shard that turned out to be damaged, or went away."""
        with self._lock:
            number = self._numbers.get(shard, -1)
            for name in (f"keys_{shard.table}", f"named_{shard.table}", "known"):
                self._connection.execute(f"delete from {name} where number = {number}")

    def repeated_keys(self) -> tuple[dict[Shard, int], dict[str, int]]:
        """Keys that stand more than once.

        Returns:
            Per shard how many of its rows have a key that an earlier row of it has, and per table
            how many keys lie in more than one shard.
        """
        shards = {number: shard for shard, number in self._numbers.items()}
        inside, across = {}, {}
        for table in TABLES:
            self._connection.execute(
                "create or replace table repeated as"
                f" select key_hash, number, count(*) as copies from keys_{table}"
                f" where key_hash in (select key_hash from keys_{table}"
                " group by key_hash having count(*) > 1) group by key_hash, number"
            )
            for number, count in self._ask(
                "select number, sum(copies - 1)::bigint from repeated"
                " where copies > 1 group by number order by number"
            ):
                inside[shards[number]] = count
            [(count,)] = self._ask(
                "select count(*) from"
                " (select key_hash from repeated group by key_hash having count(*) > 1)"
            )
            if count:
                across[table] = count
        return inside, across

    def unknown_images(self) -> dict[str, UnknownImages]:
        """Per table which of the images that it names are in no images shard."""
        counts = {
            table: UnknownImages(
                *self._ask(
                    f"select count(distinct image_hash), count(*) from named_{table}"
                    " where image_hash not in (select image_hash from known)"
                )[0]
            )
            for table in IMAGE_COLUMNS
        }
        return {table: count for table, count in counts.items() if count.image_count}

    def _insert(self, into: str, number: int, columns: tuple[str, ...]) -> None:
        self._connection.execute(
            f"insert into {into} select {number}, hash({', '.join(columns)}) from rows"
        )

    def _ask(self, sql: str) -> list[tuple[int, ...]]:
        return self._connection.sql(sql).fetchall()
