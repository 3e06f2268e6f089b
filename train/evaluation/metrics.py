"""How well scores agree with opinions: ranks, correlations, errors, bias.

No correlation is ever made positive by taking its absolute value: a student that ranks
backwards shows a negative number. What is undefined (a constant has no correlation) is NaN.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

FloatArray = NDArray[np.float64]


class Agreement(NamedTuple):
    """Agreement of N scores with N opinions, both on the [0, 1] scale of quality."""

    srcc: float
    krcc: float
    plcc: float
    plcc_fitted: float
    fit_converged: bool
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
    error = scores - mos
    plcc_fitted, fit_converged = fitted_plcc(scores, mos)
    return Agreement(
        srcc=srcc(scores, mos),
        krcc=krcc(scores, mos),
        plcc=plcc(scores, mos),
        plcc_fitted=plcc_fitted,
        fit_converged=fit_converged,
        rmse=_mean(error**2) ** 0.5,
        mae=_mean(np.fabs(error)),
        bias=_mean(error),
        n=len(scores),
    )


def plcc(scores: FloatArray, mos: FloatArray) -> float:
    """Pearson's linear correlation of raw scores; NaN for fewer than two or constant values."""
    if len(scores) < 2 or _constant(scores) or _constant(mos):
        return float("nan")
    scores, mos = scores - scores.mean(), mos - mos.mean()
    cosine = (scores / np.linalg.norm(scores)) @ (mos / np.linalg.norm(mos))
    return float(np.clip(cosine, -1.0, 1.0))


def srcc(scores: FloatArray, mos: FloatArray) -> float:
    """Spearman's rank correlation: Pearson's of the ranks, ties sharing their mean rank."""
    return plcc(stats.rankdata(scores), stats.rankdata(mos))


def krcc(scores: FloatArray, mos: FloatArray) -> float:
    """Kendall's tau-b; NaN for fewer than two or constant values."""
    if len(scores) < 2 or _constant(scores) or _constant(mos):
        return float("nan")
    return float(stats.kendalltau(scores, mos).statistic)


def fitted_plcc(scores: FloatArray, mos: FloatArray) -> tuple[float, bool]:
    """PLCC after a rising 4-parameter logistic, fitted on the very opinions it is judged by.

    q(x) = b2 + (b1 - b2) / (1 + exp(-(x - b3) / b4)),   b1 >= b2,  b4 > 0

    Held to rise: a falling curve would turn a backward ranking into a good figure.

    Args:
        scores: (N,) x.
        mos: (N,).

    Returns:
        The correlation of q(x) with `mos`, and True; or, where the fit fails (fewer than five
        values, no convergence, worse than a straight line), the raw PLCC and False.

    Source:
        The convention of the VQEG tests in its 4-parameter form, as in IQA-PyTorch, which has
        |b4| in place of b4 > 0.
    """
    linear = plcc(scores, mos)
    if len(scores) < 5 or np.isnan(linear):
        return linear, False
    standard = (scores - scores.mean()) / scores.std()
    best = _best_fit(standard, mos)
    fitted = float("nan") if best is None else plcc(_logistic(best, standard), mos)
    # A straight line is nearly in the family, so a fit below it stopped short of its optimum.
    if np.isnan(fitted) or fitted < linear - 1e-3:
        return linear, False
    return fitted, True


def _best_fit(standard: FloatArray, mos: FloatArray) -> FloatArray | None:
    fits = [
        optimize.least_squares(
            lambda b: _logistic(b, standard) - mos,
            x0=[mos.min(), max(np.ptp(mos), 1e-6), centre, width],
            bounds=([-np.inf, 0.0, -np.inf, 1e-3], np.inf),
            max_nfev=500,
        )
        for centre, width in ((0.0, 0.25), (0.0, 1.0), (1.0, 0.5))
    ]
    converged = [fit for fit in fits if fit.success and np.isfinite(fit.cost)]
    return min(converged, key=lambda fit: fit.cost).x if converged else None


def _logistic(parameters: FloatArray, standard: FloatArray) -> FloatArray:
    low, span, centre, width = parameters
    curve: FloatArray = low + span * special.expit((standard - centre) / width)
    return curve


def _constant(values: FloatArray) -> bool:
    # A spread at the level of rounding is no spread: its correlation would be noise.
    return bool(np.ptp(values) <= 1e-12 * max(1.0, float(np.fabs(values).max())))


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if len(values) else float("nan")
