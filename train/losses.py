"""Losses of the student: towards the teacher's scores, its preferences, and people's MOS.

All take tensors in float32 or wider and return a scalar; which are used, and their weights, is
for `distil_loss.py` and `fine_tune.py`. The point losses leave out images that the teacher said
nothing about; the pair losses leave out pairs of weight 0. Each is 0 with a zero gradient where
nothing is left.
"""

import math

import torch
import torch.nn.functional as F  # noqa: N812 (the name PyTorch documents)
from torch import Tensor

from schemas.scale import LEVEL_VALUES

VARIANCE_FLOOR = 1e-8
"""Added to both variances of a correlation, so that a constant batch has a finite gradient."""

LEVEL_VARIANCE_FLOOR = 0.25
"""Least variance of the student's distribution over levels, squared level units.

With less, levels are too coarse: the distribution's mean would follow the score in steps (off by
.02 levels at .25, by .2 at .09).
"""

FIDELITY_FLOOR = 1e-8
"""Added below both roots of the fidelity loss, whose slope would be infinite at 0."""


def smooth_l1_loss(student_score: Tensor, teacher_score: Tensor, *, beta: float) -> Tensor:
    """Smooth L1: quadratic within `beta` of the teacher's score, linear beyond.

    mean_i  d_i^2 / (2 beta)  where d_i = |f_i - y_i| < beta, else  d_i - beta / 2

    Args:
        student_score: (B,) f.
        teacher_score: (B,) y, in [0, 1]; NaN where the teacher gave none.
        beta: width of the quadratic part, score units, above 0.
    """
    known, target = _known_scores(student_score, teacher_score)
    loss = F.smooth_l1_loss(student_score, target, beta=beta, reduction="none")
    return _weighted_mean(loss, known)


def square_loss(student_score: Tensor, teacher_score: Tensor) -> Tensor:
    """Mean square error, mean_i (f_i - y_i)^2; arguments as for `smooth_l1_loss`."""
    known, target = _known_scores(student_score, teacher_score)
    return _weighted_mean((student_score - target).square(), known)


def absolute_loss(student_score: Tensor, teacher_score: Tensor) -> Tensor:
    """Mean absolute error, mean_i |f_i - y_i|; arguments as for `smooth_l1_loss`."""
    known, target = _known_scores(student_score, teacher_score)
    return _weighted_mean((student_score - target).abs(), known)


def level_loss(student_score: Tensor, level_probs: Tensor) -> Tensor:
    """Divergence of the student's distribution over the levels from the teacher's.

    mean_i  sum_k p_ik ln(p_ik / q_ik),   ln q_i = `level_log_probs` of f_i and p_i's variance

    A student says one number, so it is given a distribution: normal around its score, with the
    variance of the teacher's own. The slope in f_i is then 4 (E_q[v] - E_p[v]) / variance_i:
    convex, least where both have the same mean level, steeper the surer the teacher is. In the
    middle of the scale that is at f = y; at its ends, where a normal distribution is cut off,
    further out (.901 instead of .875 for p = 0, 0, .1, .3, .6), which calibration takes back.

    Args:
        student_score: (B,) f, on the [0, 1] scale, not clipped.
        level_probs: (B, K = 5) p, rows sum to 1, worst level first; NaN where the teacher gave
            no levels.

    Source:
        A normal distribution's mass at the levels is DeQA-Score's soft label of a MOS; that the
        student's scalar has one, and its width, are our choice.
    """
    known = ~torch.isnan(level_probs).any(dim=-1)
    teacher = torch.where(known[:, None], level_probs, torch.full_like(level_probs, 0.2))
    values = torch.tensor(LEVEL_VALUES).to(teacher)
    variance = teacher @ values.square() - (teacher @ values).square()
    student_logs = level_log_probs(student_score, variance)
    divergence = torch.special.xlogy(teacher, teacher) - teacher * student_logs
    return _weighted_mean(divergence.sum(dim=-1), known.to(divergence))


def level_log_probs(score: Tensor, variance: Tensor) -> Tensor:
    """Logarithms of a normal distribution's mass at the five levels.

    q_ik = exp(-(v_k - s_i)^2 / (2 variance_i)) / sum_j exp(-(v_j - s_i)^2 / (2 variance_i)),
    s_i = 1 + 4 f_i

    Args:
        score: (B,) f, on the [0, 1] scale; may lie beyond.
        variance: (B,) squared level units; `LEVEL_VARIANCE_FLOOR` where it is less.

    Returns:
        (B, K = 5), worst level first.
    """
    values = torch.tensor(LEVEL_VALUES).to(score)
    place = values[0] + (values[-1] - values[0]) * score
    width = 2.0 * variance.clamp(min=LEVEL_VARIANCE_FLOOR)
    return torch.log_softmax(-(values - place[:, None]).square() / width[:, None], dim=-1)


def ranking_loss(
    score_gap: Tensor, preference_prob: Tensor, weight: Tensor, *, temperature: float | Tensor
) -> Tensor:
    """Logistic loss on who the teacher prefers.

    sum_ij w_ij softplus(-o_ij (f_i - f_j) / tau_ij) / sum_ij w_ij,   o_ij = sign(p_ij - 1/2)

    Args:
        score_gap: (P,) f_i - f_j of the student.
        preference_prob: (P,) p_ij, the teacher's probability that i is better; a pair at 1/2
            has no sign and is left out.
        weight: (P,) w_ij at least 0, such as the teacher's confidence; 0 leaves a pair out.
        temperature: tau, scalar or (P,): the gap in score units that counts as one logit,
            above 0.

    Source:
        LEAF, arXiv:2601.20689, weights its ranking loss by the teacher's confidence; the
        logistic form is our choice (the paper's form is not public).
    """
    sign = torch.sign(preference_prob - 0.5)
    return _weighted_mean(F.softplus(-sign * score_gap / temperature), weight * sign.abs())


def margin_loss(
    score_gap: Tensor, preference_prob: Tensor, weight: Tensor, *, margin: float
) -> Tensor:
    """Hinge: the preferred image is to be ahead by a margin, and more is not asked.

    sum_ij w_ij max(0, m - o_ij (f_i - f_j)) / sum_ij w_ij,   o_ij = sign(p_ij - 1/2)

    Args:
        score_gap: (P,) f_i - f_j of the student.
        preference_prob: (P,) p_ij; a pair at 1/2 has no sign and is left out.
        weight: (P,) w_ij at least 0.
        margin: m, score units, above 0.
    """
    sign = torch.sign(preference_prob - 0.5)
    return _weighted_mean(F.relu(margin - sign * score_gap), weight * sign.abs())


def preference_loss(
    score_gap: Tensor, preference_prob: Tensor, weight: Tensor, *, temperature: float | Tensor
) -> Tensor:
    """Cross entropy with the teacher's preference as a soft target.

    sum_ij w_ij (-[p log s + (1 - p) log(1 - s)]) / sum_ij w_ij,   s = sigmoid((f_i - f_j) / tau)

    Confidence as the weight would count the teacher's certainty twice: a soft target already
    says how sure it is.

    Args:
        score_gap: (P,) f_i - f_j of the student.
        preference_prob: (P,) p_ij, the teacher's probability that i is better.
        weight: (P,) w_ij at least 0.
        temperature: tau as for `ranking_loss`.
    """
    loss = F.binary_cross_entropy_with_logits(
        score_gap / temperature, preference_prob, reduction="none"
    )
    return _weighted_mean(loss, weight)


def fidelity_loss(
    score_gap: Tensor, preference_prob: Tensor, weight: Tensor, *, temperature: float | Tensor
) -> Tensor:
    """One minus the fidelity of the student's preference with the teacher's.

    sum_ij w_ij (1 - sqrt(p g + e) - sqrt((1 - p)(1 - g) + e)) / sum_ij w_ij,
    p = Phi((f_i - f_j) / (sqrt(2) sigma)),   e = `FIDELITY_FLOOR`

    0 where p = g, up to sqrt(e) where both are certain, and bounded by 1: a pair that the
    student has quite the wrong way round hardly pulls.

    Args:
        score_gap: (P,) f_i - f_j of the student.
        preference_prob: (P,) g_ij, the teacher's probability that i is better.
        weight: (P,) w_ij at least 0.
        temperature: tau as for `ranking_loss`; sigma = 2 tau / sqrt(pi), with which Phi is as
            steep at 0 as sigmoid(gap / tau).

    Source:
        Tsai et al. 2007, FRank; Thurstone's model of p, and e, as in UNIQUE and LIQE (Zhang et
        al.), where sigma = 1.
    """
    z = score_gap / temperature * math.sqrt(math.pi / 8.0)
    # 1 - Phi(z) would lose the digits of a small probability.
    first, second = torch.special.ndtr(z), torch.special.ndtr(-z)
    fidelity = (first * preference_prob + FIDELITY_FLOOR).sqrt()
    fidelity = fidelity + (second * (1.0 - preference_prob) + FIDELITY_FLOOR).sqrt()
    return _weighted_mean(1.0 - fidelity, weight)


def calibration_loss(student_score: Tensor, mos: Tensor, *, plcc_weight: float) -> Tensor:
    """Mean square error plus the loss of linear correlation.

    mean_i (f_i - m_i)^2 + beta (1 - rho(f, m)) / 2

    Args:
        student_score: (B,) f.
        mos: (B,) m, scaled to [0, 1] by the data set's nominal range.
        plcc_weight: beta, at least 0.

    Source:
        LEAF, arXiv:2601.20689, calibrates with MSE and a PLCC loss; (1 - rho)/2 is the form
        of IQA-PyTorch. The form of other code, (1 - rho)/4 + (1 - rho^2)/8, has (1 + rho)/2
        times its slope: the same near rho = 1, nothing at rho = -1. It is not offered.
    """
    square_error = F.mse_loss(student_score, mos)
    return square_error + plcc_weight * (1.0 - correlation(student_score, mos)) / 2.0


def correlation(first: Tensor, second: Tensor) -> Tensor:
    """Pearson's correlation with a gradient that stays finite; 0 where either is constant.

    Args:
        first: (B,).
        second: (B,).

    Returns:
        In [-1, 1], drawn towards 0 where a variance is not far above `VARIANCE_FLOOR`.
    """
    first, second = first - first.mean(), second - second.mean()
    variances = (first.square().mean() + VARIANCE_FLOOR) * (second.square().mean() + VARIANCE_FLOOR)
    return (first * second).mean() / variances.sqrt()


def _known_scores(student_score: Tensor, teacher_score: Tensor) -> tuple[Tensor, Tensor]:
    """(B,) 1 where the teacher gave a score, else 0; (B,) that score, or the student's own."""
    known = ~torch.isnan(teacher_score)
    return known.to(student_score), torch.where(known, teacher_score, student_score.detach())


def _weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    total = weights.sum()
    return (values * weights).sum() / torch.where(total > 0, total, torch.ones_like(total))
