"""How well scores agree with opinions: ranks, correlations, errors, bias.

No correlation is ever made positive by taking its absolute value: a student that ranks
backwards shows a negative number. What is undefined (a constant has no correlation) is NaN.
"""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from data_store.agreement.correlations import is_constant, plcc, srcc
from train.evaluation.logistic import fit_rising_curve

FloatArray = NDArray[np.float64]

__all__ = [
    "Agreement",
    "agreement",
    "fitted_plcc",
    "krcc",
    "pair_accuracy",
    "plcc",
    "srcc",
    "unfitted_measures",
]


class Agreement(NamedTuple):
    """Agreement of N scores with N opinions, both on the [0, 1] scale of quality."""

    srcc: float
    krcc: float
    plcc: float
    plcc_fitted: float
    fit_converged: bool
    plcc_fitted5: float
    fit5_converged: bool
    pair_accuracy: float
    rmse: float
    mae: float
    bias: float
    n: int


def agreement(scores: FloatArray, mos: FloatArray) -> Agreement:
    """All measures at once.

    Args:
        scores: (N,) finite.
        mos: (N,) finite, same unit.

    Returns:
        The measures; `rmse`, `mae` and `bias` = mean(score - mos) are in that unit.
    """
    plcc_fitted, fit_converged = fitted_plcc(scores, mos)
    plcc_fitted5, fit5_converged = fitted_plcc(scores, mos, parameters=5)
    return Agreement(
        **unfitted_measures(scores, mos),
        plcc_fitted=plcc_fitted,
        fit_converged=fit_converged,
        plcc_fitted5=plcc_fitted5,
        fit5_converged=fit5_converged,
        n=len(scores),
    )


def unfitted_measures(scores: FloatArray, mos: FloatArray) -> dict[str, float]:
    """The measures of `agreement` that need no curve, by name."""
    error = scores - mos
    return {
        "srcc": srcc(scores, mos),
        "krcc": krcc(scores, mos),
        "plcc": plcc(scores, mos),
        "pair_accuracy": pair_accuracy(scores, mos),
        "rmse": _mean(error**2) ** 0.5,
        "mae": _mean(np.fabs(error)),
        "bias": _mean(error),
    }


def krcc(scores: FloatArray, mos: FloatArray) -> float:
    """Kendall's tau-b; NaN for fewer than two or constant values."""
    if len(scores) < 2 or is_constant(scores) or is_constant(mos):
        return float("nan")
    return float(stats.kendalltau(scores, mos).statistic)


def pair_accuracy(scores: FloatArray, mos: FloatArray) -> float:
    """Share of the pairs of different opinion whose better image has the greater score.

    Equal scores count as half right: a coin would decide. 0.5 is chance; NaN where all opinions
    are equal.

    From tau-b: the right pairs less the wrong ones are tau-b times the geometric mean of the
    numbers of pairs of different score and of different opinion.
    """
    different = _unequal_pairs(mos)
    if different == 0:
        return float("nan")
    tau = krcc(scores, mos)
    if np.isnan(tau):  # the scores are constant
        return 0.5
    return 0.5 + tau * float(np.sqrt(_unequal_pairs(scores) / different)) / 2


def _unequal_pairs(values: FloatArray) -> float:
    counts = np.unique(values, return_counts=True)[1].astype(np.float64)
    return float((counts.sum() ** 2 - (counts**2).sum()) / 2)


def fitted_plcc(
    scores: FloatArray, mos: FloatArray, *, parameters: Literal[4, 5] = 4
) -> tuple[float, bool]:
    """PLCC after a rising logistic curve, fitted on the very opinions it is judged by.

    Args:
        scores: (N,) x.
        mos: (N,).
        parameters: 4, or 5 for the curve with a linear term.

    Returns:
        The correlation of q(x) with `mos`, and True; or, where the fit fails
        (`logistic.fit_rising_curve`), the raw PLCC and False.
    """
    linear = plcc(scores, mos)
    curve = None if np.isnan(linear) else fit_rising_curve(scores, mos, parameters=parameters)
    fitted = float("nan") if curve is None else plcc(curve(scores), mos)
    if np.isnan(fitted) or fitted < linear - 1e-3:
        return linear, False
    return fitted, True


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if len(values) else float("nan")
