"""Judgements of single images, prepared as rows of the table `points`."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annotate.importing.evidence import FloatArray, Misfit, log_probs, outside, unit_scores
from annotate.importing.image_ids import KnownNames
from annotate.importing.judged_rows import TEACHER, JudgedRows
from annotate.importing.new_rows import repeated_rows
from schemas.points import POINTS
from schemas.scale import LEVEL_WORDS


def prepared_points(rows: JudgedRows, known: KnownNames) -> pa.Table:
    """The judged images and the evidence about them; what is wrong with the rows is noted.

    Args:
        rows: as they were read.
        known: the images that their names mean.

    Returns:
        One row per row whose image is known: row, teacher, image_id, level_logprobs,
        given_score, given_confidence.
    """
    columns, count = rows.request.columns, rows.table.num_rows
    levels = np.full((count, len(LEVEL_WORDS)), np.nan)
    score = confidence = np.full(count, np.nan)
    misfits: list[Misfit] = []
    if columns.kind == "levels" and columns.values:
        places = [LEVEL_WORDS.index(word) for word in columns.labels]
        levels[:, places], misfits = log_probs(rows.numbers(*columns.labels), columns.values)
    elif rows.request.scale:
        score, misfit = unit_scores(rows.numbers("score")[:, 0], rows.request.scale)
        misfits.append(misfit)
    if "confidence" in columns.columns:
        confidence = rows.numbers("confidence")[:, 0]
        misfits.append(outside(confidence, "has a confidence outside 0 to 1"))
    for misfit in misfits:
        rows.blame(misfit.rows, lambda cells, misfit=misfit: f"{cells['image']} {misfit.text}")  # type: ignore[misc]
    twice = repeated_rows(rows.table, [TEACHER, "image"])
    rows.blame_rows(twice, lambda cells: f"{cells['image']} stands twice")
    prepared = pa.table(
        {
            "row": rows.table.column("row"),
            "teacher": rows.table.column(TEACHER),
            "image_id": known.ids_of(rows.table.column("image")),
            "level_logprobs": lists(levels, POINTS.field("level_logprobs").type),
            "given_score": numbers(score),
            "given_confidence": numbers(confidence),
        }
    )
    return prepared.filter(pc.is_valid(prepared.column("image_id")))


def lists(values: FloatArray, kind: pa.DataType) -> pa.Array:
    """(N, K) numbers as N lists of K float32; NaN becomes null."""
    flat = values.reshape(-1)
    items = pa.array(flat.astype(np.float32), mask=np.isnan(flat))
    return pa.FixedSizeListArray.from_arrays(items, type=kind)


def numbers(values: FloatArray) -> pa.Array:
    """(N,) numbers as a column of float64; NaN becomes null."""
    return pa.array(values, mask=np.isnan(values))
