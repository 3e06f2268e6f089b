"""What is lost when opinions become levels and levels become scores again.

    eps_label = v(level(m)) - m              label-approximation error: wrong before any score
    eps_rest  = s - v(level(m))              restoration error: what the score adds to that
    s - m     = eps_label + eps_rest
    E (s - m)² = E eps_label² + E eps_rest² + 2 E eps_label eps_rest

m is the opinion, v(level(m)) the number of its level (`LevelScale`), s the score.
"""

import math
from typing import NamedTuple

import numpy as np

from annotate.errors.level_scale import FloatArray, LevelScale


class ConversionErrors(NamedTuple):
    """Means over N images with an opinion and a score, both on [0, 1]."""

    n: int
    label_square: float
    """E eps_label²."""
    restoration_square: float
    """E eps_rest²."""
    cross: float
    """2 E eps_label eps_rest; negative where the score takes back what the label did."""
    total_square: float
    """E (s - m)²; the three above add up to it."""
    label_l1: float
    """E |eps_label|."""
    restoration_l1: float
    """E |eps_rest|."""
    total_l1: float
    """E |s - m|."""
    slope_within_levels: float
    """How far scores follow opinions inside a level: `slope_within_levels`."""

    @property
    def rmse(self) -> float:
        """Root of the mean square of the whole error."""
        return math.sqrt(self.total_square)


def conversion_errors(mos: FloatArray, scores: FloatArray, scale: LevelScale) -> ConversionErrors:
    """Split the error of scores into that of the labels and that of restoring scores from them.

    Args:
        mos: (N,) in [0, 1], finite.
        scores: (N,) finite; they need not lie in [0, 1].
        scale: the levels.

    Returns:
        The means; all NaN for no image.

    Source:
        The two errors: Tang et al. 2025 (Q-Scorer), arXiv 2511.07812, error analysis. Its exact
        equations were not available; this decomposition is METHOD's (docs/methods.md).
    """
    label, total = scale.label(mos) - mos, scores - mos
    restoration = scores - scale.label(mos)
    return ConversionErrors(
        len(mos),
        label_square=_mean(label**2),
        restoration_square=_mean(restoration**2),
        cross=_mean(2 * label * restoration),
        total_square=_mean(total**2),
        label_l1=_mean(np.abs(label)),
        restoration_l1=_mean(np.abs(restoration)),
        total_l1=_mean(np.abs(total)),
        slope_within_levels=slope_within_levels(mos, scores, scale),
    )


def slope_within_levels(mos: FloatArray, scores: FloatArray, scale: LevelScale) -> float:
    """Slope of the score on the opinion among images of one level, pooled over the levels.

    sum_k sum_{i in k} (m_i - mean_k m)(s_i - mean_k s) / sum_k sum_{i in k} (m_i - mean_k m)²

    0 for a score that depends on the opinion's level alone, 1 for one that follows opinions one to
    one. Levels that are wrong more often near an edge also give a slope above 0. The labels'
    numbers play no part. NaN where no level holds two different opinions.
    """
    level = scale.level(mos)
    counts = np.maximum(np.bincount(level, minlength=scale.count), 1)
    means = [np.bincount(level, x, scale.count) / counts for x in (mos, scores)]
    mos_left, score_left = mos - means[0][level], scores - means[1][level]
    spread = float((mos_left**2).sum())
    return float((mos_left * score_left).sum()) / spread if spread > 0 else float("nan")


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if len(values) else float("nan")
