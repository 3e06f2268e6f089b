"""From the numbers of another system to the evidence that a store keeps, as arrays."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from annotate.importing.column_map import Values
from schemas.points import LOGPROB_RANGE

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

LN_ZERO = LOGPROB_RANGE[0]
"""Stands for ln 0, which no float32 column holds; its exponential is 0 again."""

ROUNDED = 0.005
"""How far a probability written with two decimals may lie from what it was."""


class Misfit(NamedTuple):
    """Rows whose numbers cannot be what they are said to be."""

    rows: BoolArray
    """(N,), True where that is so."""
    text: str
    """What is wrong with them."""


def log_probs(numbers: FloatArray, values: Values) -> tuple[FloatArray, list[Misfit]]:
    """Log-probabilities from logits, log-probabilities or probabilities.

    Logits are brought to ln p_k = z_k - ln sum_j exp(z_j) over the K that are given, so that
    their probabilities add up to 1: what else the system might have answered is not known. The
    other two are kept as they are, and so is the probability that they leave to other answers.

    Args:
        numbers: (N, K); NaN where a number is missing, which is for others to refuse.
        values: what they are.

    Returns:
        (N, K), in nats, at least LN_ZERO; and the rows that are wrong.

    Source:
        Softmax over the level words alone: Wu et al. 2023, Q-Bench, arXiv:2309.14181 (good and
        poor); Q-Align, arXiv:2312.17090 (five levels).
    """
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        match values:
            case Values.LOGITS:
                # The largest is subtracted first: equal differences give equal answers, and ties
                # of a coarse number format stay ties.
                logs = numbers - numbers.max(axis=1, keepdims=True)
                logs = logs - np.log(np.exp(logs).sum(axis=1, keepdims=True))
                misfits = [
                    Misfit(_any(np.isneginf(numbers)), "has a logit that is infinite"),
                    Misfit(
                        _any(logs < LN_ZERO),
                        f"has logits more than {-LN_ZERO:g} apart",
                    ),
                ]
            case Values.LOGPROBS:
                logs = np.where(np.isneginf(numbers), LN_ZERO, numbers)
                misfits = [
                    Misfit(
                        _any(numbers > LOGPROB_RANGE[1]),
                        "has a log-probability above 0; if these are logits, say --values logits",
                    ),
                    Misfit(
                        _any((numbers < LN_ZERO) & np.isfinite(numbers)),
                        f"has a log-probability below {LN_ZERO:g}",
                    ),
                    *_sums(np.exp(numbers)),
                ]
            case Values.PROBS:
                logs = np.where(numbers == 0, LN_ZERO, np.log(numbers))
                misfits = [
                    Misfit(
                        _any((numbers < 0) | (numbers > 1)),
                        "has a probability outside 0 to 1",
                    ),
                    *_sums(numbers),
                ]
    return logs, misfits


def unit_scores(scores: FloatArray, scale: tuple[float, float]) -> tuple[FloatArray, Misfit]:
    """Scores on a scale brought to [0, 1]: y = (s - worst) / (best - worst).

    Args:
        scores: (N,), on the scale.
        scale: worst and best value; the worst is the greater one where lower is better.
    """
    worst, best = scale
    units = (scores - worst) / (best - worst)
    return units, outside(units, f"has a score outside the scale {worst:g} to {best:g}")


def outside(numbers: FloatArray, text: str) -> Misfit:
    """The rows whose number is not in [0, 1]."""
    with np.errstate(invalid="ignore"):
        return Misfit((numbers < 0) | (numbers > 1), text)


def _any(items: BoolArray) -> BoolArray:
    return np.asarray(items.any(axis=1))


def _sums(probs: FloatArray) -> list[Misfit]:
    total = probs.sum(axis=1)
    return [
        Misfit(
            total > 1 + ROUNDED * probs.shape[1], "has probabilities that add up to more than 1"
        ),
        Misfit(total == 0, "gives no probability to any of the labels"),
    ]
