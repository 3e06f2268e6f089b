"""How unsure we are of an image: three signals, none of which needs a label."""

from typing import Literal, get_args

import numpy as np

from schemas.errors import NotEnoughData
from train.selection.pool import FloatArray, Pool

Signal = Literal["confidence", "disagreement", "inconsistency"]
SIGNALS: tuple[Signal, ...] = get_args(Signal)

_NEEDS = {
    "confidence": "a teacher with confidence in its points: run `annotate points`",
    "disagreement": "a teacher's points (`annotate points`) and a student (--run RUN)",
    "inconsistency": "a teacher's pairs asked in both orders: run `annotate pairs`",
}


def uncertainty(pool: Pool, signal: Signal) -> FloatArray:
    """How unsure the teacher, or the student beside it, is of each image.

    Args:
        pool: of N images.
        signal: "confidence": 1 less the teacher's confidence in its score. "disagreement": how
            far the student's rank is from the teacher's, as a share of the pool; ranks, because
            the two need not be on one scale. "inconsistency": how far the two orders of the
            image's pairs are apart, on average.

    Returns:
        (N,) in [0, 1], higher is less sure; NaN where nothing is known of the image.

    Raises:
        NotEnoughData: the signal is known of no image.
    """
    match signal:
        case "confidence":
            found = 1.0 - _known(pool, pool.confidence)
        case "disagreement":
            teacher = _known(pool, pool.teacher_score)
            student = _known(pool, pool.student_score)
            both = ~np.isnan(teacher) & ~np.isnan(student)
            found = np.full(len(pool), np.nan)
            found[both] = np.abs(rank_share(teacher[both]) - rank_share(student[both]))
        case "inconsistency":
            found = _known(pool, pool.inconsistency)
    if np.isnan(found).all():
        raise NotEnoughData(
            f"the signal {signal} is known of none of the {len(pool)} candidates",
            where=f"--signal {signal}",
            fix=f"it needs {_NEEDS[signal]}",
        )
    return found


def rank_share(values: FloatArray) -> FloatArray:
    """The share of the others that are lower, ties half: (N,) in [0, 1]; 0.5 for a single one."""
    ordered = np.sort(values)
    below = np.searchsorted(ordered, values, side="left")
    up_to = np.searchsorted(ordered, values, side="right")
    others = max(len(values) - 1, 1)
    share: FloatArray = (below + up_to - 1) / 2 / others
    return share if len(values) > 1 else np.full(len(values), 0.5)


def _known(pool: Pool, column: FloatArray | None) -> FloatArray:
    return np.full(len(pool), np.nan) if column is None else column
