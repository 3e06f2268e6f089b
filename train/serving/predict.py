"""Score a folder of images with a trained student; a bad image is a row, never the end.

Files are taken in the order of their names, one batch at a time, so memory does not grow with
the folder, and the same folder gives the same file.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from data_store.console import progress
from data_store.images.pictures import decode_rgb
from data_store.images.stored import read_image
from data_store.images.walk import image_files
from schemas.errors import ImageError, InputError
from schemas.ids import sha256_bytes
from train.compute_device import compute_device
from train.dataset import stacked
from train.scoring import SCORING_BATCH, score_views
from train.serving.score_file import SCORES, check_score_path, score_writer
from train.settings import ImageSettings
from train.stages import Stage, load_stage, stage_names
from train.transforms import Pixels, centre_view, prepared_pixels


class PredictSummary(NamedTuple):
    """What became of the files of a folder."""

    student: str
    scored: int
    failed: int


class _File(NamedTuple):
    """One image file: its content's id and view, or why there is none."""

    path: Path
    image_id: str | None
    view: Pixels | None
    error: str | None


def predict_folder(
    run: Path, images: Path, out: Path, *, student: str = "", force: bool = False
) -> PredictSummary:
    """Write the score of every image file below a folder.

    Args:
        run: folder of a training run.
        images: searched to the bottom.
        out: .csv or .parquet; columns as in `score_file.SCORES`.
        student: which student of the run; empty takes the one calibrated on most labels.
        force: replace `out` if it is there.

    Raises:
        InputError: there is no such student, no image file, or `out` is there already.
    """
    check_score_path(out, force=force)
    files = image_files(images)
    stage = _open_student(run, student)
    failed = 0
    with (
        score_writer(out) as writer,
        ThreadPoolExecutor(os.cpu_count()) as pool,
        progress(len(files), label="predict", unit="images") as bar,
    ):
        for start in range(0, len(files), SCORING_BATCH):
            chunk = files[start : start + SCORING_BATCH]
            read = list(pool.map(lambda path: _read(path, stage.images), chunk))
            writer.write_table(_scored(read, stage))
            failed += sum(file.view is None for file in read)
            bar.advance(len(chunk))
    return PredictSummary(stage.name, len(files) - failed, failed)


def _open_student(run: Path, wanted: str) -> Stage:
    names = stage_names(run)
    stage = load_stage(run, wanted or _most_calibrated(names), device=compute_device("auto"))
    if stage is None:
        raise InputError(
            f"the run has no student {wanted!r}",
            where="--student",
            fix=f"choose one of {', '.join(names)}",
        )
    return stage


def _most_calibrated(names: Sequence[str]) -> str:
    calibrated = [name for name in names if name.startswith("leaf_")]
    if not calibrated:
        return names[0]
    return max(calibrated, key=lambda name: float(name.removeprefix("leaf_")))


def _read(path: Path, images: ImageSettings) -> _File:
    try:
        data = read_image(str(path))
    except ImageError as error:
        return _File(path, None, None, error.what)
    image_id = sha256_bytes(data)
    try:
        image = decode_rgb(data, where=path)
    except ImageError as error:
        return _File(path, image_id, None, error.what)
    pixels = prepared_pixels(image, short_side_px=images.short_side_px, crop_px=images.crop_px)
    return _File(path, image_id, centre_view(pixels, images.crop_px), None)


def _scored(files: Sequence[_File], stage: Stage) -> pa.Table:
    views = [file.view for file in files if file.view is not None]
    scores = iter(score_views(stage.student, stacked(views)).tolist() if views else [])
    return pa.table(
        {
            "path": [str(file.path) for file in files],
            "image_id": [file.image_id for file in files],
            "score": [None if file.view is None else next(scores) for file in files],
            "error": [file.error for file in files],
        },
        schema=SCORES,
    )
