"""SRCC and raw PLCC of scores with opinions, in numpy alone."""

import numpy as np

from annotate.errors.level_scale import FloatArray


def plcc(scores: FloatArray, mos: FloatArray) -> float:
    """Pearson's linear correlation, (N,) and (N,); NaN for fewer than two or constant values."""
    if len(scores) < 2 or np.ptp(scores) == 0 or np.ptp(mos) == 0:
        return float("nan")
    scores, mos = scores - scores.mean(), mos - mos.mean()
    cosine = (scores / np.linalg.norm(scores)) @ (mos / np.linalg.norm(mos))
    return float(np.clip(cosine, -1.0, 1.0))


def srcc(scores: FloatArray, mos: FloatArray) -> float:
    """Spearman's rank correlation: Pearson's of the ranks, ties sharing their mean rank."""
    return plcc(_ranks(scores), _ranks(mos))


def _ranks(values: FloatArray) -> FloatArray:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]
