"""How well people agree on images: figures per rater, and for all of them together.

All functions take ratings as a table (R, N) of R raters and N images on one scale, NaN where a
rater gave none, so that not everybody need see everything.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from data_store.agreement.correlations import srcc

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Opinion(NamedTuple):
    """What the ratings of each image come to."""

    mean: FloatArray  # (N,) the MOS; NaN without a rating
    std: FloatArray  # (N,) of the sample, n - 1 below; NaN for fewer than two ratings
    rating_count: IntArray  # (N,)


class RaterFigures(NamedTuple):
    """What sets a rater apart from the others."""

    image_count: IntArray  # (R,) images rated
    mean: FloatArray  # (R,) of the rater's ratings
    shift: FloatArray  # (R,) mean of rating - mean of the others, over images others rated too
    srcc: FloatArray  # (R,) Spearman's correlation with the mean of the others; NaN if undefined


class Agreement(NamedTuple):
    """How well the raters agree as a whole; None where it is not defined."""

    alpha: float | None
    """Krippendorff's alpha for interval data: 1 is full agreement, 0 what chance gives."""
    icc_single: float | None
    """ICC(2,1): how far one rater's ratings can be relied on; over images that all have rated."""
    icc_mean: float | None
    """ICC(2,k): the same of the mean over these raters."""
    mean_std: float | None
    """Mean over images of the standard deviation of their ratings, in units of the scale."""


def opinion(ratings: FloatArray) -> Opinion:
    """Mean, sample standard deviation and number of the ratings of each image.

    Args:
        ratings: (R, N).
    """
    count, mean, squares = _moments(ratings)
    std = np.full(len(count), np.nan)
    np.divide(squares, count - 1, out=std, where=count > 1)
    return Opinion(mean, np.sqrt(std), count)


def rater_figures(ratings: FloatArray) -> RaterFigures:
    """Compare each rater with the mean of all others, never with a mean that holds their own.

    Args:
        ratings: (R, N).
    """
    rated = np.isfinite(ratings)
    total, count = np.nansum(ratings, axis=0), rated.sum(axis=0)
    shift, rank_match = np.full(len(ratings), np.nan), np.full(len(ratings), np.nan)
    for rater, own in enumerate(ratings):
        shared = rated[rater] & (count > 1)
        if shared.any():
            others = (total[shared] - own[shared]) / (count[shared] - 1)
            shift[rater] = (own[shared] - others).mean()
            rank_match[rater] = srcc(own[shared], others)
    _, mean, _ = _moments(ratings.T)
    return RaterFigures(rated.sum(axis=1).astype(np.int64), mean, shift, rank_match)


def agreement(ratings: FloatArray) -> Agreement:
    """All figures of agreement.

    Args:
        ratings: (R, N).
    """
    std = opinion(ratings).std
    single, mean = intraclass(ratings[:, np.isfinite(ratings).all(axis=0)])
    return Agreement(
        _known(krippendorff_alpha(ratings)),
        _known(single),
        _known(mean),
        _known(float(std[np.isfinite(std)].mean())) if np.isfinite(std).any() else None,
    )


def krippendorff_alpha(ratings: FloatArray) -> float:
    """1 - observed / expected disagreement, for interval data and with gaps.

    Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", the last of its designs: any
    number of observers, any metric, missing data. Images with one rating pair with nothing and are
    left out. The squared differences of all pairs of m values are 2 (m sum x^2 - (sum x)^2).

    Args:
        ratings: (R, N).

    Returns:
        At most 1; NaN where no image has two ratings or all ratings are equal.
    """
    paired = ratings[:, np.isfinite(ratings).sum(axis=0) > 1]
    count, _, squares = _moments(paired)
    values = paired[np.isfinite(paired)]
    n = len(values)
    spread = float(((values - values.mean()) ** 2).sum()) if n else 0.0
    if spread <= 1e-12:
        return float("nan")
    observed = float((2 * count * squares / (count - 1)).sum()) / n
    expected = 2 * n * spread / (n * (n - 1))
    return 1.0 - observed / expected


def intraclass(ratings: FloatArray) -> tuple[float, float]:
    """ICC(2,1) and ICC(2,k): two-way random effects, agreement, of one rater and of the mean.

    Shrout and Fleiss 1979, "Intraclass Correlations: Uses in Assessing Rater Reliability". It is
    defined for designs without gaps.

    Args:
        ratings: (R, N).

    Returns:
        Both, or NaN where a rating is missing or there are fewer than two raters or images.
    """
    raters, images = ratings.shape
    undefined = float("nan"), float("nan")
    if raters < 2 or images < 2 or not np.isfinite(ratings).all():
        return undefined
    grand = ratings.mean()
    of_images, of_raters = ratings.mean(axis=0), ratings.mean(axis=1)
    between_images = raters * float(((of_images - grand) ** 2).sum()) / (images - 1)
    between_raters = images * float(((of_raters - grand) ** 2).sum()) / (raters - 1)
    left = ratings - of_images - of_raters[:, None] + grand
    error = float((left**2).sum()) / ((images - 1) * (raters - 1))
    signal = between_images - error
    single = between_images + (raters - 1) * error + raters * (between_raters - error) / images
    mean = between_images + (between_raters - error) / images
    if single <= 1e-12 or mean <= 1e-12:
        return undefined
    return signal / single, signal / mean


def _moments(ratings: FloatArray) -> tuple[IntArray, FloatArray, FloatArray]:
    """Count, mean and summed squared deviation of each column, over what is not NaN."""
    rated = np.isfinite(ratings)
    count = rated.sum(axis=0).astype(np.int64)
    mean = np.full(ratings.shape[1], np.nan)
    np.divide(np.nansum(ratings, axis=0), count, out=mean, where=count > 0)
    squares: FloatArray = np.where(rated, (ratings - mean) ** 2, 0.0).sum(axis=0)
    return count, mean, squares


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None
