"""The five-level rating scale, and what follows from a teacher's answers on it.

The views compute the same in SQL (`data_store/views.sql`); tests hold the two together.
"""

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
        level_logprobs: (N, K), natural logarithms; a constant added to a row changes nothing.

    Returns:
        (N, K), rows sum to 1.

    Source:
        Closed-set softmax over level words: Wu et al. 2023, Q-Align, arXiv:2312.17090.
    """
    shifted = level_logprobs - level_logprobs.max(axis=-1, keepdims=True)
    weights = np.exp(shifted)
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True), dtype=np.float64)


def logit_expectation(level_logprobs: FloatArray) -> FloatArray:
    """Mean level under the closed-set softmax, s = sum_k v_k p_k.

    Args:
        level_logprobs: (N, K), natural logarithms, worst level first.

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
    return np.asarray(1.0 / (1.0 + np.exp(-0.5 * (z_ab + z_ba))), dtype=np.float64)
