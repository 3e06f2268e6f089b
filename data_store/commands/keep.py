"""Commands that keep a store in good order: `index`, `verify`, `compact`."""

from typing import Annotated

import typer

from data_store.commands.options import DryRunOption, JsonOption, StoreOption


def index(store: StoreOption, *, as_json: JsonOption = False) -> None:
    """Bring the index up to date; deleting index.duckdb and running this gives it back."""
    from data_store.console import print_json, say
    from data_store.index import refresh
    from data_store.layout import open_store

    count = refresh(open_store(store))
    say(f"{count} shards indexed")
    if as_json:
        print_json({"shards": count})


def verify(
    store: StoreOption,
    *,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Move what is damaged or foreign to STORE/quarantine."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --repair: say what it would do, and stop.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Read every byte and every row, and say what is damaged; exits 2 while there is damage."""
    from data_store.console import print_json, print_table, say
    from data_store.health.repair import repair as mend
    from data_store.health.repair import would_repair
    from data_store.health.verify import verify as look
    from data_store.layout import open_store
    from schemas.errors import InputError, ShardDamaged

    if dry_run and not repair:
        raise InputError(
            "without --repair nothing is changed anyway",
            where="--dry-run",
            fix="leave it out, or add --repair to see what a repair would do",
        )
    opened = open_store(store)
    report = look(opened)
    if dry_run:
        report = would_repair(report)
        say("dry run: nothing was moved, deleted or put right")
    elif repair:
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
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Merge many small shards into few; readers and writers may go on meanwhile."""
    from dataclasses import asdict

    from data_store.compact import compact as merge
    from data_store.compact import compact_plan
    from data_store.console import print_json, say
    from data_store.layout import open_store
    from data_store.plans import give_plan

    if dry_run:
        give_plan(compact_plan(open_store(store), rows_per_shard=rows), as_json=as_json)
        return
    done = merge(open_store(store), rows_per_shard=rows)
    say(
        f"{done.shards_before} shards are now {done.shards_after},"
        f" {done.rows_dropped} rows that stood twice are gone"
    )
    if as_json:
        print_json(asdict(done))
