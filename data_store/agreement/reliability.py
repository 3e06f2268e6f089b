"""Is a confident answer right more often? A teacher's confidence beside people's opinions.

Confidence says how decided a teacher is, not how right; only opinions tell how far the one means
the other.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from data_store.agreement.correlations import srcc

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

BINS = 10
COVERAGES = tuple(round(0.1 * k, 1) for k in range(1, 11))


class PairBin(NamedTuple):
    """Pairs whose confidence lies in [from, to); the last bin holds its upper end."""

    confidence_from: float
    confidence_to: float
    n: int
    mean_confidence: float | None
    mean_prob: float | None
    """Mean probability the teacher gives the image it prefers: what agreement should be."""
    agreement: float | None
    """Share of the pairs that people order the same way; a preference of one half counts half."""


class PairReliability(NamedTuple):
    """How far preferences can be trusted as probabilities, and their confidence as an order."""

    n: int
    agreement: float | None
    mean_prob: float | None
    ece: float | None
    """Expected calibration error of the probability of the preferred image, over `BINS` equal
    bins of [0.5, 1]: mean over the pairs of |agreement - mean probability| of their bin."""
    bins: tuple[PairBin, ...]
    coverage: tuple[tuple[float, float], ...]
    """(share of the pairs, agreement among so many of the most confident)."""
    coverage_area: float | None
    """Mean agreement over all coverages; above `agreement` where confidence helps."""
    best_coverage_area: float | None
    """What an order with all right pairs first would give."""


class PointBin(NamedTuple):
    """Images whose confidence lies in [from, to); the last bin holds its upper end."""

    confidence_from: float
    confidence_to: float
    n: int
    mean_confidence: float | None
    mean_error: float | None
    """mean(score - MOS), on the [0, 1] scale as all errors here."""
    mean_absolute_error: float | None
    rmse: float | None


class PointReliability(NamedTuple):
    """How far the confidence of scores foretells their errors."""

    n: int
    error_srcc: float | None
    """Rank correlation of confidence with -|score - MOS|: above 0 where confidence helps."""
    bins: tuple[PointBin, ...]


def pair_reliability(
    preference_prob: FloatArray, confidence: FloatArray, mos_difference: FloatArray
) -> PairReliability:
    """Compare preferences with opinions.

    Args:
        preference_prob: (P,) P(first better).
        confidence: (P,) in [0, 1].
        mos_difference: (P,) MOS of the first less that of the second, none 0: people have to
            prefer one for the teacher to agree.

    Source:
        Guo et al. 2017, On calibration of modern neural networks, for the reliability diagram
        and the calibration error; El-Yaniv and Wiener 2010, On the foundations of noise-free
        selective classification, for agreement over coverage.
    """
    prob = np.maximum(preference_prob, 1 - preference_prob)
    right = right_pairs(preference_prob, mos_difference)
    bins = []
    for low, high, inside in _bins(confidence, 0.0, 1.0):
        bins.append(
            PairBin(
                low,
                high,
                int(inside.sum()),
                _mean(confidence[inside]),
                _mean(prob[inside]),
                _mean(right[inside]),
            )
        )
    running = right_by_coverage(right, confidence)
    best = right_by_coverage(right, right)
    return PairReliability(
        n=len(prob),
        agreement=_mean(right),
        mean_prob=_mean(prob),
        ece=_calibration_error(prob, right),
        bins=tuple(bins),
        coverage=tuple(
            (share, float(running[max(1, round(share * len(prob))) - 1]))
            for share in (COVERAGES if len(prob) else ())
        ),
        coverage_area=_mean(running),
        best_coverage_area=_mean(best),
    )


def right_pairs(preference_prob: FloatArray, mos_difference: FloatArray) -> FloatArray:
    """Whether people order each pair the same way, (P,): 1, 0, or 0.5 for a preference of 0.5."""
    right: FloatArray = 0.5 + 0.5 * np.sign(preference_prob - 0.5) * np.sign(mos_difference)
    return right


def right_by_coverage(right: FloatArray, confidence: FloatArray) -> FloatArray:
    """Agreement among the k most confident pairs, for k = 1 to P.

    Pairs of equal confidence come in no order of their own: each counts with the mean of all.

    Args:
        right: (P,) in [0, 1].
        confidence: (P,).

    Returns:
        (P,).
    """
    _, tie, counts = np.unique(-confidence, return_inverse=True, return_counts=True)
    mean = np.bincount(tie, weights=right, minlength=len(counts)) / np.maximum(counts, 1)
    ordered = np.repeat(mean, counts)
    running: FloatArray = np.cumsum(ordered) / np.arange(1, len(right) + 1)
    return running


def point_reliability(
    scores: FloatArray, confidence: FloatArray, mos: FloatArray
) -> PointReliability:
    """Compare errors of scores with their confidence; all (N,), finite, MOS on [0, 1]."""
    error = scores - mos
    bins = []
    for low, high, inside in _bins(confidence, 0.0, 1.0):
        squares = _mean(error[inside] ** 2)
        bins.append(
            PointBin(
                low,
                high,
                int(inside.sum()),
                _mean(confidence[inside]),
                _mean(error[inside]),
                _mean(np.fabs(error[inside])),
                None if squares is None else squares**0.5,
            )
        )
    return PointReliability(
        len(scores), _rank_correlation(confidence, -np.fabs(error)), tuple(bins)
    )


def _calibration_error(prob: FloatArray, right: FloatArray) -> float | None:
    if not len(prob):
        return None
    gaps = [
        abs(float(prob[inside].sum() - right[inside].sum()))
        for _, _, inside in _bins(prob, 0.5, 1.0)
    ]
    return sum(gaps) / len(prob)


def _bins(
    values: FloatArray, low: float, high: float
) -> list[tuple[float, float, NDArray[np.bool_]]]:
    edges = np.linspace(low, high, BINS + 1)
    place = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, BINS - 1)
    return [
        (round(float(edges[k]), 6), round(float(edges[k + 1]), 6), place == k) for k in range(BINS)
    ]


def _rank_correlation(first: FloatArray, second: FloatArray) -> float | None:
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return srcc(first, second)


def _mean(values: FloatArray) -> float | None:
    return float(values.mean()) if len(values) else None
