"""Losses of the student: towards the teacher's scores, its preferences, and people's MOS.

All take and return tensors, in float32 or wider; which are used, and their weights, is for
`distil.py` and `calibrate.py`.
"""

import torch
import torch.nn.functional as F  # noqa: N812 (the name PyTorch documents)
from torch import Tensor

VARIANCE_FLOOR = 1e-8
"""Added to both variances of a correlation, so that a constant batch has a finite gradient."""


def point_loss(student_score: Tensor, teacher_score: Tensor, *, beta: float) -> Tensor:
    """Smooth L1: quadratic within `beta` of the teacher's score, linear beyond.

    mean_i  d_i^2 / (2 beta)  where d_i = |f_i - y_i| < beta, else  d_i - beta / 2

    Args:
        student_score: (B,) f.
        teacher_score: (B,) y, in [0, 1]; NaN where the teacher gave none, left out of the mean.
        beta: width of the quadratic part, score units, above 0.

    Returns:
        Scalar; 0 with a zero gradient where the teacher scored no image of the batch.
    """
    known = ~torch.isnan(teacher_score)
    target = torch.where(known, teacher_score, student_score.detach())
    loss = F.smooth_l1_loss(student_score, target, beta=beta, reduction="sum")
    return loss / known.sum().clamp(min=1)


def ranking_loss(
    score_gap: Tensor, preference_prob: Tensor, confidence: Tensor, *, temperature: float
) -> Tensor:
    """Confidence-weighted logistic loss on who the teacher prefers.

    sum_ij c_ij softplus(-o_ij (f_i - f_j) / tau) / sum_ij c_ij,   o_ij = sign(p_ij - 1/2)

    Args:
        score_gap: (P,) f_i - f_j of the student.
        preference_prob: (P,) p_ij, the teacher's probability that i is better.
        confidence: (P,) c_ij in [0, 1]; 0 leaves a pair out.
        temperature: tau, the gap in score units that counts as one logit, above 0.

    Returns:
        Scalar; 0 with a zero gradient where no pair has any confidence.

    Source:
        LEAF, arXiv:2601.20689, weights its ranking loss by the teacher's confidence; the
        logistic form is our choice (the paper's form is not public).
    """
    sign = torch.sign(preference_prob - 0.5)
    return _weighted_mean(F.softplus(-sign * score_gap / temperature), confidence)


def preference_loss(score_gap: Tensor, preference_prob: Tensor, *, temperature: float) -> Tensor:
    """Cross entropy with the teacher's preference as a soft target.

    mean_ij  -[p log s + (1 - p) log(1 - s)],   s = sigmoid((f_i - f_j) / tau)

    No confidence weights: a soft target already says how sure the teacher is.

    Args:
        score_gap: (P,) f_i - f_j of the student.
        preference_prob: (P,) p_ij, the teacher's probability that i is better.
        temperature: tau, the gap in score units that counts as one logit, above 0.

    Returns:
        Scalar; 0 with a zero gradient where there is no pair.
    """
    loss = F.binary_cross_entropy_with_logits(
        score_gap / temperature, preference_prob, reduction="none"
    )
    return _weighted_mean(loss, torch.ones_like(loss))


def calibration_loss(student_score: Tensor, mos: Tensor, *, plcc_weight: float) -> Tensor:
    """Mean square error plus the loss of linear correlation.

    mean_i (f_i - m_i)^2 + beta (1 - rho(f, m)) / 2

    Args:
        student_score: (B,) f.
        mos: (B,) m, scaled to [0, 1] by the data set's nominal range.
        plcc_weight: beta, at least 0.

    Returns:
        Scalar.

    Source:
        LEAF, arXiv:2601.20689, calibrates with MSE and a PLCC loss; (1 - rho)/2 is the form
        of IQA-PyTorch.
    """
    square_error = F.mse_loss(student_score, mos)
    return square_error + plcc_weight * (1.0 - correlation(student_score, mos)) / 2.0


def correlation(first: Tensor, second: Tensor) -> Tensor:
    """Pearson's correlation with a gradient that stays finite; 0 where either is constant.

    Args:
        first: (B,).
        second: (B,).

    Returns:
        Scalar in [-1, 1], drawn towards 0 where a variance is not far above `VARIANCE_FLOOR`.
    """
    first, second = first - first.mean(), second - second.mean()
    variances = (first.square().mean() + VARIANCE_FLOOR) * (second.square().mean() + VARIANCE_FLOOR)
    return (first * second).mean() / variances.sqrt()


def _weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    total = weights.sum()
    return (values * weights).sum() / torch.where(total > 0, total, torch.ones_like(total))
