"""`train predict`: scores of images by a trained student."""

from pathlib import Path
from typing import Annotated

import typer

from train.commands.options import JsonOption


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
    from train.serving.predict import predict_folder

    done = predict_folder(run_folder, images, out, student=student, force=force)
    say(f"{done.scored} images scored by {done.student}, {done.failed} unreadable: {out}")
    if as_json:
        print_json({**done._asdict(), "out": str(out)})
