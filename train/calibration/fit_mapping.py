"""Fits mappings to scores and opinions of the same few images: line, logistic, isotonic.

All keep the order of the scores, and all leave a mean error of 0 on what they were fitted to.
Where the opinions fall as the scores rise, the best rising curve is flat, so each rises a
thousandth as steeply as opinions spread over scores, and no less.
"""

import numpy as np
from numpy.typing import NDArray

from train.calibration.mapping import Mapping
from train.evaluation.logistic import fit_rising_curve

FloatArray = NDArray[np.float64]

LEAST_RISE = 1e-3
"""Least slope of a curve, as a share of (deviation of opinions / deviation of scores)."""

WIDEST_SPAN = 3.0
"""A logistic that spans more than so many times the range of the opinions is a line or an
exponential where there are scores: what it says beyond them is without measure."""

BEND_KNOTS = 33
"""Straight pieces that stand for such a bend; they miss it by less than a thousandth of it."""

NO_SPREAD = 1e-12
SAME_PLACE = 1e-9
"""Values closer than this share of their range count as one."""


def fit_shift_and_scale(scores: FloatArray, mos: FloatArray) -> tuple[float, float]:
    """Least squares of mos = scale * score + shift that keeps the ranking.

    Args:
        scores: (R,) finite, R at least 1.
        mos: (R,) finite.

    Returns:
        A scale above 0 and a shift, after which the mean error is 0; the scale is 1 where the
        scores are constant.
    """
    centred = scores - scores.mean()
    variance = float(centred @ centred)
    if variance <= NO_SPREAD:
        return 1.0, float(mos.mean() - scores.mean())
    scale = max(float(centred @ mos) / variance, _least_slope(scores, mos))
    return scale, float(mos.mean() - scale * scores.mean())


def fit_linear(scores: FloatArray, mos: FloatArray) -> Mapping:
    """`fit_shift_and_scale` as a mapping."""
    return Mapping("linear", fit_shift_and_scale(scores, mos))


def fit_logistic(scores: FloatArray, mos: FloatArray) -> Mapping:
    """The rising 4-parameter logistic of `train.evaluation.logistic`, never quite flat.

    Args:
        scores: (R,) finite.
        mos: (R,) finite.

    Returns:
        The line of `fit_linear` where no such curve can be trusted. Where the scores see only a
        bend of it, the bend in straight pieces, almost flat beyond the scores.
    """
    curve = fit_rising_curve(scores, mos, parameters=4)
    if curve is None:
        return fit_linear(scores, mos)
    slope = _least_slope(scores, mos)
    if curve.span > WIDEST_SPAN * float(np.ptp(mos)):
        knots = np.linspace(float(scores.min()), float(scores.max()), BEND_KNOTS)
        return _joined(knots, curve(knots) + slope * knots, scores, mos, beyond=slope)
    error = float((curve(scores) + slope * scores - mos).mean())
    return Mapping("logistic", (curve.low - error, curve.span, curve.centre, curve.width, slope))


def fit_isotonic(scores: FloatArray, mos: FloatArray) -> Mapping:
    """Centred isotonic regression: straight lines between the centres of its flat steps.

    The pool-adjacent-violators steps are flat, which would tie scores that differ; each step
    becomes one point, at the mean of its scores and opinions, and the points are joined.

    Args:
        scores: (R,) finite.
        mos: (R,) finite.

    Returns:
        A piecewise mapping, or a line where all scores are equal.

    Source:
        Oron and Flournoy, Centered isotonic regression, Statistics in Biopharmaceutical
        Research 9(3), 2017, there with flat ends; ours rise a little, for strictness.
    """
    spread = float(np.ptp(scores))
    if spread <= NO_SPREAD:
        return fit_linear(scores, mos)
    # Scores that only rounding tells apart share a place: no curve could rise between them.
    _, which = np.unique(np.round(scores / (SAME_PLACE * spread)), return_inverse=True)
    counts = np.bincount(which).astype(np.float64)
    places = np.bincount(which, weights=scores) / counts
    heights = np.bincount(which, weights=mos) / counts
    centres, levels = _pooled(places, heights, counts, least_step=SAME_PLACE * float(np.ptp(mos)))
    slope = _least_slope(scores, mos)
    levels = levels + slope * (centres - scores.mean())
    return _joined(centres, levels, scores, mos, beyond=slope)


def _joined(
    knots: FloatArray,
    heights: FloatArray,
    scores: FloatArray,
    mos: FloatArray,
    *,
    beyond: float,
) -> Mapping:
    """Straight lines between knots, `beyond` as the slope elsewhere, moved to mean error 0."""
    ends = (beyond, beyond)
    found = Mapping("piecewise", (*ends, *knots.tolist(), *heights.tolist()))
    error = float((found(scores) - mos).mean())
    return Mapping("piecewise", (*ends, *knots.tolist(), *(heights - error).tolist()))


def _pooled(
    places: FloatArray, heights: FloatArray, counts: FloatArray, *, least_step: float
) -> tuple[FloatArray, FloatArray]:
    """Pool adjacent violators; mean place and height of each block, both strictly rising."""
    blocks: list[tuple[float, float, float]] = []  # count, sum of places, sum of heights
    for place, height, count in zip(places, heights, counts, strict=True):
        block = (float(count), float(count * place), float(count * height))
        while blocks and (blocks[-1][2] / blocks[-1][0] + least_step >= block[2] / block[0]):
            earlier = blocks.pop()
            block = (earlier[0] + block[0], earlier[1] + block[1], earlier[2] + block[2])
        blocks.append(block)
    total, place_sum, height_sum = np.array(blocks).T
    return place_sum / total, height_sum / total


def _least_slope(scores: FloatArray, mos: FloatArray) -> float:
    opinions = max(float(mos.std()), LEAST_RISE)
    return LEAST_RISE * opinions / max(float(scores.std()), NO_SPREAD)
