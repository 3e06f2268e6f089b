"""The five-level rating scale, and what follows from a teacher's answers on it.

The views compute the same in SQL (`data_store/views.sql`); tests hold the two together. A level
that was not offered is NaN among log-probabilities and 0 among probabilities; where fewer than two
were offered nothing follows, and all is NaN.
"""

import math

import numpy as np
import numpy.typing as npt

from schemas.errors import RowRefused

FloatArray = npt.NDArray[np.float64]

LEVEL_WORDS = ("bad", "poor", "fair", "good", "excellent")
"""The level words, worst first: LEAF's five levels, which are ITU-R BT.500's quality scale."""

LEVEL_VALUES = (1.0, 2.0, 3.0, 4.0, 5.0)
"""The number of each level word, in level units."""

LETTERS = ("A", "B")
"""The answers to a pair question: the first image, the second image."""


def level_probs(level_logprobs: FloatArray) -> FloatArray:
    """Probabilities of the levels given that one of them is answered.

    p_k = exp(l_k) / sum_j exp(l_j)

    Args:
        level_logprobs: (N, K), natural logarithms, NaN for a level that was not offered; a
            constant added to a row changes nothing.

    Returns:
        (N, K), rows sum to 1, or are NaN where fewer than two levels were offered.

    Source:
        Closed-set softmax over level words: Wu et al. 2023, Q-Align, arXiv:2312.17090.
    """
    offered = ~np.isnan(level_logprobs)
    logprobs = np.where(offered, level_logprobs, -np.inf)
    enough = offered.sum(axis=-1, keepdims=True) >= 2
    top = np.where(enough, logprobs.max(axis=-1, keepdims=True), np.nan)
    weights = np.exp(logprobs - top)
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True), dtype=np.float64)


def logit_expectation(level_logprobs: FloatArray) -> FloatArray:
    """Mean level under the closed-set softmax, s = sum_k v_k p_k.

    Args:
        level_logprobs: (N, K), natural logarithms, worst level first, NaN where not offered.

    Returns:
        (N,), level units, between 1 and 5.

    Raises:
        RowRefused: the last axis is not K = 5.

    Source:
        LEAF, arXiv:2601.20689, point-wise judgement: expectation over the level tokens.
    """
    if level_logprobs.shape[-1] != len(LEVEL_VALUES):
        raise RowRefused(
            f"{level_logprobs.shape[-1]} level log-probabilities instead of {len(LEVEL_VALUES)}",
            where="column level_logprobs",
            fix=f"give one number for each of {', '.join(LEVEL_WORDS)}",
        )
    return np.asarray(level_probs(level_logprobs) @ np.array(LEVEL_VALUES), dtype=np.float64)


def level_variance(probs: FloatArray) -> FloatArray:
    """Variance of the level, sum_k p_k (v_k - s)^2, in squared level units; probs is (N, K = 5)."""
    values = np.array(LEVEL_VALUES)
    mean = probs @ values
    return np.asarray((probs * (values - mean[:, np.newaxis]) ** 2).sum(axis=-1), dtype=np.float64)


def unit_score(expectation: FloatArray) -> FloatArray:
    """A logit expectation in level units, brought to [0, 1]: y = (s - 1) / 4."""
    low, high = LEVEL_VALUES[0], LEVEL_VALUES[-1]
    return (expectation - low) / (high - low)


def entropy(probs: FloatArray) -> FloatArray:
    """Shannon entropy H = -sum_k p_k ln p_k over the last axis, in nats; 0 ln 0 is 0."""
    safe = np.where(probs > 0, probs, 1.0)
    return np.asarray(-(probs * np.log(safe)).sum(axis=-1), dtype=np.float64)


def confidence(probs: FloatArray) -> FloatArray:
    """Normalised certainty c = 1 - H / ln K in [0, 1], over the last axis of (…, K).

    Source:
        LEAF, arXiv:2601.20689, entropy-based confidence of a preference; the division by
        ln K, which brings it to [0, 1], is ours (docs/methods.md).
    """
    return np.asarray(1.0 - entropy(probs) / np.log(probs.shape[-1]), dtype=np.float64)


def level_confidence(level_logprobs: FloatArray) -> FloatArray:
    """Normalised certainty c = 1 - H / ln n of the n levels that were offered, in [0, 1].

    Args:
        level_logprobs: (N, K), natural logarithms, NaN for a level that was not offered.
    """
    count = (~np.isnan(level_logprobs)).sum(axis=-1)
    safe = np.log(np.maximum(count, 2))
    return np.asarray(1.0 - entropy(level_probs(level_logprobs)) / safe, dtype=np.float64)


def calibrated_logprobs(level_logprobs: FloatArray, blank_logprobs: FloatArray) -> FloatArray:
    """Level log-probabilities less what the teacher says of pictures without content.

    l'_k = l_k - mean_b l_bk, to be renormalised by `level_probs`.

    Args:
        level_logprobs: (N, K), natural logarithms of the answers about images.
        blank_logprobs: (B, K), of the same teacher's answers about blanks to the same prompt.

    Returns:
        (N, K), natural logarithms without a normalisation.

    Source:
        Contextual calibration: Zhao et al. 2021, Calibrate Before Use, arXiv:2102.09690, which
        divides the label probabilities by those of a content-free input.
    """
    return np.asarray(level_logprobs - blank_logprobs.mean(axis=0), dtype=np.float64)


def preference_prob(letters_ab: FloatArray, letters_ba: FloatArray) -> FloatArray:
    """P(a better than b) from both orders; an additive position bias cancels exactly.

    z_ab = l_A - l_B asked as (a, b);  z_ba = l_B - l_A asked as (b, a)
    p = sigmoid((z_ab + z_ba) / 2)

    Args:
        letters_ab: (P, 2), log-probabilities of A and B with a shown first.
        letters_ba: (P, 2), the same with b shown first.

    Returns:
        (P,), in [0, 1].
    """
    z_ab = letters_ab[:, 0] - letters_ab[:, 1]
    z_ba = letters_ba[:, 1] - letters_ba[:, 0]
    return _sigmoid(0.5 * (z_ab + z_ba))


def preference_prob_mean(letters_ab: FloatArray, letters_ba: FloatArray) -> FloatArray:
    """P(a better than b) as the mean of both orders' probabilities.

    p = (sigmoid(z_ab) + sigmoid(z_ba)) / 2, arguments and logits as in `preference_prob`. A
    position bias does not cancel; it moves p towards 0.5, so orders that disagree cost
    confidence.
    """
    z_ab = letters_ab[:, 0] - letters_ab[:, 1]
    z_ba = letters_ba[:, 1] - letters_ba[:, 0]
    return np.asarray((_sigmoid(z_ab) + _sigmoid(z_ba)) / 2, dtype=np.float64)


def implied_prob(difference: FloatArray, variance: FloatArray) -> FloatArray:
    """P(a better than b) that two point-wise answers imply, without a question about the pair.

    p = Phi((s_a - s_b) / sqrt(var_a + var_b)): levels as independent normal variables.

    Args:
        difference: (P,), s_a - s_b, logit expectations in level units.
        variance: (P,), var_a + var_b, squared level units; 0 makes the answer certain.

    Returns:
        (P,), in [0, 1].

    Source:
        Thurstone 1927, A law of comparative judgment (case of independent normal qualities).
    """
    spread = np.sqrt(np.where(variance > 0, variance, 1.0))
    certain = np.where(difference == 0, 0.0, np.copysign(np.inf, difference))
    z = np.where(variance > 0, difference / spread, certain)
    return np.array([0.5 * math.erfc(-one / math.sqrt(2.0)) for one in z], dtype=np.float64)


def _sigmoid(logits: FloatArray) -> FloatArray:
    return np.asarray(1.0 / (1.0 + np.exp(-logits)), dtype=np.float64)
