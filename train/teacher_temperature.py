"""How far a teacher's stated preferences can be believed, told from the teacher alone.

Each pair was asked twice, with the images in either order, and nothing but the position changed.
A teacher that says .9 and is right about itself prefers the same image nine times of ten when it
is asked the other way round. If it does so less often, its logits are too large by a factor: its
temperature.

That is all that can be known without labels. What a teacher gets wrong both times alike does not
show, so the temperature can only take certainty away: one that never contradicts itself is taken
at its word, and is not made surer than it says. Neither does it know people's opinions: see the
reliability table of the evaluation for that.
"""

import numpy as np
from numpy.typing import NDArray

from train.pair_temperature import most_likely_temperature

TEMPERATURE_RANGE = (1.0, 20.0)
"""A fit beyond is held here. No unit."""

MIN_PAIRS = 20
"""With fewer pairs asked in both orders nothing is fitted."""

LARGEST_LOGIT = 40.0
"""Surer answers count as this sure, beyond which a probability in double precision is 1."""


def fit_teacher_temperature(logit_ab: NDArray[np.float64], logit_ba: NDArray[np.float64]) -> float:
    """Fit T so that each order's logit explains best what the teacher answered in the other.

    argmax_T  sum_ij  ln sigmoid(sign(u_ba) u_ab / T) + ln sigmoid(sign(u_ab) u_ba / T)
    u_ab = z_ab - b,   u_ba = z_ba + b,   b = mean_ij (z_ab - z_ba) / 2

    A mean liking for the first place cancels in the preference, so it is taken off first; a
    liking that changes from pair to pair is a contradiction and counts.

    Args:
        logit_ab: (P,) z_ab, logit for a where a was shown first; NaN where not asked.
        logit_ba: (P,) z_ba, logit for a where b was shown first; NaN where not asked.

    Returns:
        T in `TEMPERATURE_RANGE`, by which logits are to be divided. 1 where fewer than
        `MIN_PAIRS` were asked in both orders. The highest where the orders agree no more often
        than by chance.

    Source:
        Temperature scaling (Guo et al. 2017, arXiv:1706.04599), with the teacher's other answer
        in the place of the label, which is our choice.
    """
    asked_twice = ~(np.isnan(logit_ab) | np.isnan(logit_ba))
    if asked_twice.sum() < MIN_PAIRS:
        return TEMPERATURE_RANGE[0]
    ab, ba = (
        np.clip(logits[asked_twice], -LARGEST_LOGIT, LARGEST_LOGIT)
        for logits in (logit_ab, logit_ba)
    )
    bias = np.mean(ab - ba) / 2
    ab, ba = ab - bias, ba + bias
    agreed = np.concatenate([np.sign(ba) * ab, np.sign(ab) * ba])
    return most_likely_temperature(agreed, weight=np.ones(len(agreed)), between=TEMPERATURE_RANGE)
