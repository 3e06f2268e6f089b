"""Which raters does the screening of Recommendation ITU-R BT.500 reject?

BT.500, "Methodologies for the subjective assessment of the quality of television images", on the
screening of observers. Of each image the kurtosis of its ratings says whether they are taken for
normal; a rating is far from the others beyond 2 standard deviations of a normal image and beyond
the root of 20 of any other. A rater is rejected who is far off often, and about as often above as
below: somebody erratic, not somebody who is strict or lenient throughout.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from data_store.mos.rater_agreement import FloatArray, IntArray, opinion

BoolArray = NDArray[np.bool_]

NORMAL_KURTOSIS = (2.0, 4.0)
NORMAL_BOUND, OTHER_BOUND = 2.0, 20.0**0.5
"""In standard deviations of the image's ratings."""

MOST_FAR = 0.05
"""Share of a rater's ratings that may lie far off."""

LEAST_BIAS = 0.3
"""|above - below| / (above + below), from which a rater is taken for biased, not for erratic."""


class Screening(NamedTuple):
    """What the rule says of R raters."""

    above: IntArray  # (R,) the rule's P: images on which the rater is far above the others
    below: IntArray  # (R,) its Q
    share: FloatArray  # (R,) (P + Q) / images the rater rated; 0 for a rater without ratings
    bias: FloatArray  # (R,) |P - Q| / (P + Q); NaN where both are 0
    rejected: BoolArray  # (R,)


def screen(ratings: FloatArray) -> Screening:
    """Apply the rule once, as it is meant to be: not again to what it leaves.

    The rule is written for designs in which everybody rates everything. Here each image is judged
    by those who rated it, and P + Q is divided by the number of images that the rater rated, which
    is the rule itself where there are no gaps. An image with equal ratings tells nothing: with a
    deviation of 0 every rating would be far above and far below at once.

    Args:
        ratings: (R, N) on one scale, NaN where there is none.
    """
    mean, std, count = opinion(ratings)
    telling = (count > 1) & (std > 1e-9)
    away = ratings - mean
    bound = np.where(_is_normal(away, telling), NORMAL_BOUND, OTHER_BOUND) * std
    # A rating that lies on the bound counts; rounding must not push it off.
    slack = 1e-9 * np.maximum(1.0, np.abs(mean))
    above = (telling & (away >= bound - slack)).sum(axis=1)
    below = (telling & (away <= -bound + slack)).sum(axis=1)
    far, rated = above + below, np.isfinite(ratings).sum(axis=1)
    share, bias = np.zeros(len(ratings)), np.full(len(ratings), np.nan)
    np.divide(far, rated, out=share, where=rated > 0)
    np.divide(np.abs(above - below), far, out=bias, where=far > 0)
    rejected = (share > MOST_FAR) & (np.nan_to_num(bias, nan=1.0) < LEAST_BIAS)
    return Screening(above.astype(np.int64), below.astype(np.int64), share, bias, rejected)


def _is_normal(away: FloatArray, telling: BoolArray) -> BoolArray:
    """(N,) whether the kurtosis m4 / m2^2 of an image's ratings is between 2 and 4."""
    count = np.maximum(np.isfinite(away).sum(axis=0), 1)
    second = np.nansum(away**2, axis=0) / count
    fourth = np.nansum(away**4, axis=0) / count
    kurtosis = np.zeros(len(second))
    np.divide(fourth, second**2, out=kurtosis, where=telling)
    normal: BoolArray = (kurtosis >= NORMAL_KURTOSIS[0]) & (kurtosis <= NORMAL_KURTOSIS[1])
    return normal
