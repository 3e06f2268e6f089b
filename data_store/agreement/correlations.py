"""Correlations of N numbers with N others.

No correlation is ever made positive by taking its absolute value: scores that rank backwards show
a negative number. What is undefined (a constant has no correlation) is NaN.
"""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def plcc(scores: FloatArray, mos: FloatArray) -> float:
    """Pearson's linear correlation of raw scores; NaN for fewer than two or constant values."""
    if len(scores) < 2 or is_constant(scores) or is_constant(mos):
        return float("nan")
    scores, mos = scores - scores.mean(), mos - mos.mean()
    cosine = (scores / np.linalg.norm(scores)) @ (mos / np.linalg.norm(mos))
    return float(np.clip(cosine, -1.0, 1.0))


def srcc(scores: FloatArray, mos: FloatArray) -> float:
    """Spearman's rank correlation: Pearson's of the ranks, ties sharing their mean rank."""
    return plcc(mean_ranks(scores), mean_ranks(mos))


def mean_ranks(values: FloatArray) -> FloatArray:
    """Ranks from 1 to N, (N,); equal values share their mean rank."""
    _, tie, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: FloatArray = (np.cumsum(counts) - (counts - 1) / 2)[tie]
    return ranks


def is_constant(values: FloatArray) -> bool:
    """Whether N >= 1 values are all one."""
    # A spread at the level of rounding is no spread: its correlation would be noise.
    return bool(np.ptp(values) <= 1e-12 * max(1.0, float(np.fabs(values).max())))
