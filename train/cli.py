"""The command `train`: distil and calibrate a student, and score images with it."""

from pathlib import Path
from typing import Annotated

import typer

from data_store.commands.options import StoreOption

app = typer.Typer(
    help="Train a small image quality student from a store, and use it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
COLUMNS = ("name", "srcc", "krcc", "plcc", "plcc_fitted", "rmse", "mae", "bias", "n")


@app.command()
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


@app.command()
def predict(
    run_folder: Annotated[Path, typer.Option("--run", help="Folder of a training run.")],
    images: Annotated[Path, typer.Option(help="Folder of images, searched to the bottom.")],
    out: Annotated[Path, typer.Option(help="File to write: .csv or .parquet.")],
    student: Annotated[
        str,
        typer.Option(help="label_free, leaf_10, …; by default the one calibrated on most MOS."),
    ] = "",
    *,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write a score for every image of a folder; an unreadable one becomes a row with its error."""
    from data_store.console import print_json, say
    from train.predict import predict_folder

    done = predict_folder(run_folder, images, out, student=student, force=force)
    say(f"{done.scored} images scored by {done.student}, {done.failed} unreadable: {out}")
    if as_json:
        print_json({**done._asdict(), "out": str(out)})


def main() -> None:
    """Entry point of the console script."""
    from data_store.console import run_app

    run_app(app)


if __name__ == "__main__":
    main()
