"""A ridge regression of opinions on features, its penalty chosen by exact leave-one-out errors.

In the principal directions of the features everything needed for all penalties is one product,
so a hundred thousand states of thousands of numbers take one decomposition. A test compares it
with scikit-learn's RidgeCV.
"""

from typing import NamedTuple

import numpy as np

from annotate.readouts.features import standard, turned
from annotate.readouts.readout import FloatArray, Layer

STRENGTHS = np.logspace(-7, 5, 49)
"""Penalties that are tried, as multiples of the number of images. The greatest leaves the mean."""


class FittedRidge(NamedTuple):
    """Numbers of a readout, and how they were come by."""

    mean: FloatArray
    deviation: FloatArray
    layers: tuple[Layer, ...]
    strength: float
    loo_rmse: float
    """Root of the mean square leave-one-out error, MOS in [0, 1]."""


def fit_ridge(features: FloatArray, mos: FloatArray) -> FittedRidge:
    """Least squares with a penalty on the slopes of standardised features.

    min over b, w of  sum_r (m_r - b - w . z_r)^2 + strength R |w|^2

    z is standardised, b is free. The strength is that of the least leave-one-out error, where the
    error of image r without it is (m_r - fit_r) / (1 - H_rr), H the matrix that makes the fit from
    the opinions.

    Args:
        features: (R, F), R at least 3; what does not vary is without effect.
        mos: (R,).

    Source:
        Hoerl and Kennard 1970, Ridge Regression; leave-one-out as in Allen's PRESS 1974. On frozen
        features of images with few labels: ARNIQA, arXiv:2310.14918.
    """
    scaling = standard(features)
    data = turned(scaling.of(features))
    count, level = len(mos), float(mos.mean())
    pull = data.values.T @ (mos - level)  # (V,)
    leverage = data.values**2
    errors = []
    for strength in STRENGTHS:
        shrunk = 1.0 / (data.squares + strength * count)
        left = mos - level - data.values @ (shrunk * pull)
        freedom = 1.0 - 1.0 / count - leverage @ shrunk  # the mean takes its share
        errors.append(float(((left / np.maximum(freedom, 1e-9)) ** 2).mean()))
    best = int(np.argmin(errors))
    slopes = pull / (data.squares + STRENGTHS[best] * count)
    layers = data.back((Layer(slopes[np.newaxis], np.array([level])),))
    return FittedRidge(
        scaling.mean,
        scaling.deviation,
        layers,
        float(STRENGTHS[best]),
        float(np.sqrt(errors[best])),
    )
