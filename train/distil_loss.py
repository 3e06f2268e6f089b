"""The loss of one distillation step: a batch's scores against what the teacher said of it."""

import torch
from torch import Tensor

from train.evidence import Evidence
from train.losses import point_loss, preference_loss, ranking_loss
from train.matching import ImageBatch
from train.stage_settings import DistilSettings
from train.training_data import FloatArray


def distil_losses(
    scores: Tensor, batch: ImageBatch, evidence: Evidence, settings: DistilSettings
) -> tuple[Tensor, Tensor]:
    """The point loss and the pair loss of a batch, each a scalar."""

    def on_device(values: FloatArray) -> Tensor:
        return torch.from_numpy(values).to(scores)

    score_gap = scores[batch.first] - scores[batch.second]
    prob = on_device(evidence.preference_prob[batch.pairs])
    match settings.pair_loss:
        case "ranking":
            confidence = on_device(evidence.confidence[batch.pairs])
            pairs = ranking_loss(score_gap, prob, confidence, temperature=evidence.temperature)
        case "preference":
            pairs = preference_loss(score_gap, prob, temperature=evidence.temperature)
    teacher_score = on_device(evidence.teacher_score[batch.rows])
    return point_loss(scores, teacher_score, beta=settings.smooth_l1_beta), pairs
