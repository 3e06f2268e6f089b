"""Soft labels: an opinion as a distribution over the five levels that keeps its mean."""

import math

import numpy as np
import numpy.typing as npt

from annotate.errors.level_scale import FloatArray
from schemas.scale import LEVEL_VALUES

NARROW = 0.2
"""Standard deviation, in level units, below which a normal distribution misses most levels."""

OFF = 0.1
"""Level units by which the mean may be off before two levels are taken instead."""


def soft_labels(mos: FloatArray, mos_std: FloatArray) -> FloatArray:
    """Probabilities of the five levels whose mean is the opinion.

    q_k = Phi((k + 1/2 - m) / d) - Phi((k - 1/2 - m) / d),  k = 1 … 5, m and d in level units
    q'_k = max(0, a q_k + b),  a = (m - 3) / (B - 3 A),  b = (1 - a A) / 5,
    A = sum_k q_k,  B = sum_k k q_k

    so that before the cut at 0 the sum is 1 and the mean is m. Where d is below `NARROW` or, after
    the cut, the mean is off by more than `OFF`, and where ratings have no known deviation, the two
    levels beside m share the probability instead.

    Args:
        mos: (N,) in [0, 1].
        mos_std: (N,) standard deviation of the ratings on [0, 1]; NaN where unknown.

    Returns:
        (N, 5), worst level first; rows sum to 1.

    Source:
        DeQA-Score: You et al. 2025, arXiv 2501.11561, and its public code, which also has the two
        fallbacks. That the cut rows are brought back to the sum of 1, before it is asked how far
        the mean is off, is ours.
    """
    low, high = LEVEL_VALUES[0], LEVEL_VALUES[-1]
    mean, deviation = low + (high - low) * mos, (high - low) * mos_std
    wide = np.nan_to_num(deviation) >= NARROW
    soft = two_levels(mos)
    if wide.any():
        bent = _bent(mean[wide], deviation[wide])
        off = np.abs(bent @ np.array(LEVEL_VALUES) - mean[wide]) > OFF
        soft[wide] = np.where(off[:, np.newaxis], soft[wide], bent)
    return soft


def two_levels(mos: FloatArray) -> FloatArray:
    """(N, 5), the two levels beside each opinion on [0, 1], in the shares whose mean it is."""
    place = mos[:, np.newaxis] * (len(LEVEL_VALUES) - 1)
    return np.maximum(0.0, 1.0 - np.abs(place - np.arange(len(LEVEL_VALUES))))


def _bent(mean: FloatArray, deviation: FloatArray) -> FloatArray:
    """The normal distribution's share of each level, shifted and scaled to keep the mean."""
    levels = np.array(LEVEL_VALUES)
    edges = np.append(levels - 0.5, levels[-1] + 0.5)
    below = _normal_cdf((edges - mean[:, np.newaxis]) / deviation[:, np.newaxis])
    mass = np.diff(below, axis=1)
    total, first = mass.sum(axis=1), mass @ levels
    middle = levels.mean()
    lever = first - middle * total
    # An opinion in the middle has its mean there already, whatever the scaling.
    scaling = np.divide(mean - middle, lever, out=np.ones_like(lever), where=np.abs(lever) > 1e-9)
    shift = (1.0 - scaling * total) / len(levels)
    cut = np.maximum(0.0, scaling[:, np.newaxis] * mass + shift[:, np.newaxis])
    return np.asarray(cut / cut.sum(axis=1, keepdims=True), dtype=np.float64)


def _normal_cdf(z: FloatArray) -> npt.NDArray[np.float64]:
    values = [0.5 * math.erfc(-one / math.sqrt(2.0)) for one in z.ravel().tolist()]
    return np.array(values, dtype=np.float64).reshape(z.shape)
