"""How far a person's opinion may lie from a score: one half width for all scores."""

import math

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def half_width(residuals: FloatArray, *, coverage: float) -> float | None:
    """Half width h of the interval score +- h that is to hold a share of future opinions.

    The k-th smallest of the n absolute errors of predictions for images that had no part in
    them, k = ceil((n + 1) coverage).

    Where one fixed predictor made all n errors, the interval holds at least that share of
    opinions on average, whatever their distribution, as long as the future images are drawn
    like the n. Here each error is of a predictor fitted without its fold, and the score to come
    is of the one fitted to all: the guarantee then is weaker (1 - 2 (1 - coverage), and only
    for intervals that follow every fold's predictor), while in practice the share is about the
    one wanted; choosing the rung by the same errors makes them a little too small.

    Args:
        residuals: (n,) out-of-fold errors.
        coverage: share in (0, 1).

    Returns:
        None where n is too small: k would be more than n.

    Source:
        Split conformal prediction: Vovk, Gammerman and Shafer 2005; Lei et al., JASA 113, 2018.
        Errors out of folds: Barber, Candes, Ramdas and Tibshirani, "Predictive inference with
        the jackknife+", Annals of Statistics 49, 2021.
    """
    count = len(residuals)
    rank = math.ceil((count + 1) * coverage - 1e-9)
    if rank > count:
        return None
    return float(np.sort(np.fabs(residuals))[rank - 1])
