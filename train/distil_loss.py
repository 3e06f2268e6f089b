"""The loss of one distillation step: a batch's scores against what the teacher said of it."""

import torch
from torch import Tensor

from train.evidence import Evidence
from train.losses import (
    absolute_loss,
    fidelity_loss,
    level_loss,
    margin_loss,
    preference_loss,
    ranking_loss,
    smooth_l1_loss,
    square_loss,
)
from train.matching import ImageBatch
from train.stage_settings import DistilSettings
from train.training_data import FloatArray


def distil_losses(
    scores: Tensor, batch: ImageBatch, evidence: Evidence, settings: DistilSettings
) -> tuple[Tensor, Tensor]:
    """The point loss and the pair loss of a batch, each a scalar.

    Args:
        scores: (B,) the student's scores of `batch.rows`, in that order, of the whole batch.
        batch: which images, and which rows of `evidence.pairs` lie among them.
        evidence: what the teacher said.
        settings: which losses.
    """
    return (
        _point_loss(scores, batch, evidence, settings),
        _pair_loss(scores[batch.first] - scores[batch.second], batch, evidence, settings),
    )


def _point_loss(
    scores: Tensor, batch: ImageBatch, evidence: Evidence, settings: DistilSettings
) -> Tensor:
    teacher_score = _beside(scores, evidence.teacher_score[batch.rows])
    match settings.point_loss:
        case "smooth_l1":
            return smooth_l1_loss(scores, teacher_score, beta=settings.smooth_l1_beta)
        case "mse":
            return square_loss(scores, teacher_score)
        case "mae":
            return absolute_loss(scores, teacher_score)
        case "level_kl":
            return level_loss(scores, _beside(scores, evidence.level_probs[batch.rows]))


def _pair_loss(
    score_gap: Tensor, batch: ImageBatch, evidence: Evidence, settings: DistilSettings
) -> Tensor:
    prob = _beside(score_gap, evidence.preference_prob[batch.pairs])
    weight = _beside(score_gap, evidence.pair_weight[batch.pairs])
    temperature = _beside(score_gap, evidence.temperature_of(batch.pairs))
    match settings.pair_loss:
        case "ranking":
            return ranking_loss(score_gap, prob, weight, temperature=temperature)
        case "preference":
            return preference_loss(score_gap, prob, weight, temperature=temperature)
        case "fidelity":
            return fidelity_loss(score_gap, prob, weight, temperature=temperature)
        case "margin":
            return margin_loss(score_gap, prob, weight, margin=settings.margin)


def _beside(scores: Tensor, values: FloatArray) -> Tensor:
    """The values as a tensor of the scores' type, where the scores are."""
    return torch.from_numpy(values).to(scores)
