"""What a question about something else makes two models say, and how far level words went with it.

A model that was tuned to speak of quality in ordinary words may use them of everything else: the
weather is "good" because the picture is sharp. Score tokens of their own should leave them alone.
"""

from typing import NamedTuple

import numpy as np

from annotate.errors.level_scale import FloatArray
from data_store.agreement.correlations import srcc
from schemas.scale import LEVEL_WORDS, entropy, level_probs, logit_expectation

LEVELS = len(LEVEL_WORDS)


class Heard(NamedTuple):
    """What one model says to one question about N images, NaN where there is no answer."""

    logprobs: FloatArray
    """(N, 5 + A) over the whole vocabulary: the level words, worst first, then the A answers of
    the question's own."""
    score_mass: FloatArray
    """(N,) probability of all score tokens together; 0 for a model without such tokens."""


class Said(NamedTuple):
    """The same in means over images."""

    level_mass: float
    """Probability of the five level words together."""
    answer_mass: float
    """Probability of the question's own answers together; NaN where it has none."""
    score_mass: float
    """Probability of the score tokens together."""
    rest: float
    """Probability of everything else."""
    follows_quality: float
    """SRCC of the mean level said here with the mean level said of quality, over the images."""


class Confusion(NamedTuple):
    """One question, asked of a model before and after tuning."""

    question: str
    n: int
    before: Said
    after: Said
    kl: float
    """Mean of KL(before || after) of the level distributions, in nats."""
    total_variation: float
    """Mean of half the sum of |before - after| of the level distributions, in [0, 1]."""

    @property
    def answers_lost(self) -> float:
        """How much probability the question's own answers lost."""
        return self.before.answer_mass - self.after.answer_mass


def confusion(
    question: str, before: Heard, after: Heard, quality: tuple[FloatArray, FloatArray]
) -> Confusion:
    """Compare what two models say to a question about the same images.

    Args:
        question: its name.
        before: of the one model.
        after: of the other.
        quality: (N, 5) of each model, what it says of the images' quality.

    Returns:
        The means over images that both answered; NaN where there is none.

    Source:
        Semantic confusion of level tokens: Tang et al. 2025 (Q-Scorer), arXiv 2511.07812, shown
        there on how text-to-image alignment is judged. How to measure it is ours.
    """
    rows = (before.logprobs, after.logprobs, *quality)
    known = np.all([np.isfinite(one).all(axis=1) for one in rows], axis=0)
    first, second = (Heard(one.logprobs[known], one.score_mass[known]) for one in (before, after))
    p, q = (level_probs(one.logprobs[:, :LEVELS]) for one in (first, second))
    return Confusion(
        question,
        int(known.sum()),
        _said(first, quality[0][known]),
        _said(second, quality[1][known]),
        kl=_mean(_cross_entropy(p, second.logprobs[:, :LEVELS]) - entropy(p)),
        total_variation=_mean(np.abs(p - q).sum(axis=1) / 2),
    )


def _said(heard: Heard, quality: FloatArray) -> Said:
    words = heard.logprobs[:, :LEVELS]
    levels = np.exp(words).sum(axis=1)
    answers = np.exp(heard.logprobs[:, LEVELS:]).sum(axis=1)
    has_answers = heard.logprobs.shape[1] > LEVELS
    return Said(
        _mean(levels),
        _mean(answers) if has_answers else float("nan"),
        _mean(heard.score_mass),
        _mean(1.0 - levels - answers - heard.score_mass),
        srcc(logit_expectation(words), logit_expectation(quality)),
    )


def _cross_entropy(p: FloatArray, logprobs: FloatArray) -> FloatArray:
    """-sum_k p_k ln q_k, q from log-probabilities, so that a tiny q_k does not become zero."""
    top = logprobs.max(axis=1, keepdims=True)
    log_q = logprobs - top - np.log(np.exp(logprobs - top).sum(axis=1, keepdims=True))
    return np.asarray(-(p * log_q).sum(axis=1), dtype=np.float64)


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if len(values) else float("nan")
