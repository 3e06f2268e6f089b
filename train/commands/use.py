"""`train predict` and `train export`: scores of images, and students that run elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from data_store.commands.options import DryRunOption
from train.commands.options import JsonOption

RunOption = Annotated[Path, typer.Option("--run", help="Folder of a training run.")]
StudentOption = Annotated[
    str,
    typer.Option(help="label_free, leaf_10, …; by default the one calibrated on most MOS."),
]


def predict(
    images: Annotated[
        Path,
        typer.Option(
            help="Folder; .txt, .csv or .parquet that lists paths; .parquet or .tar of images."
        ),
    ],
    out: Annotated[Path, typer.Option(help="File to write: .csv or .parquet.")],
    *,
    run_folder: Annotated[
        Path | None, typer.Option("--run", help="Folder of a training run.")
    ] = None,
    export: Annotated[
        Path | None, typer.Option(help="Folder that `train export` wrote, instead of --run.")
    ] = None,
    student: StudentOption = "",
    path_column: Annotated[
        str, typer.Option(help="Column of image paths in a table; by default path, image, …")
    ] = "",
    crops: Annotated[
        int, typer.Option(help="1: the centre of an image; 5: the mean of centre and corners.")
    ] = 1,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write a score for every image; an unreadable one becomes a row with its error."""
    from data_store.console import print_json, say
    from train.serving.exported import choose_scorer
    from train.serving.picture_list import find_pictures
    from train.serving.predict import check_crops, predict
    from train.serving.score_file import check_score_path

    check_score_path(out, force=force)
    check_crops(crops)
    pictures = find_pictures(images, path_column=path_column)
    if dry_run:
        from data_store.plans import give_plan
        from train.serving.plan import predict_plan

        plan = predict_plan(pictures, run=run_folder, export=export, student=student)
        give_plan(plan, as_json=as_json)
        return
    say(f"{len(pictures)} images to score")
    scorer = choose_scorer(run_folder, export, student=student)
    done = predict(scorer, pictures, out, crops=crops)
    say(f"{done.scored} images scored by {done.student}, {done.failed} unreadable: {out}")
    if as_json:
        print_json({**done._asdict(), "out": str(out)})


def export(
    run_folder: RunOption,
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    student: StudentOption = "",
    *,
    onnx: Annotated[bool, typer.Option(help="Write an ONNX model, too.")] = True,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the folder if it exists.")
    ] = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write a student as a folder that timm and onnxruntime load without this package."""
    from data_store.console import print_json, say
    from train.serving.export import export_student

    if dry_run:
        from data_store.plans import give_plan
        from train.serving.plan import export_plan

        plan = export_plan(run_folder, out, student=student, onnx=onnx, force=force)
        give_plan(plan, as_json=as_json)
        return
    done = export_student(run_folder, out, student=student, onnx=onnx, force=force)
    parity = f", ONNX within {done.parity['largest_difference']:.2g}" if done.parity else ""
    say(f"{done.student} exported{parity}: {out}")
    if as_json:
        print_json({**done._asdict(), "out": str(out)})
