"""Commands that keep a store in good order: `index`, `verify`, `compact`."""

from typing import Annotated

import typer

from data_store.commands.options import JsonOption, StoreOption


def index(store: StoreOption) -> None:
    """Bring the index up to date; deleting index.duckdb and running this gives it back."""
    from data_store.console import say
    from data_store.index import refresh
    from data_store.layout import open_store

    say(f"{refresh(open_store(store))} shards indexed")


def verify(
    store: StoreOption,
    *,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Move what is damaged or foreign to STORE/quarantine."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Read every byte and every row, and say what is damaged; exits 2 while there is damage."""
    from data_store.console import print_json, print_table, say
    from data_store.health.repair import repair as mend
    from data_store.health.verify import verify as look
    from data_store.layout import open_store
    from schemas.errors import ShardDamaged

    opened = open_store(store)
    report = look(opened)
    if repair:
        report = mend(opened, report)
    if as_json:
        print_json(report.as_dict())
    elif report.findings:
        columns = ("severity", "where", "what", "fix", "repaired")
        rows = [finding.as_dict() for finding in report.findings]
        print_table("", columns, [[row[column] for column in columns] for row in rows])
    say(report.summary)
    if report.open_count:
        raise ShardDamaged(
            f"files damaged or out of place: {report.open_count}",
            where=opened.address,
            fix="the table says what to do about each" + ("" if repair else ", or add --repair"),
        )


def compact(
    store: StoreOption,
    rows: Annotated[int, typer.Option(help="Rows per merged shard at most.", min=1)] = 1_000_000,
    *,
    as_json: JsonOption = False,
) -> None:
    """Merge many small shards into few; readers and writers may go on meanwhile."""
    from dataclasses import asdict

    from data_store.compact import compact as merge
    from data_store.console import print_json, say
    from data_store.layout import open_store

    done = merge(open_store(store), rows_per_shard=rows)
    say(
        f"{done.shards_before} shards are now {done.shards_after},"
        f" {done.rows_dropped} rows that stood twice are gone"
    )
    if as_json:
        print_json(asdict(done))
