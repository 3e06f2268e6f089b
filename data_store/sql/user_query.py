"""A user's query: checked, run on a fenced connection, its rows given batch by batch.

Which queries may run is `fence.py`; how a result is printed or written is `output.py`.
Beside `index.py` this is the only file that knows DuckDB.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import duckdb
import pyarrow as pa

from data_store.index import read
from data_store.layout import Store
from data_store.sql.errors import refused, shown
from data_store.sql.fence import named_tables, refusal
from schemas.errors import QueryRefused

Value = int | float | str
Answer = TypeVar("Answer")

BATCH_ROWS = 122_880
"""Rows per batch: one row group of a Parquet file that is written from them."""


@dataclass(frozen=True, slots=True)
class QueryResult:
    """What a query found: its columns, whose names are all different, and its rows, once."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


def user_query(store: Store, sql: str, parameters: Mapping[str, Value] | None = None) -> pa.Table:
    """The whole result of a user's query, for results that fit into memory.

    Raises:
        QueryRefused: as `stream_query`.
    """
    return stream_query(
        store, sql, parameters, lambda found: pa.Table.from_batches(found.batches, found.schema)
    )


def stream_query(
    store: Store,
    sql: str,
    parameters: Mapping[str, Value] | None,
    work: Callable[[QueryResult], Answer],
    *,
    tables: Mapping[str, pa.Table] | None = None,
) -> Answer:
    """Do some work on the result of a user's query, which can open the store and nothing else.

    Args:
        store: which store.
        sql: one SELECT, or EXPLAIN [ANALYZE] of one.
        parameters: a value for each `$name` in the query.
        work: gets the rows while the query runs. It is called again from the start if a shard
            was compacted away meanwhile, unless it turns the error into one without a cause.
        tables: tables in memory that the query may name beside the store's views.

    Raises:
        QueryRefused: the text is no SQL, is not exactly one statement that only reads, names
            what is not there, reaches for a file outside the store, a parameter has no value or
            no place, or a table has the name of one of the store's views.
    """
    values = dict(parameters or {})

    def run(connection: duckdb.DuckDBPyConnection) -> Answer:
        checked = _Checked("", sql, frozenset())
        _add_tables(connection, tables or {})
        try:
            checked = _check(connection, sql, values)
            found = connection.sql(checked.text, params=values)
            stream = found.to_arrow_reader(BATCH_ROWS)
        except duckdb.Error as error:
            raise refused(str(error), sql, checked.tables, connection) from error
        try:
            schema = _unique_names(stream.schema)
            return work(QueryResult(schema, _batches(stream, schema, sql)))
        finally:
            stream.close()

    return read(store, run)


def read_parameters(words: Sequence[str]) -> dict[str, Value]:
    """Values of `$name` from words like `name=0.5`.

    A whole number of at most 18 digits becomes an integer, another plain number a float, the
    rest text. Quotes around the value are taken off and keep it text.

    Raises:
        QueryRefused: a word is not name=value, or a name comes twice.
    """
    values: dict[str, Value] = {}
    problems = []
    for word in words:
        name, separator, text = word.partition("=")
        if not separator or not re.fullmatch(r"[A-Za-z_]\w*", name):
            problems.append(f"{word!r} is not name=value")
        elif name in values:
            problems.append(f"{name} is given twice")
        else:
            values[name] = _value(text)
    if problems:
        raise QueryRefused(
            "; ".join(problems), where="--param", fix="say --param name=value once for each $name"
        )
    return values


def _add_tables(connection: duckdb.DuckDBPyConnection, tables: Mapping[str, pa.Table]) -> None:
    known = {
        row[0].lower()
        for row in connection.execute(
            "select table_name from duckdb_tables() union select view_name from duckdb_views()"
        ).fetchall()
    }
    taken = sorted(known & tables.keys())
    if taken:
        raise QueryRefused(
            f"{', '.join(taken)} would hide what the store or DuckDB calls so",
            where="--with",
            fix="use another name",
        )
    for name, table in tables.items():
        connection.register(name, table)


class _Checked(NamedTuple):
    """A query that does nothing but read."""

    prefix: str
    query: str
    tables: frozenset[str]

    @property
    def text(self) -> str:
        """What is run."""
        return self.prefix + self.query


def _check(connection: duckdb.DuckDBPyConnection, sql: str, values: dict[str, Value]) -> _Checked:
    try:
        sql.encode("utf-8")
    except UnicodeEncodeError as error:
        raise _not_reading("the query is not UTF-8", repr(sql)) from error
    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        raise _not_reading("only one statement that reads is allowed", sql)
    query, prefix = statements[0].query, ""
    if statements[0].type == duckdb.StatementType.EXPLAIN:
        # EXPLAIN ANALYZE runs what it explains, so that is what has to be checked. What is run is
        # put together from the part that was checked, however the statement was spelt.
        prefix, query = _explained(query)
    elif statements[0].type != duckdb.StatementType.SELECT:
        raise _not_reading("only one statement that reads is allowed", sql)
    tree = _tree(connection, query)
    problem = refusal(tree)
    if problem is not None:
        raise _not_reading(problem, sql)
    _check_parameters(statements[0].named_parameters, values, sql)
    return _Checked(prefix, query, frozenset(named_tables(tree)))


def _tree(connection: duckdb.DuckDBPyConnection, query: str) -> dict[str, Any]:
    found = connection.execute("select json_serialize_sql($sql)", {"sql": query}).fetchall()
    try:
        tree: dict[str, Any] = json.loads(found[0][0])
    except RecursionError as error:
        raise _not_reading("the query is nested too deeply to be checked", query) from error
    return tree


def _explained(text: str) -> tuple[str, str]:
    """EXPLAIN, with ANALYZE if it is there, and what it explains; comments are passed over."""
    data = text.encode("utf-8")  # the tokenizer counts bytes
    starts = [start for start, kind in duckdb.tokenize(text) if kind != duckdb.token_type.comment]
    words = [data[start:].decode("utf-8", errors="replace") for start in starts[1:3]]
    if len(words) == 2 and re.match(r"analyze\b", words[0], re.IGNORECASE):
        return "explain analyze ", words[1]
    return "explain ", words[0] if words else ""


def _check_parameters(wanted: set[str], values: Mapping[str, Value], sql: str) -> None:
    problems = [f"${name} has no value" for name in sorted(wanted - values.keys())]
    problems += [f"the query has no ${name}" for name in sorted(values.keys() - wanted)]
    if problems:
        raise QueryRefused(
            "; ".join(problems),
            where=shown(sql),
            fix="write $name in the query and give --param name=value for each, and no other",
        )


def _batches(
    stream: pa.RecordBatchReader,
    schema: pa.Schema,
    sql: str,
) -> Iterator[pa.RecordBatch]:
    while True:
        try:
            batch = stream.read_next_batch()
        except StopIteration:
            return
        except (OSError, pa.ArrowException) as error:  # how a stream hands on DuckDB's errors
            missing = str(error).startswith("IO Error")
            cause = duckdb.IOException(str(error)) if missing else error
            raise refused(str(error), sql) from cause
        yield pa.RecordBatch.from_arrays(batch.columns, schema=schema)


def _unique_names(schema: pa.Schema) -> pa.Schema:
    """The schema with `name`, `name_1`, … where SQL gave the same name to several columns."""
    taken = set(schema.names)
    seen: set[str] = set()
    fields = []
    for field in schema:
        name, number = field.name, 0
        while name in seen or (number and name in taken):
            number += 1
            name = f"{field.name}_{number}"
        seen.add(name)
        fields.append(field.with_name(name))
    return pa.schema(fields)


def _value(text: str) -> Value:
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    # A number has no leading zero: 007 is a name, and so may be the beginning of a hash.
    if re.fullmatch(r"[+-]?(0|[1-9]\d{0,17})", text, re.ASCII):
        return int(text)
    if re.fullmatch(r"[+-]?(?=\.?\d)(0|[1-9]\d*)?(\.\d+)?([eE][+-]?\d+)?", text, re.ASCII):
        return float(text)
    return text


def _not_reading(what: str, sql: str) -> QueryRefused:
    return QueryRefused(
        what,
        where=shown(sql) or "an empty query",
        fix="write one query that begins with select, with, from, describe, summarize, show or"
        " explain; --csv and --parquet write its result to a file",
    )
