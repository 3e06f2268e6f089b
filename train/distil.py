"""First stage: the student learns what the teacher said, without any human opinion.

Every forward pass serves both losses: the batch's images have scores, and matched pairs of
them have preferences. Only images of the training split take part; what the teacher said of
held-out images is never read here.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from train.dataset import Pictures
from train.distil_loss import distil_losses
from train.evidence import Evidence
from train.matching import ImageBatch, epoch_batches
from train.optimiser import Optimiser
from train.stage_settings import DistilSettings
from train.student import Student


class DistilEpoch(NamedTuple):
    """What one epoch did; losses are means over its steps."""

    epoch: int
    loss: float
    point_loss: float
    pair_loss: float
    duration_s: float


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
            points, pairs = distil_losses(scores, batch, evidence, settings)
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


def _epoch_report(
    epoch: int, losses: list[tuple[float, float]], settings: DistilSettings, duration_s: float
) -> DistilEpoch:
    points, pairs = np.mean(losses, axis=0).tolist()
    loss = settings.point_weight * points + settings.pair_weight * pairs
    return DistilEpoch(epoch, loss, points, pairs, duration_s)
