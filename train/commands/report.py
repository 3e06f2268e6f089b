"""`train report`: what came of runs and sweeps, as one page to look at."""

from pathlib import Path
from typing import Annotated, Any

import typer

from train.commands.options import JsonOption

TOLD = ("srcc", "plcc", "rmse", "bias", "n")


def report(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs or sweeps.")],
    out: Annotated[
        Path | None,
        typer.Option(help="The page; by default the first folder's name and -report.html."),
    ] = None,
    store: Annotated[
        str,
        typer.Option(
            "--store",
            envvar="LEAF_STORE",
            help="Folder or s3:// address of the store; by default each run's own.",
        ),
    ] = "",
    sweep: Annotated[
        list[Path] | None,
        typer.Option("--sweep", help="Folder of a sweep beside the runs; repeat."),
    ] = None,
    plots: Annotated[
        Path | None, typer.Option(help="Folder for each figure as PNG, SVG and CSV.")
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """One HTML page about runs and sweeps: figures, tables, mistakes, provenance.

    It needs no network and opens from disk. Two or more runs stand side by side. An unfinished
    run shows what it has finished; without its store a run has no pictures and no single scores.
    An existing report is replaced.
    """
    from data_store.console import print_json, print_table, say
    from train.report.story import Wish, default_out, write_report

    folders = [*runs, *(sweep or [])]
    done = write_report(Wish(folders, out or default_out(folders), store, plots))
    for note in done.notes:
        say(f"note: {note}")
    found: list[dict[str, Any]] = [
        {"run": run.name, **row} for run in done.runs for row in run.rows
    ]
    figures = [figure.name for figure in done.page.figures()]
    if as_json:
        print_json(
            {
                "report": str(done.out),
                "bytes": done.size,
                "held_out": found,
                "figures": figures,
                "plots": [str(path) for path in done.plots],
                "notes": done.notes,
            }
        )
        return
    if found:
        columns = ("run", "name", *TOLD)
        cells = [[row.get(column) for column in columns] for row in found]
        print_table("Held-out images", columns, cells)
    if done.plots and plots is not None:
        say(f"{len(done.plots)} files of {len(figures)} figures: {plots}")
    say(f"{len(figures)} figures, {done.size / 1e6:.1f} MB: {done.out}")
