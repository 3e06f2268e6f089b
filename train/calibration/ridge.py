"""Ridge regression in closed form, its strength chosen by exact leave-one-out errors.

Used twice: of opinions on features alone, and of opinions on features beside the student's own
score, which then need explain only what the score leaves over.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

STRENGTHS = np.logspace(-3, 5, 33)
"""Penalties that are tried, as multiples of the number of features."""

SCORE_WEIGHTS = (np.inf, 3.0, 1.0, 0.3, 0.1, 0.03, 0.0)
"""How many times as much as all features together the score counts; all that are tried."""

LEAST_SPREAD = 1e-3
"""Features are divided by their deviation, but by no less than this share of the largest one."""


class Ridge(NamedTuple):
    """prediction = slopes . features + scale * score + shift, in raw units of the features."""

    slopes: FloatArray  # (D,)
    scale: float  # of the student's score; 0 where it takes no part
    shift: float
    strength: float  # the penalty, as a multiple of D
    score_weight: float  # infinite where the score's slope is not penalised

    def __call__(self, features: FloatArray, scores: FloatArray) -> FloatArray:
        """(R, D) features and (R,) scores to (R,) predictions."""
        predicted: FloatArray = features @ self.slopes + self.scale * scores + self.shift
        return predicted


def fit_ridge(features: FloatArray, mos: FloatArray, *, scores: FloatArray | None = None) -> Ridge:
    """Least squares of opinions on standardised features, their slopes held small.

    min over b, a, w of  sum_r (m_r - b - a s_r - w . z_r)^2 + strength (D |w|^2 + a^2 / weight)

    z and s are standardised, b is free. Without scores a is 0. With them the weight says how
    much dearer it is to follow the features than the score: an infinite one fits the features
    to what a line in the score leaves over, 0 leaves the score out. Strength and weight are
    those of the least leave-one-out error, where the error of row r without it is
    (m_r - fit_r) / (1 - H_rr), H the matrix that makes the fit from the opinions.

    Args:
        features: (R, D), R at least 3; what does not vary is without effect.
        mos: (R,).
        scores: (R,) of the student.

    Source:
        Hoerl and Kennard 1970; leave-one-out as in Allen's PRESS 1974. As a baseline for image
        quality with few labels: ARNIQA, arXiv:2310.14918; a base score plus a learnt residual:
        DPC-VQA, arXiv:2604.12813.
    """
    feature_count = features.shape[1]
    centre, spread = features.mean(axis=0), features.std(axis=0)
    spread = np.maximum(spread, max(LEAST_SPREAD * float(spread.max(initial=0.0)), 1e-12))
    standard = (features - centre) / spread
    own, own_centre, own_spread = _standardised(scores, len(mos))
    weights = SCORE_WEIGHTS if own.any() else (0.0,)
    problem = _Problem(*_eigen(standard), mos - mos.mean(), own, feature_count)
    _, strength, weight = min(
        (
            (error, strength, weight)
            for weight in weights
            for strength, error in zip(STRENGTHS, problem.errors(weight), strict=True)
        ),
        key=lambda tried: tried[0],
    )
    shrunk, scale = problem.solution(strength, weight)
    slopes, scale = (standard.T @ shrunk) / spread, scale / own_spread
    shift = float(mos.mean() - centre @ slopes - scale * own_centre)
    return Ridge(slopes, scale, shift, float(strength), float(weight))


class _Problem(NamedTuple):
    """All that the leave-one-out errors need, from one decomposition.

    With K = z z^T, A = strength D (K + strength D I)^-1, the errors for a score of weight v come
    from A - A s s^T A / (strength / v + s^T A s): one rank more, by Sherman and Morrison.
    """

    values: FloatArray  # (V,) eigenvalues of K
    vectors: FloatArray  # (R, V)
    mos: FloatArray  # (R,) centred
    own: FloatArray  # (R,) standardised scores
    feature_count: int

    def errors(self, weight: float) -> FloatArray:
        """Mean square leave-one-out error of each of `STRENGTHS`, (P,)."""
        kept = self.values / (self.values + STRENGTHS[:, None] * self.feature_count)
        residual = self.mos - (kept * (self.vectors.T @ self.mos)) @ self.vectors.T
        freedom = 1.0 - kept @ (self.vectors**2).T
        if weight:
            own = self.own - (kept * (self.vectors.T @ self.own)) @ self.vectors.T
            size = STRENGTHS / weight + own @ self.own
            residual = residual - own * (residual @ self.own / size)[:, None]
            freedom = freedom - own**2 / size[:, None]
        freedom = np.maximum(freedom - 1.0 / len(self.mos), 1e-9)  # the mean takes its share
        errors: FloatArray = ((residual / freedom) ** 2).mean(axis=1)
        return errors

    def solution(self, strength: float, weight: float) -> tuple[FloatArray, float]:
        """(R,) coefficients of the rows of z in w, and a."""
        penalty = strength * self.feature_count

        def shrunk(values: FloatArray) -> FloatArray:
            share = self.values / (self.values + penalty)
            left: FloatArray = values - self.vectors @ (share * (self.vectors.T @ values))
            return left

        if not weight:
            return shrunk(self.mos) / penalty, 0.0
        own = shrunk(self.own)
        scale = float(own @ self.mos / (strength / weight + own @ self.own))
        return shrunk(self.mos - scale * self.own) / penalty, scale


def _standardised(scores: FloatArray | None, count: int) -> tuple[FloatArray, float, float]:
    """Scores of mean 0 and deviation 1, and what they were; zeros where they are no use."""
    if scores is None or float(scores.std()) <= 1e-9:
        return np.zeros(count), 0.0, 1.0
    centre, spread = float(scores.mean()), float(scores.std())
    return (scores - centre) / spread, centre, spread


def _eigen(standard: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Eigenvalues and vectors (R, V) of standard @ standard.T, by the smaller of its two forms."""
    row_count, feature_count = standard.shape
    if row_count <= feature_count:
        values, vectors = np.linalg.eigh(standard @ standard.T)
        return np.maximum(values, 0.0), vectors
    values, directions = np.linalg.eigh(standard.T @ standard)
    kept = values > 1e-10 * max(float(values.max(initial=0.0)), 1e-300)
    return values[kept], standard @ directions[:, kept] / np.sqrt(values[kept])
