"""What went wrong with a user's query, in one line, with the name that was probably meant."""

import difflib
import re
import textwrap
from collections.abc import Collection
from typing import Protocol

from schemas.errors import QueryRefused

SHOWN = 300
"""Characters of a query that a message repeats."""

_NO_COLUMN = re.compile(
    r'(?:Referenced column "(?P<a>.+?)" not found'
    r'|does not have a column named "(?P<b>.+?)"'
    r'|Column "(?P<c>.+?)" (?:in \w+ list not found|does not exist))'
)
_NO_VIEW = re.compile(r'Table with name "?(?P<view>.+?)"? does not exist')
_KIND = re.compile(r"^[A-Z]\w*( \w+)* Error: ")
_LINE = re.compile(r"^LINE (?P<number>\d+): (?P<text>.*)$", re.MULTILINE)


class _Rows(Protocol):
    def fetchall(self) -> list[tuple[str, ...]]:
        """All rows."""


class _Connection(Protocol):
    def execute(self, query: str, parameters: dict[str, list[str]]) -> _Rows:
        """Run a query of ours."""


def refused(
    message: str,
    sql: str,
    tables: Collection[str] = (),
    connection: _Connection | None = None,
) -> QueryRefused:
    """DuckDB's message about a query, made one line, with the nearest names of the store.

    Args:
        message: what DuckDB says.
        sql: the query as it was given.
        tables: the views that it reads.
        connection: where the store's names can be looked up; None where they cannot matter.
    """
    what, fix = _one_line(message), "docs/queries.md has queries to start from"
    no_column, no_view = _NO_COLUMN.search(message), _NO_VIEW.search(message)
    if connection and no_column:
        name = next(group for group in no_column.groups() if group)
        what, fix = _column_hint(name, message, tables, connection)
    elif connection and no_view:
        views = [view for view, _ in _columns(connection, [])]
        what = f'there is no view "{no_view["view"]}"; {_nearest(no_view["view"], views)}'
        fix = "`store sql 'show tables'` lists the views"
    elif "file system operations are disabled" in message:
        what = f"{what.split(' - ')[0]}: a query reads only what is in the store"
        fix = "ask the views; what --parquet writes can be joined with other files elsewhere"
    elif "Cannot open file" in message:
        fix = "run the query again: another process compacted the store meanwhile"
    elif "Out of Memory" in message:
        fix = "ask for fewer rows or columns at a time, or sum them up in the query"
    return QueryRefused(what, where=_place(message, sql), fix=fix)


def shown(sql: str) -> str:
    """The query on one line, its end cut off where it is long."""
    return textwrap.shorten(sql, SHOWN, placeholder=" …")


def _column_hint(
    name: str, message: str, tables: Collection[str], connection: _Connection
) -> tuple[str, str]:
    found = _columns(connection, sorted(tables)) if tables else []
    views = sorted({view for view, _ in found})
    # Columns of a `with` or a subquery are in no view; DuckDB's own candidates know them.
    candidates = re.findall(r'"(.+?)"', message.partition("Candidate bindings:")[2].split("\n")[0])
    columns = [column for _, column in found] + candidates
    where = f" in {', '.join(views)}" if views and len(views) == len(tables) else ""
    what = f'there is no column "{name}"{where}; {_nearest(name, columns)}'
    describe = f"describe {views[0]}" if len(views) == 1 else "show all tables"
    return what, f"`store sql '{describe}'` lists the columns"


def _nearest(name: str, candidates: list[str]) -> str:
    known = {candidate.lower(): candidate for candidate in candidates}
    near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.5)
    if near:
        return "the nearest is " + " or ".join(f'"{known[word]}"' for word in near)
    if known:
        return "there are " + ", ".join(f'"{word}"' for word in dict.fromkeys(candidates))
    return "check its spelling"


def _columns(connection: _Connection, views: list[str]) -> list[tuple[str, str]]:
    """(view, column) of these views of the store, or of all."""
    rows = connection.execute(
        """
        select table_name, column_name from duckdb_columns()
        where not internal and if(len($views) = 0, table_name = 'shards' or table_name in (
            select view_name from duckdb_views() where not internal
        ), list_contains($views, table_name))
        order by table_name, column_index
        """,
        {"views": views},
    ).fetchall()
    return [(view, column) for view, column in rows]


def _one_line(message: str) -> str:
    """The first paragraph, without DuckDB's class of error and without its lists."""
    paragraph = message.strip().split("\n\n")[0].split("\n\t")[0]
    return " ".join(_KIND.sub("", paragraph).split()).rstrip(".!")


def _place(message: str, sql: str) -> str:
    line = _LINE.search(message)
    if line and "\n" in sql.strip():
        return f"line {line['number']}: {line['text'].strip()}"
    return shown(sql)
