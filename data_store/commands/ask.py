"""Commands that look into a store: `sql` and `status`."""

from typing import Annotated

import typer

from data_store.commands.options import JsonOption, StoreOption


def sql(
    query: Annotated[str, typer.Argument(help="One statement that reads, in DuckDB's SQL.")],
    store: StoreOption,
    *,
    as_json: JsonOption = False,
) -> None:
    """Ask the store: views images, points, pairs, mos, predictions, rejections, image_files."""
    from data_store.console import print_json, print_table
    from data_store.index import user_query
    from data_store.layout import open_store

    found = user_query(open_store(store), query)
    if as_json:
        print_json(found.to_pylist())
    else:
        rows = [list(row.values()) for row in found.to_pylist()]
        print_table("", found.column_names, rows)


def status(store: StoreOption, *, as_json: JsonOption = False) -> None:
    """Show what a store holds: tables, teachers, and what is missing."""
    from data_store.console import print_json, print_table
    from data_store.layout import open_store
    from data_store.status import store_status

    found = store_status(open_store(store))
    if as_json:
        print_json(found)
        return
    for title, rows in found.items():
        columns = list(rows[0]) if rows else ["nothing yet"]
        print_table(title, columns, [list(row.values()) for row in rows])
