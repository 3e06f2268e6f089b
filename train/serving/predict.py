"""Score images with a trained student; a bad image is a row, never the end.

Images are taken in their order. Decoding runs a few images ahead of the network, so memory does
not grow with their number; and the same image gets the same score to the last digit, whatever
stands beside it, on the same machine with the same number of threads.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from data_store.console import progress
from schemas.errors import InputError
from train.serving.decoded import CROPS, Decoded, decode_picture, decoded_ahead
from train.serving.picture_list import Picture, find_pictures
from train.serving.score_file import SCORES, ScoreWriter, check_score_path, score_writer
from train.serving.scorer import Scorer, run_scorer

ROWS_PER_WRITE = 4096


class PredictSummary(NamedTuple):
    """What became of the images."""

    student: str
    scored: int
    failed: int


def predict_folder(
    run: Path, images: Path, out: Path, *, student: str = "", force: bool = False
) -> PredictSummary:
    """Write the centre view's score of every image file below a folder.

    Args:
        run: folder of a training run.
        images: a folder, or all else that `find_pictures` takes.
        out: .csv or .parquet; columns as in `score_file.SCORES`.
        student: which student of the run; empty takes the one calibrated on most labels.
        force: replace `out` if it is there.

    Raises:
        InputError: there is no such student, no image, or `out` is there already.
    """
    check_score_path(out, force=force)
    pictures = find_pictures(images)
    return predict(run_scorer(run, student), pictures, out, crops=1)


def check_crops(crops: int) -> None:
    """Refuse a number of views that there is no rule for.

    Raises:
        InputError: it is not one of `CROPS`.
    """
    if crops not in CROPS:
        raise InputError(f"{crops} crops cannot be scored", where="--crops", fix="say 1 or 5")


def predict(
    scorer: Scorer, pictures: Sequence[Picture], out: Path, *, crops: int
) -> PredictSummary:
    """Write the score of every image; the file appears when all are done.

    Args:
        scorer: the student.
        pictures: in the order of the rows.
        out: .csv or .parquet; replaced if it is there. Ask `check_score_path` first.
        crops: 1 for the centre view, 5 for the mean over centre and corners.
    """
    per_pass = max(1, scorer.batch_size // crops)
    decode = partial(decode_picture, images=scorer.images, crops=crops)
    failed = 0
    with (
        score_writer(out) as writer,
        progress(len(pictures), label="predict", unit="images") as bar,
    ):
        rows: list[_Row] = []
        decoded = decoded_ahead(pictures, decode, ahead=2 * per_pass)
        for group in _groups(decoded, per_pass):
            rows += _scored(group, scorer)
            failed += sum(image.views is None for image in group)
            bar.advance(len(group))
            if len(rows) >= ROWS_PER_WRITE:
                _write(writer, rows, _half_width(scorer, crops))
                rows = []
        _write(writer, rows, _half_width(scorer, crops))
    return PredictSummary(scorer.name, len(pictures) - failed, failed)


class _Row(NamedTuple):
    path: str
    image_id: str | None
    score: float | None
    error: str | None


def _groups(images: Iterable[Decoded], per_pass: int) -> Iterator[list[Decoded]]:
    """Images in their order, so many that each group fills one pass of the network."""
    group: list[Decoded] = []
    for image in images:
        group.append(image)
        if sum(other.views is not None for other in group) == per_pass:
            yield group
            group = []
    if group:
        yield group


def _scored(group: Sequence[Decoded], scorer: Scorer) -> Iterator[_Row]:
    views = [image.views for image in group if image.views is not None]
    scores = iter(scorer.scores(views).tolist() if views else [])
    for image in group:
        score = None if image.views is None else next(scores)
        yield _Row(image.picture.shown, image.image_id, score, image.error)


def _half_width(scorer: Scorer, crops: int) -> float | None:
    """Half the width of the interval; it was measured on the centre view and holds for that."""
    return scorer.interval if crops == 1 else None


def _write(writer: ScoreWriter, rows: Sequence[_Row], half_width: float | None) -> None:
    def bound(sign: int) -> list[float | None]:
        return [
            None if row.score is None or half_width is None else row.score + sign * half_width
            for row in rows
        ]

    paths, image_ids, scores, errors = zip(*rows, strict=True) if rows else ((), (), (), ())
    columns = (paths, image_ids, scores, bound(-1), bound(1), errors)
    arrays = [pa.array(c, f.type) for c, f in zip(columns, SCORES, strict=True)]
    writer.write_table(pa.Table.from_arrays(arrays, schema=SCORES))
