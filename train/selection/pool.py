"""The images that labels may be bought for, as columns: what every strategy chooses from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Matrix = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Pool:
    """N images, some of them labelled already, and what is known of each without more labels.

    A column that is None is unknown; the strategies that need it say so.
    """

    group: IntArray
    """(N,) number of the group, such as the scene; images of one group resemble each other."""
    labelled: BoolArray | None = None
    """(N,) images that have labels: never chosen, but their like is chosen later. None: none."""
    teacher_score: FloatArray | None = None
    """(N,) in [0, 1]; NaN where the teacher gave none."""
    confidence: FloatArray | None = None
    """(N,) of the teacher in its score, in [0, 1]; NaN where there is none."""
    inconsistency: FloatArray | None = None
    """(N,) how far the two orders of the image's pairs are apart, in [0, 1]; NaN without pairs."""
    student_score: FloatArray | None = None
    """(N,) on any rising scale; NaN where there is none."""
    features: Matrix | None = None
    """(N, D) what the student's score head sees."""

    def __len__(self) -> int:
        return len(self.group)

    def candidates(self) -> IntArray:
        """(C,) rows that can be chosen, ascending."""
        if self.labelled is None:
            return np.arange(len(self))
        return np.flatnonzero(~self.labelled)

    def labelled_rows(self) -> IntArray:
        """(L,) rows that have labels, ascending."""
        return np.empty(0, np.int64) if self.labelled is None else np.flatnonzero(self.labelled)
