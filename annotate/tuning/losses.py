"""The terms that a tuning goes down: what token is said, what score is read, and in what order.

All take float32 tensors of one batch and return a scalar. No score is clamped: a clamp has no
gradient outside the scale, where it is needed most.
"""

import math

import torch
import torch.nn.functional as F  # noqa: N812 (the name PyTorch documents)
from torch import Tensor

SCORE_DEVIATION = 0.25
"""Deviation of each score in the fidelity's model of a preference; 1 on the scale from 1 to 5."""
FIDELITY_FLOOR = 1e-8
"""Added below both roots of the fidelity, whose slope would be infinite at 0."""
LENGTH_FLOOR = 1e-6
"""Least length that centred scores are divided by."""


def token_loss(logits: Tensor, tokens: Tensor) -> Tensor:
    """Cross entropy of the score token at the answer position, mean over the batch.

    Args:
        logits: (B, V) over the vocabulary.
        tokens: (B,) id of the token that is right.

    Source:
        Q-Scorer, arXiv:2511.07812, L_ce.
    """
    return F.cross_entropy(logits, tokens)


def score_loss(score: Tensor, mos: Tensor) -> Tensor:
    """Mean square error, mean_b (s_b - m_b)^2, of (B,) scores and MOS in [0, 1].

    Source:
        Q-Scorer, arXiv:2511.07812, L_score; its released code clamps the score, we do not.
    """
    return F.mse_loss(score, mos)


def soft_label_loss(score_logits: Tensor, mos: Tensor) -> Tensor:
    """Divergence of the distribution over the score tokens from a soft label of the MOS.

    mean_b  sum_k q_bk ln(q_bk / p_bk),   p_b = softmax of the K score tokens' logits

    Args:
        score_logits: (B, K).
        mos: (B,) in [0, 1].

    Source:
        DeQA-Score's divergence from soft labels, with its interpolation between two levels
        (`soft_labels`) for every image, because few data sets publish deviations.
    """
    labels = soft_labels(mos, score_logits.shape[-1])
    entropy: Tensor = torch.special.xlogy(labels, labels)
    divergence = entropy - labels * torch.log_softmax(score_logits, dim=-1)
    return divergence.sum(dim=-1).mean()


def soft_labels(mos: Tensor, count: int) -> Tensor:
    """A distribution over K parts of [0, 1] whose mean, by the parts' middles, is the MOS.

    It lies on the two parts with the nearest middles; beyond the outer middles on the outer part
    alone, where the mean is off by at most 1 / 2K.

    Args:
        mos: (B,) in [0, 1].
        count: K.

    Returns:
        (B, K), rows sum to 1, worst first.
    """
    place = (mos * count - 0.5).clamp(0.0, count - 1.0)
    distance = (place[:, None] - torch.arange(count, device=mos.device)).abs()
    return (1.0 - distance).clamp(min=0.0)


def fidelity_loss(score: Tensor, mos: Tensor) -> Tensor:
    """One minus the fidelity of the order of all pairs in the batch; 0 where all MOS are equal.

    mean_ij (1 - sqrt(p g + e) - sqrt((1 - p)(1 - g) + e)),   g = 1 where m_i > m_j, else 0,
    p = Phi((s_i - s_j) / (sqrt(2) sigma)),   sigma = `SCORE_DEVIATION`,   e = `FIDELITY_FLOOR`

    Args:
        score: (B,).
        mos: (B,) in [0, 1]; pairs of equal MOS are left out.

    Source:
        Tsai et al. 2007, FRank; within a batch as in LIQE (Zhang et al. 2023, arXiv:2303.14968),
        with the fixed deviation of DeQA-Score.
    """
    first, second = torch.triu_indices(len(mos), len(mos), offset=1, device=mos.device)
    sign = torch.sign(mos[first] - mos[second])
    counted = sign != 0
    if not counted.any():
        return score.sum() * 0.0
    gap = sign[counted] * (score[first] - score[second])[counted]
    # With the better image first g is 1, and the second root is that of e alone.
    agreement = torch.special.ndtr(gap / (math.sqrt(2.0) * SCORE_DEVIATION))
    lost: Tensor = 1.0 - (agreement + FIDELITY_FLOOR).sqrt()
    return lost.mean() - math.sqrt(FIDELITY_FLOOR)


def norm_in_norm_loss(score: Tensor, mos: Tensor) -> Tensor:
    """Mean distance of scores and MOS that are centred and of length 1, at most 1.

    sum_b |s~_b - m~_b| / (2 sqrt(B)),   y~ = (y - mean y) / ||y - mean y||_2

    It sees no scale and no offset: alone it makes scores linear in MOS and nothing more.

    Args:
        score: (B,).
        mos: (B,) in [0, 1].

    Source:
        Li et al. 2020, Norm-in-Norm Loss, arXiv:2008.03889, with p = 1 and q = 2 as in its
        released command.
    """
    difference = _centred_unit(score) - _centred_unit(mos)
    return difference.abs().sum() / (2.0 * math.sqrt(len(mos)))


def _centred_unit(values: Tensor) -> Tensor:
    centred = values - values.mean()
    return centred / centred.square().sum().add(LENGTH_FLOOR**2).sqrt()
