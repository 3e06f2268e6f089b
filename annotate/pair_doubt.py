"""How uncertain the preference is that two point answers imply."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from annotate.pair_line import FreePairs, IntArray, PositionPairs

FloatArray = npt.NDArray[np.float64]

BAND_PAIRS = 1 << 24
"""Pairs compared with one another at a time. Up to 4,096 images these are all pairs."""
LEAST_BAND_OFFSETS = 8
_LEAST_VARIANCE = 1e-12


class PointAnswers(NamedTuple):
    """What the teacher said of each image alone, along a line."""

    scores: FloatArray
    """(N,), ascending; any unit."""
    variances: FloatArray
    """(N,), of the answer's level distribution; the square of that unit."""


def certainty(points: PointAnswers, lower: IntArray, upper: IntArray) -> npt.NDArray[np.float32]:
    """How far the implied preference is from one half, in standard deviations.

    z = (s_j - s_i) / sqrt(var_i + var_j); the implied preference is Phi(z), so it is one half
    where z = 0, and the least certain pairs are those of least z.

    Args:
        points: scores and variances.
        lower: (M,), positions i.
        upper: (M,), positions j > i.

    Returns:
        (M,), not negative.
    """
    scores, variances = points
    spread = np.maximum(variances[lower] + variances[upper], _LEAST_VARIANCE)
    gap: npt.NDArray[np.float32] = ((scores[upper] - scores[lower]) / np.sqrt(spread)).astype("f4")
    return gap


def by_doubt(free: FreePairs, points: PointAnswers, missing: int) -> Iterator[PositionPairs]:
    """The first `missing` of the free pairs, the least certain first.

    Pairs are compared in bands of offsets along the line of scores: first all pairs at most D
    places apart, then those from D + 1 to 2 D, and so on. D is `BAND_PAIRS` / N and at least 8, so
    that 10^7 images need no list of all their pairs.
    """
    count = len(free.groups)
    width = max(LEAST_BAND_OFFSETS, BAND_PAIRS // count)
    for start in range(1, count, width):
        if missing <= 0:
            return
        ranked = _ranked(free, points, range(start, min(start + width, count)))
        if missing < len(ranked):
            ranked = np.partition(ranked, missing - 1)[:missing]
        best = np.sort(ranked)
        offsets, lower = np.divmod((best & np.uint64(0xFFFFFFFF)).astype(np.int64), count)
        yield np.stack([lower, lower + offsets + start], axis=1).astype(np.int32)
        missing -= len(best)


def _ranked(free: FreePairs, points: PointAnswers, offsets: range) -> npt.NDArray[np.uint64]:
    """(M,), for each free pair its certainty in the high 32 bits and its number in the low ones.

    The number, (offset - first offset) N + p, decides between equal certainties, so that the
    order of the pairs never depends on which are free.
    """
    parts = []
    for offset in offsets:
        lower = free.at(offset)
        # The bits of floats that are not negative are in the order of the floats.
        rank = certainty(points, lower, lower + offset).view(np.uint32).astype(np.uint64)
        number = ((offset - offsets.start) * len(free.groups) + lower).astype(np.uint64)
        parts.append((rank << np.uint64(32)) | number)
    return np.concatenate(parts)
