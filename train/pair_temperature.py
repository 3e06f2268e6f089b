"""The temperature that puts the teacher's scores and its preferences on one scale.

A pair loss with another temperature than the teacher's own would pull the student's score
gaps apart from the teacher's scores, and the two losses would fight.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit

FALLBACK_TEMPERATURE = 0.1
"""Used where the teacher's scores say nothing about its preferences, score units."""

TEMPERATURE_RANGE = (0.1, 1.0)
"""A fit beyond is held here, score units.

A teacher that hardly contradicts itself has a temperature near 0, but a student errs more than
that, and the pair loss would answer by pressing all scores together: with 0.011 on simulated
evidence the point loss stood still, with 0.1 both fell (docs/experiments.md).
"""


def fit_pair_temperature(
    score_gap: NDArray[np.float64], preference_prob: NDArray[np.float64]
) -> float:
    """Fit tau so that the teacher's score gaps explain its preferences best.

    argmax_tau  sum_ij  p_ij ln s_ij + (1 - p_ij) ln(1 - s_ij),   s_ij = sigmoid((y_i - y_j) / tau)

    Args:
        score_gap: (P,) y_i - y_j of the teacher, in [-1, 1].
        preference_prob: (P,) p_ij, the teacher's probability that i is better: 0 or 1 for a
            loss on who is preferred, as METHOD has it, itself for a loss on how surely.

    Returns:
        tau in `TEMPERATURE_RANGE`, score units; `FALLBACK_TEMPERATURE` where there is no
        preference, or where preferences go against the scores.
    """
    if (score_gap * (preference_prob - 0.5)).sum() <= 0:
        return FALLBACK_TEMPERATURE
    return most_likely_temperature(
        np.concatenate([score_gap, -score_gap]),
        weight=np.concatenate([preference_prob, 1.0 - preference_prob]),
        between=TEMPERATURE_RANGE,
    )


def most_likely_temperature(
    logits: NDArray[np.float64], *, weight: NDArray[np.float64], between: tuple[float, float]
) -> float:
    """The divisor with which logits explain best that what they speak for came true.

    argmax_T  sum_n  w_n ln sigmoid(x_n / T)

    Args:
        logits: (M,) x, for what came true: negative where they spoke against it.
        weight: (M,) w, at least 0.
        between: least and greatest T, above 0; one of them where the maximum lies beyond.
    """

    def slope(inverse: float) -> float:
        """Of the likelihood in 1/T; it falls, because the likelihood is concave in 1/T."""
        return float(weight @ (logits * expit(-inverse * logits)))

    least, greatest = between
    if slope(1.0 / greatest) <= 0:
        return greatest
    if slope(1.0 / least) >= 0:
        return least
    return 1.0 / float(brentq(slope, 1.0 / greatest, 1.0 / least))
