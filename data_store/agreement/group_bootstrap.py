"""How far measures move when other groups of images had been drawn: the bootstrap by group.

Images of one group share their content, so whole groups are drawn with replacement. A draw is
kept as how often it holds each image; all measures follow from these weights at once, exactly as
from the repeated images.

Source:
    Efron and Tibshirani 1993, An Introduction to the Bootstrap: percentile intervals, and
    resampling the units that are independent.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

DRAWS = 1000
COVERAGE = 0.95
LEAST_DEFINED = 0.95
"""Share of the draws in which a measure must be defined for it to have an interval."""
MEASURES = ("srcc", "krcc", "plcc", "pair_accuracy", "rmse", "mae", "bias")
"""What is resampled; a measure after a fit is not, its curve would have to be fitted each time."""
_NUMBERS_AT_ONCE = 4_000_000

Interval = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True)
class GroupDraws:
    """D draws with replacement of G groups, for N images."""

    group_counts: FloatArray
    """(D, G) how often each draw holds each group; every row sums to G."""
    group_of: IntArray
    """(N,) the group of each image, in 0 to G - 1."""

    def blocks(self, width: int) -> Iterator[FloatArray]:
        """Weights (d, N) of a few draws at a time, in order; `width` numbers per draw in memory."""
        size = max(1, _NUMBERS_AT_ONCE // max(1, width))
        for start in range(0, len(self.group_counts), size):
            yield self.group_counts[start : start + size][:, self.group_of]


def draw_groups(group_ids: pa.Array, *, draws: int = DRAWS, seed: int = 0) -> GroupDraws | None:
    """Draw as many groups as there are, again and again; None for fewer than two groups.

    Args:
        group_ids: (N,) string.
        draws: how many.
        seed: the same one gives the same draws of the same groups.
    """
    groups = pc.unique(group_ids).sort()
    count = len(groups)
    if count < 2:
        return None
    group_of = pc.index_in(group_ids, value_set=groups).to_numpy().astype(np.int64)
    generator = np.random.default_rng(seed)
    counts = generator.multinomial(count, np.full(count, 1 / count), size=draws)
    return GroupDraws(counts.astype(np.float64), group_of)


def resampled(
    scores: FloatArray,
    mos: FloatArray,
    draws: GroupDraws,
    *,
    measures: Sequence[str] = MEASURES,
) -> dict[str, FloatArray]:
    """The measures in every draw.

    Args:
        scores: (N,) finite.
        mos: (N,) finite.
        draws: of these N images.
        measures: which of `MEASURES`. The work of `krcc` and `pair_accuracy` grows with N squared,
            that of the others with N.

    Returns:
        For each of them (D,), NaN where a draw leaves it undefined.
    """
    parts = [_measures(scores, mos, weights, measures) for weights in draws.blocks(len(mos))]
    return {name: np.concatenate([part[name] for part in parts]) for name in measures}


def intervals(scores: FloatArray, mos: FloatArray, draws: GroupDraws) -> dict[str, Interval]:
    """Percentile intervals of coverage `COVERAGE`; arguments as of `resampled`.

    Returns:
        For each of `MEASURES` its lower and upper end, None where the measure is undefined in too
        many draws.
    """
    return spans(resampled(scores, mos, draws))


def spans(values: Mapping[str, FloatArray]) -> dict[str, Interval]:
    """The middle `COVERAGE` of each (D,) array; None where too few values are defined."""
    return {name: _span(drawn) for name, drawn in values.items()}


def _span(drawn: FloatArray) -> Interval:
    defined = drawn[np.isfinite(drawn)]
    if len(defined) < LEAST_DEFINED * len(drawn) or not len(defined):
        return None, None
    low, high = np.quantile(defined, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    return float(low), float(high)


def _measures(
    scores: FloatArray, mos: FloatArray, weights: FloatArray, wanted: Sequence[str]
) -> dict[str, FloatArray]:
    error = scores - mos
    size = weights.sum(axis=1)
    found = {}
    with np.errstate(divide="ignore", invalid="ignore"):
        if {"krcc", "pair_accuracy"} & set(wanted):
            right_less_wrong = _right_less_wrong(scores, mos, weights)
            unequal_mos = _unequal_pairs(mos, weights)
            unequal_scores = _unequal_pairs(scores, weights)
            found["krcc"] = right_less_wrong / np.sqrt(unequal_mos * unequal_scores)
            found["pair_accuracy"] = 0.5 + right_less_wrong / unequal_mos / 2
        if "srcc" in wanted:
            ranks = (_weighted_ranks(scores, weights), _weighted_ranks(mos, weights))
            found["srcc"] = _correlation(*ranks, weights)
        if "plcc" in wanted:
            found["plcc"] = _correlation(scores, mos, weights)
        return found | {
            "rmse": np.sqrt(weights @ error**2 / size),
            "mae": weights @ np.fabs(error) / size,
            "bias": weights @ error / size,
        }


def _weighted_ranks(values: FloatArray, weights: FloatArray) -> FloatArray:
    """(d, N) ranks that the repeated values would have, ties sharing their mean rank."""
    order, starts, tie_of = _ties(values)
    tied = np.add.reduceat(weights[:, order], starts, axis=1)
    below = np.cumsum(tied, axis=1) - tied
    ranks: FloatArray = (below + (tied + 1) / 2)[:, tie_of]
    return ranks


def _unequal_pairs(values: FloatArray, weights: FloatArray) -> FloatArray:
    """(d,) how many pairs of the repeated images differ in value."""
    order, starts, _ = _ties(values)
    tied = np.add.reduceat(weights[:, order], starts, axis=1)
    pairs: FloatArray = (weights.sum(axis=1) ** 2 - (tied**2).sum(axis=1)) / 2
    return pairs


def _ties(values: FloatArray) -> tuple[IntArray, IntArray, IntArray]:
    """An ascending order, where in it each distinct value starts, and which value each has."""
    _, tie_of, counts = np.unique(values, return_inverse=True, return_counts=True)
    starts = np.cumsum(counts) - counts
    return np.argsort(values, kind="stable"), starts, tie_of


def _right_less_wrong(scores: FloatArray, mos: FloatArray, weights: FloatArray) -> FloatArray:
    """(d,) pairs ordered as by the opinions less pairs ordered against them, none tied."""
    total = np.zeros(len(weights))
    few = weights.astype(np.float32)  # sums of small whole numbers: exact
    rows = max(1, _NUMBERS_AT_ONCE // len(mos))
    for start in range(0, len(mos), rows):
        part = slice(start, start + rows)
        sign = np.sign(scores[part, None] - scores) * np.sign(mos[part, None] - mos)
        total += np.einsum(
            "dn,dn->d", few[:, part] @ sign.astype(np.float32), few, dtype=np.float64
        )
    return total / 2


def _correlation(first: FloatArray, second: FloatArray, weights: FloatArray) -> FloatArray:
    """(d,) Pearson's correlation of the repeated values; each argument (N,) or (d, N)."""
    size = weights.sum(axis=1, keepdims=True)
    deviations = []
    for values in (first, second):
        mean = (weights * values).sum(axis=1, keepdims=True) / size
        deviation = values - mean
        scale = np.sqrt((weights * deviation**2).sum(axis=1, keepdims=True))
        # A spread at the level of rounding is no spread.
        scale[scale <= 1e-12 * np.maximum(1.0, np.fabs(values).max()) * np.sqrt(size)] = np.nan
        deviations.append(deviation / scale)
    cosine: FloatArray = (weights * deviations[0] * deviations[1]).sum(axis=1)
    return np.clip(cosine, -1.0, 1.0)
