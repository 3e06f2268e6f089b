"""The command `split`: who is trained on, who is held out, who keeps a label."""

from typing import Annotated

import typer

from data_store.commands.options import JsonOption, StoreOption

TABLE_ROWS = 1000


def split(
    store: StoreOption,
    *,
    seed: Annotated[int, typer.Option(help="Seed of the split; split.seed of train.")] = 0,
    test_fraction: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the groups that is held out.")
    ] = 0.2,
    labels: Annotated[
        list[float] | None,
        typer.Option(help="Percent of the labels, above 0 up to 100; may be given several times."),
    ] = None,
    label_seed: Annotated[
        int, typer.Option(help="Seed of the order of the labels; seed of train.")
    ] = 0,
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV on stdout.")] = False,
) -> None:
    """List each image with its group, train or test, and the smallest share of labels it is in.

    A group is never parted, and adding images moves none. Labels are nested: whoever is in a
    share is in every larger one.
    """
    from data_store.console import say
    from data_store.layout import open_store
    from data_store.split_table import split_table
    from data_store.sql import output
    from data_store.sql.user_query import QueryResult
    from schemas.errors import InputError

    if as_json and as_csv:
        raise InputError(
            "--json and --csv exclude each other", where="store split", fix="give one of them"
        )
    for percent in labels or ():
        if not 0 < percent <= 100:
            raise InputError(
                f"{percent:g} percent of the labels is no share of them",
                where="--labels",
                fix="give percents above 0 and up to 100, as in --labels 10 --labels 30",
            )
    found = split_table(
        open_store(store),
        seed=seed,
        test_fraction=test_fraction,
        label_seed=label_seed,
        label_percents=labels or [],
    )
    result = QueryResult(found.schema, iter(found.to_batches()))
    if as_csv:
        output.print_csv(result, None)
    elif as_json:
        output.print_json_rows(result, None)
    else:
        rows = output.show_table(result, TABLE_ROWS)
        if rows.dropped:
            say(f"{rows.dropped} more rows; --csv and --json give all")
