"""`train run`: distil and calibrate students."""

from pathlib import Path
from typing import Annotated

import typer

from data_store.commands.options import StoreOption
from train.commands.options import JsonOption

COLUMNS = ("name", "srcc", "krcc", "plcc", "plcc_fitted", "rmse", "mae", "bias", "n")


def run(
    store: StoreOption,
    run_folder: Annotated[
        Path, typer.Option("--run", help="Folder of this run: new, or of the same run to go on.")
    ],
    config: Annotated[Path | None, typer.Option(help="TOML file of settings.")] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="One setting: distil.epochs=10.")
    ] = None,
    teacher: Annotated[
        str, typer.Option(help="Which teacher, by name or start of its id, if there are several.")
    ] = "",
    *,
    as_json: JsonOption = False,
) -> None:
    """Distil a student, calibrate it on few MOS, and compare it on held-out images.

    Stopped half-way, the same command goes on after the last finished stage.
    """
    from data_store.console import print_json, print_table, say
    from data_store.layout import open_store
    from data_store.settings import load_settings
    from train.settings import RunSettings

    settings = load_settings(RunSettings, config, overrides or [])
    opened = open_store(store)

    from train.run import train_run  # torch takes seconds to load: first refuse what is wrong

    rows = [row.as_dict() for row in train_run(opened, run_folder, settings, teacher=teacher)]
    if as_json:
        print_json(rows)
    else:
        title = "Agreement with MOS on held-out images"
        print_table(title, COLUMNS, [[row[column] for column in COLUMNS] for row in rows])
        unfitted = [str(row["name"]) for row in rows if not row["fit_converged"]]
        if unfitted:
            say(f"no logistic fit, plcc_fitted is plcc: {', '.join(unfitted)}")
    say(f"written: {run_folder}")
