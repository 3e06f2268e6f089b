"""Evidence of a teacher that does not exist: SIMULATED from MOS with a known error.

    z = standardised MOS,   percept t = z + s (g + e) / sqrt(2)

e is independent normal noise. g is a fixed function of the picture, so asking again or asking
about pairs averages nothing away: one draw of a Gaussian process over standardised frozen
features, squared exponential kernel, length scale = median distance of two images. Both have
variance 1, and s is such that SRCC(t, MOS) is what was asked for. Everything the teacher says
follows from t: one percept per image.

Confidence is calibrated: the teacher reports what someone who knows its error would believe. Of
an image, the distribution N(m, v) of MOS given t (best linear prediction), cut into five levels;
of a pair, P(MOS_i > MOS_j) = Phi((m_i - m_j) / sqrt(2 v)), as logits with a little noise and a
position bias, in both orders.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.special import logit, ndtr
from scipy.stats import spearmanr

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

LEVEL_EDGES = (0.125, 0.375, 0.625, 0.875)
"""Between the five levels, which stand at 0, 1/4, 1/2, 3/4 and 1."""
SHARED_NOISE_LOGIT = 0.2
ORDER_NOISE_LOGIT = 0.2
POSITION_BIAS_LOGIT = 0.3
LEAST_PROB = 1e-6
JITTER = 1e-6


class Belief(NamedTuple):
    """What the simulated teacher believes of N images, in MOS units."""

    mean: FloatArray  # (N,)
    variance: float


def smooth_biases(features: NDArray[np.float32], seeds: Sequence[int]) -> list[FloatArray]:
    """Draws of the Gaussian process at N images, one per seed.

    Args:
        features: (N, D), standardised here.
        seeds: of the draws.

    Returns:
        (N,) each, mean 0, variance 1.
    """
    covariance = np.exp(-_square_distances(features) / 2)
    covariance[np.diag_indices(len(covariance))] += JITTER
    factor = np.linalg.cholesky(covariance)
    return [
        _standard(factor @ np.random.default_rng((seed, 0)).standard_normal(len(features)))
        for seed in seeds
    ]


def percept(mos: FloatArray, bias: FloatArray, *, srcc: float, seed: int) -> FloatArray:
    """What the teacher perceives: (N,), SRCC with `mos` (N,) as asked; half the error is `bias`."""
    noise = _standard(np.random.default_rng((seed, 1)).standard_normal(len(mos)))
    error = (bias + noise) / np.sqrt(2)
    low, high = 0.01, 100.0
    for _ in range(60):
        middle = np.sqrt(low * high)
        agrees = spearmanr(_standard(mos) + middle * error, mos).statistic > srcc
        low, high = (middle, high) if agrees else (low, middle)
    perceived: FloatArray = _standard(mos) + low * error
    return perceived


def belief(perceived: FloatArray, mos: FloatArray) -> Belief:
    """Best linear prediction of MOS from the percept, and what it leaves open; all (N,)."""
    correlation = float(np.corrcoef(perceived, mos)[0, 1])
    mean = mos.mean() + correlation * mos.std() * _standard(perceived)
    return Belief(mean, float(mos.var() * (1 - correlation**2)))


def write_points(path: Path, names: list[str], believed: Belief) -> None:
    """Parquet for `annotate import`: image, and the probability of each of five levels."""
    edges = (np.array(LEVEL_EDGES) - believed.mean[:, None]) / np.sqrt(believed.variance)
    below = np.pad(ndtr(edges), ((0, 0), (1, 1)), constant_values=((0, 0), (0, 1)))
    probs = np.maximum(np.diff(below, axis=1), LEAST_PROB)
    probs /= probs.sum(axis=1, keepdims=True)
    words = ("bad", "poor", "fair", "good", "excellent")
    columns = dict(zip(words, probs.T, strict=True))
    pq.write_table(pa.table({"image": names, **columns}), path)


def write_pairs(
    path: Path, names: list[str], believed: Belief, *, per_image: int, seed: int
) -> None:
    """Parquet for `annotate import`: both orders of each pair, logits of first and second."""
    rng = np.random.default_rng((seed, 2))
    first, second = random_pairs(len(names), per_image, rng).T
    gap = (believed.mean[first] - believed.mean[second]) / np.sqrt(2 * believed.variance)
    shared = logit(np.clip(ndtr(gap), LEAST_PROB, 1 - LEAST_PROB))
    shared = shared + SHARED_NOISE_LOGIT * rng.standard_normal(len(gap))
    forward, backward = (
        sign * shared + POSITION_BIAS_LOGIT + ORDER_NOISE_LOGIT * rng.standard_normal(len(gap))
        for sign in (1, -1)
    )
    pool = np.array(names)
    table = {
        "image_a": np.concatenate([pool[first], pool[second]]),
        "image_b": np.concatenate([pool[second], pool[first]]),
        "logit_a": np.concatenate([forward, backward]),
        "logit_b": np.zeros(2 * len(gap)),
    }
    pq.write_table(pa.table(table), path)


def random_pairs(count: int, per_image: int, rng: np.random.Generator) -> IntArray:
    """(P, 2) pairs of random perfect matchings, none twice."""
    drawn = [
        np.sort(rng.permutation(count)[: count - count % 2].reshape(-1, 2), axis=1)
        for _ in range(per_image)
    ]
    return np.unique(np.concatenate(drawn), axis=0)


def _square_distances(features: NDArray[np.float32]) -> FloatArray:
    """(N, N) of standardised features, in units of the squared median distance."""
    standard = _standardised(features)
    norms = (standard**2).sum(axis=1)
    squared = np.maximum(norms[:, None] + norms - 2 * standard @ standard.T, 0.0)
    upper = squared[np.triu_indices(len(squared), 1)]
    return np.asarray(squared / np.median(upper))


def _standardised(features: NDArray[np.float32]) -> FloatArray:
    wide = features.astype(np.float64)
    return np.asarray((wide - wide.mean(axis=0)) / np.maximum(wide.std(axis=0), 1e-3))


def _standard(values: FloatArray) -> FloatArray:
    return np.asarray((values - values.mean()) / values.std())
