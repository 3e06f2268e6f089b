"""First stage: the student learns what the teacher said, without any human opinion.

Every forward pass serves both losses: the batch's images have scores, and matched pairs of
them have preferences. Only images of the training split take part; what the teacher said of
held-out images is never read here.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from schemas.errors import NotEnoughData
from train.dataset import Pictures
from train.losses import point_loss, preference_loss, ranking_loss
from train.matching import ImageBatch, epoch_batches
from train.optimiser import Optimiser
from train.pair_temperature import fit_pair_temperature
from train.settings import DistilSettings
from train.student import Student
from train.training_data import FloatArray, IntArray, TrainingData


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the teacher said of the training images, ready to be learnt."""

    rows: IntArray
    """(R,) image rows that take part."""
    teacher_score: FloatArray
    """(N,) by image row; NaN where there is none or where points are not used."""
    pairs: IntArray
    """(P, 2) image rows, both in `rows`."""
    preference_prob: FloatArray
    """(P,) P(first better)."""
    confidence: FloatArray
    """(P,) in [0, 1], none below the threshold."""
    temperature: float
    """Score gap that counts as one logit."""


class DistilEpoch(NamedTuple):
    """What one epoch did; losses are means over its steps."""

    epoch: int
    loss: float
    point_loss: float
    pair_loss: float
    duration_s: float


def select_evidence(
    data: TrainingData, in_training: NDArray[np.bool_], settings: DistilSettings
) -> Evidence:
    """Keep what the settings ask for and the split allows.

    Args:
        data: everything the store holds of this teacher.
        in_training: (N,) images that may be trained on.
        settings: which losses are used, and the confidence threshold.

    Raises:
        NotEnoughData: a loss that is used has nothing to learn from.
    """
    scored = in_training & ~np.isnan(data.teacher_score) & (settings.point_weight > 0)
    kept = (
        in_training[data.pairs].all(axis=1)
        & (data.pair_confidence >= settings.min_confidence)
        & (settings.pair_weight > 0)
    )
    _require(settings, point_count=int(scored.sum()), pair_count=int(kept.sum()), data=data)
    pairs, prob = data.pairs[kept], data.preference_prob[kept]
    teacher_score = np.where(scored, data.teacher_score, np.nan)
    return Evidence(
        rows=np.union1d(np.flatnonzero(scored), pairs),
        teacher_score=teacher_score,
        pairs=pairs,
        preference_prob=prob,
        confidence=data.pair_confidence[kept],
        temperature=settings.pair_temperature or _own_temperature(teacher_score, pairs, prob),
    )


def distil(
    student: Student,
    evidence: Evidence,
    pictures: Pictures,
    settings: DistilSettings,
    *,
    seed: int,
    on_epoch: Callable[[DistilEpoch], None],
) -> None:
    """Train the student in place on the teacher's scores and preferences."""
    optimiser = Optimiser(student, settings)
    for epoch in range(settings.epochs):
        start = time.monotonic()
        losses: list[tuple[float, float]] = []
        batches = _batches(evidence, settings, seed=seed, epoch=epoch)
        student.train()
        views = pictures.training_batches([b.rows for b in batches], seed=seed, epoch=epoch)
        for batch, pixels in zip(batches, views, strict=True):
            scores = student(pixels.to(student.pixel_mean.device))
            points, pairs = _both_losses(scores, batch, evidence, settings)
            optimiser.step(
                settings.point_weight * points + settings.pair_weight * pairs,
                progress=(epoch + (len(losses) + 0.5) / len(batches)) / settings.epochs,
            )
            losses.append((points.item(), pairs.item()))
        on_epoch(_epoch_report(epoch, losses, settings, time.monotonic() - start))


def _batches(
    evidence: Evidence, settings: DistilSettings, *, seed: int, epoch: int
) -> list[ImageBatch]:
    return list(
        epoch_batches(
            evidence.rows,
            evidence.pairs,
            image_count=len(evidence.teacher_score),
            batch_size=settings.batch_size,
            rng=np.random.default_rng((seed, epoch)),
        )
    )


def _both_losses(
    scores: Tensor, batch: ImageBatch, evidence: Evidence, settings: DistilSettings
) -> tuple[Tensor, Tensor]:
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


def _epoch_report(
    epoch: int, losses: list[tuple[float, float]], settings: DistilSettings, duration_s: float
) -> DistilEpoch:
    points, pairs = np.mean(losses, axis=0).tolist()
    loss = settings.point_weight * points + settings.pair_weight * pairs
    return DistilEpoch(epoch, loss, points, pairs, duration_s)


def _own_temperature(
    teacher_score: FloatArray, pairs: IntArray, preference_prob: FloatArray
) -> float:
    score_gap = teacher_score[pairs[:, 0]] - teacher_score[pairs[:, 1]]
    known = ~np.isnan(score_gap)
    return fit_pair_temperature(score_gap[known], np.sign(preference_prob[known] - 0.5))


def _require(
    settings: DistilSettings, *, point_count: int, pair_count: int, data: TrainingData
) -> None:
    if settings.point_weight > 0 and point_count == 0:
        raise NotEnoughData(
            "no image of the training split has a teacher score",
            where=f"the store: {np.isfinite(data.teacher_score).sum()} scores of this teacher",
            fix="run `annotate points`, or train on pairs alone with --set distil.point_weight=0",
        )
    if settings.pair_weight > 0 and pair_count == 0:
        raise NotEnoughData(
            f"no pair of the training split has a confidence of {settings.min_confidence:g}",
            where=f"the store: {len(data.pairs)} pairs of this teacher",
            fix="run `annotate pairs`, lower distil.min_confidence,"
            " or train on scores alone with --set distil.pair_weight=0",
        )
