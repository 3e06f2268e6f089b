"""The temperature that puts the teacher's scores and its preferences on one scale.

A pair loss with another temperature than the teacher's own would pull the student's score
gaps apart from the teacher's scores, and the two losses would fight.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

FALLBACK_TEMPERATURE = 0.1
"""Used where the teacher's scores say nothing about its preferences, score units."""

TEMPERATURE_RANGE = (0.1, 1.0)
"""A fit beyond is held here, score units.

A teacher that hardly contradicts itself has a temperature near 0, but a student errs more than
that, and the pair loss would answer by pressing all scores together: with 0.011 on simulated
evidence the point loss stood still, with 0.1 both fell (docs/experiments.md).
"""


def fit_pair_temperature(score_gap: NDArray[np.float64], sign: NDArray[np.float64]) -> float:
    """Fit tau so that the teacher's score gaps explain its preferences best.

    argmax_tau  sum_ij  log sigmoid(o_ij (y_i - y_j) / tau)

    Args:
        score_gap: (P,) y_i - y_j of the teacher, in [-1, 1].
        sign: (P,) o_ij, 1 where the teacher prefers i, -1 where j, 0 where neither.

    Returns:
        tau in `TEMPERATURE_RANGE`, score units; `FALLBACK_TEMPERATURE` where there is no
        preference, or where preferences go against the scores.
    """
    agreed = (score_gap * sign)[sign != 0]
    # The slope of the likelihood at 1/tau = 0 is the mean of these: no better than chance.
    if not len(agreed) or agreed.mean() <= 0:
        return FALLBACK_TEMPERATURE
    fit = optimize.minimize_scalar(
        lambda log_tau: -special.log_expit(agreed / np.exp(log_tau)).mean(),
        bounds=tuple(np.log(TEMPERATURE_RANGE)),
        method="bounded",
    )
    return float(np.exp(fit.x))
