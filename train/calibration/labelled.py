"""The labelled images that a ladder is climbed with, and what makes them unusable."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.errors import NotEnoughData, TrainingError
from train.calibration.rungs import Seen
from train.fine_tune import MIN_LABELLED

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Labelled(NamedTuple):
    """R images with opinions that may be learnt from, out of N."""

    rows: IntArray
    """(R,) image rows."""
    mos: FloatArray
    """(N,) by image row, on the [0, 1] scale."""
    group_ids: Sequence[str]
    """(N,) by image row: copies and crops of one source share a group."""
    distilled_scores: FloatArray | None = None
    """(N,) scores of students that were distilled without the image, where they are known.

    A student's own score of an image that it was distilled on also holds what it remembers of
    the teacher's error there, which its scores of new images do not.
    """

    def groups(self) -> IntArray:
        """(R,) one number per group."""
        _, numbers = np.unique(np.asarray(self.group_ids)[self.rows], return_inverse=True)
        return numbers.astype(np.int64)


def check_labels(labelled: Labelled) -> None:
    """Refuse opinions from which nothing can be learnt.

    Raises:
        NotEnoughData: fewer than `MIN_LABELLED`, or all the same.
        TrainingError: not on the [0, 1] scale.
    """
    mos = labelled.mos[labelled.rows]
    if len(mos) < MIN_LABELLED:
        raise NotEnoughData(
            f"there are {len(mos)} labelled images, and calibration needs {MIN_LABELLED}",
            where="the images with MOS of the training split",
            fix="add opinions with `store add-mos`, or raise label_fractions",
        )
    if not np.isfinite(mos).all() or mos.min() < -1e-6 or mos.max() > 1 + 1e-6:
        raise TrainingError(
            f"the opinions lie between {np.min(mos):g} and {np.max(mos):g}, not between 0 and 1",
            where="the images with MOS of the training split",
            fix="import them with their scale: `store add-mos --scale LOW HIGH`",
        )
    if np.ptp(mos) <= 1e-9:
        raise NotEnoughData(
            f"all {len(mos)} labelled images have the same MOS, {mos[0]:g}",
            where="the images with MOS of the training split",
            fix="add opinions of images of other quality with `store add-mos`",
        )


def check_seen(seen: Seen) -> None:
    """Refuse a student that has no number for an image.

    Raises:
        TrainingError: a score or feature is not finite.
    """
    if not (np.isfinite(seen.scores).all() and np.isfinite(seen.features).all()):
        raise TrainingError(
            "the student's scores or features of labelled images are not all numbers",
            where="the student before calibration",
            fix="distil again with a lower distil.learning_rate",
        )
