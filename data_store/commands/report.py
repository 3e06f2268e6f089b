"""The command `store report`: one page about the teachers' answers."""

from pathlib import Path
from typing import Annotated

import typer

from data_store.commands.options import JsonOption, StoreOption
from data_store.completion import complete_teachers


def report(
    store: StoreOption,
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            help="HTML file to write; STORE-report.html in the current folder if left out."
        ),
    ] = None,
    teacher: Annotated[
        list[str] | None,
        typer.Option(
            help="Show this teacher only, by name or start of its id; several times.",
            autocompletion=complete_teachers,
        ),
    ] = None,
    beside: Annotated[
        list[str] | None,
        typer.Option(help="Another store to show beside the first one; several times."),
    ] = None,
    plots: Annotated[
        Path | None,
        typer.Option(help="Folder for each figure as PNG and SVG, with its data as CSV."),
    ] = None,
    price_per_hour: Annotated[
        float | None,
        typer.Option(min=0, help="What the machine that asked costs an hour, for the total."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a page about the teachers' answers: how sure, how consistent, how right, at what cost.

    One HTML file that opens from disk and needs no network. docs/teacher-report.md explains the
    figures and the keys of --json.
    """
    from data_store.console import print_json, say
    from data_store.layout import open_store
    from data_store.report.report import write_report
    from data_store.report.target import report_path, require_outside

    stores = [open_store(address) for address in (store, *(beside or []))]
    target = report_path(out, stores)
    if plots:
        require_outside(plots, stores)
    written = write_report(
        stores,
        target,
        teachers=teacher or [],
        plots=plots,
        price_per_hour=price_per_hour,
    )
    say(f"{target}: {len(written.figures)} figures, {written.file_bytes / 1e6:.1f} MB")
    if plots:
        say(f"{len(written.plots)} files written to {plots}")
    if as_json:
        print_json(written.numbers | {"report": str(target), "bytes": written.file_bytes})
