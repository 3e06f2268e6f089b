"""`train calibrate`: a finished student on the opinions that there are now."""

from pathlib import Path
from typing import Annotated

import typer

from train.commands.options import JsonOption

COLUMNS = ("name", "srcc", "srcc_low", "srcc_high", "plcc", "rmse", "mae", "bias", "n")


def calibrate(
    run_folder: Annotated[
        Path, typer.Option("--run", help="Finished run whose label-free student is calibrated.")
    ],
    out: Annotated[
        Path, typer.Option(help="Folder of a new run: new, or of the same calibration to go on.")
    ],
    store: Annotated[
        str,
        typer.Option(
            "--store",
            envvar="LEAF_STORE",
            help="Folder or s3:// address of the store with the MOS; by default the run's own.",
        ),
    ] = "",
    source: Annotated[
        str, typer.Option(help="Learn from MOS of this source alone; default the mean over all.")
    ] = "",
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help='One setting of the ladder: ladder.rungs=["full"] fine-tunes the whole student.',
        ),
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Calibrate a finished student on all MOS of the training split, without distilling again.

    The new folder is a run like any other: predict, export, evaluate, compare and report take it.
    """
    from data_store.console import print_json, print_table, say
    from data_store.layout import open_store
    from train.calibrate import calibrate_run, calibration_settings, open_parent

    parent = open_parent(run_folder)
    settings = calibration_settings(parent, overrides or [])
    opened = open_store(store or parent.run.store_address)
    done = calibrate_run(parent, out, opened, settings, source=source)
    interval = f", a score ± {done.interval:.3f}" if done.interval is not None else ""
    say(
        f"calibrated on {done.labelled_count} images by {done.chosen}{interval};"
        f" {done.held_out_count} held-out images have MOS: {out}"
    )
    if as_json:
        print_json({**done._asdict(), "rows": [row.as_dict() for row in done.rows]})
    elif done.rows:
        rows = [row.as_dict() for row in done.rows]
        title = "Agreement with MOS on held-out images, before and after"
        print_table(title, COLUMNS, [[row[column] for column in COLUMNS] for row in rows])
