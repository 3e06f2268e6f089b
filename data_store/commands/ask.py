"""Commands that look into a store: `sql`, `status` and `bradley-terry`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from data_store.commands.options import JsonOption, StoreOption
from data_store.completion import complete_teachers

TABLE_ROWS = 1000
"""Rows that the table shows where --limit does not say otherwise: more than anybody reads."""


def sql(
    store: StoreOption,
    query: Annotated[
        str | None,
        typer.Argument(help="One query in DuckDB's SQL; - reads it from stdin."),
    ] = None,
    *,
    file: Annotated[Path | None, typer.Option(help="Read the query from a file.")] = None,
    param: Annotated[
        list[str] | None,
        typer.Option(
            help="A value for $name in the query: name=value. Numbers are numbers, the rest is"
            " text; name='7' is text."
        ),
    ] = None,
    others: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            help="A Parquet file that the query may name: name=file, as in"
            " sweep=OUT/sweep.parquet.",
        ),
    ] = None,
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV on stdout.")] = False,
    parquet: Annotated[
        Path | None, typer.Option(help="Write a Parquet file, outside of the store.")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help=f"Rows at most; {TABLE_ROWS} in a table, all otherwise."),
    ] = None,
) -> None:
    """Ask the store: views images, points, pairs, mos, predictions, rejections, and more.

    `store sql 'show tables'` lists them all. The table `shards` says who wrote what and when. A
    query can open the store and nothing else; docs/queries.md has queries to start from.
    """
    from data_store.console import say
    from data_store.layout import open_store
    from data_store.sql import output
    from data_store.sql.other_tables import read_tables
    from data_store.sql.user_query import QueryResult, read_parameters, stream_query

    _refuse_several({"--json": as_json, "--csv": as_csv, "--parquet": parquet is not None})
    opened = open_store(store)
    target = output.parquet_target(parquet, opened) if parquet else None

    def give(found: QueryResult) -> output.FirstRows:
        if target:
            return output.write_parquet(found, limit, target)
        if as_csv:
            return output.print_csv(found, limit)
        if as_json:
            return output.print_json_rows(found, limit)
        return output.show_table(found, limit or TABLE_ROWS)

    rows = stream_query(
        opened,
        _query_text(query, file),
        read_parameters(param or []),
        give,
        tables=read_tables(others or []),
    )
    if target:
        say(f"{rows.given} rows written to {target}")
    if rows.dropped:
        say(f"{rows.dropped} more rows; --limit N gives N of them, --csv and --parquet give all")


def status(store: StoreOption, *, as_json: JsonOption = False) -> None:
    """Show what a store holds: rows, teachers, gaps, MOS, groups, rejections, last writers.

    docs/queries.md explains the keys of --json.
    """
    from data_store.console import print_json, print_table, say
    from data_store.layout import open_store
    from data_store.status import status_tables, store_status

    found = store_status(open_store(store))
    if as_json:
        print_json(found)
        return
    for title, rows in status_tables(found).items():
        print_table(title, list(rows[0]), [list(row.values()) for row in rows])
    if not found["tables"]:
        say("nothing yet: `store add-images` is where to begin")


def bradley_terry(
    store: StoreOption,
    *,
    teacher: Annotated[
        str,
        typer.Option(
            help="Whose pairs, by name or start of its id, if there are several.",
            autocompletion=complete_teachers,
        ),
    ] = "",
    prompt: Annotated[
        str, typer.Option(help="Start of the id of one prompt; the mean of all if left out.")
    ] = "",
    min_confidence: Annotated[
        float, typer.Option(min=0, max=1, help="Leave out pairs the teacher is less sure of.")
    ] = 0.0,
    out: Annotated[
        Path | None, typer.Option(help="Write a .csv or .parquet file, outside of the store.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Score each image by a teacher's pairs: the Bradley-Terry model, best image first.

    Scores are in logits: two images that differ by d are preferred as sigmoid(d) says.
    """
    from data_store.console import say
    from data_store.layout import open_store
    from data_store.pair_scores import pair_scores
    from data_store.sql import output
    from data_store.sql.user_query import QueryResult

    _refuse_several({"--out": out is not None, "--json": as_json}, where="store bradley-terry")
    opened = open_store(store)
    is_csv = out is not None and _is_csv(out)
    target = output.parquet_target(out, opened, option="--out") if out else None
    found = pair_scores(opened, teacher=teacher, prompt=prompt, min_confidence=min_confidence)
    say(
        f"{found.pair_count} pairs of {found.rows.num_rows} images, {found.left_out_count} left out"
    )
    if found.part_count > 1:
        say(f"no pair connects {found.part_count} sets of images: compare scores within a set only")
    if not found.converged:
        say("the scores are not exact: the fit did not converge")
    result = QueryResult(found.rows.schema, iter(found.rows.to_batches()))
    if target:
        rows = (output.write_csv if is_csv else output.write_parquet)(result, None, target)
        say(f"{rows.given} rows written to {target}")
    elif as_json:
        output.print_json_rows(result, None)
    else:
        rows = output.show_table(result, TABLE_ROWS)
        if rows.dropped:
            say(f"{rows.dropped} more rows; --json and --out give all")


def _is_csv(path: Path) -> bool:
    """Whether a file to write is CSV; otherwise it is Parquet.

    Raises:
        InputError: its ending is of neither.
    """
    from schemas.errors import InputError

    if path.suffix not in (".csv", ".parquet"):
        raise InputError(
            f"nothing can be written as {path.suffix or 'a file without an ending'}",
            where=f"--out {path}",
            fix="name a file that ends in .csv or .parquet",
        )
    return path.suffix == ".csv"


def _query_text(query: str | None, file: Path | None) -> str:
    """The query, from wherever it was given.

    Raises:
        InputError: it was given nowhere or twice, or the file cannot be read.
    """
    from schemas.errors import InputError

    if (query is None) == (file is None):
        raise InputError(
            "no query was given" if query is None else "a query and a file were given",
            where="store sql",
            fix="say store sql 'select …', store sql - to read stdin, or store sql --file FILE",
        )
    if query is not None and query != "-":
        return query
    try:
        return sys.stdin.read() if file is None else file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"the query cannot be read: {error}",
            where=file or "stdin",
            fix="give a text file in UTF-8",
        ) from error


def _refuse_several(options: dict[str, bool], *, where: str = "store sql") -> None:
    from schemas.errors import InputError

    given = [name for name, is_given in options.items() if is_given]
    if len(given) > 1:
        raise InputError(
            f"{' and '.join(given)} exclude each other", where=where, fix="give one of them"
        )
