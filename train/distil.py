"""First stage: the student learns what the teacher said, without any human opinion.

Every forward pass serves both losses: the batch's images have scores, and matched pairs of
them have preferences. Only images of the training split take part; what the teacher said of
held-out images is never read here.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from torch import Tensor

from train.checkpoints import Checkpoint
from train.distil_loss import distil_losses
from train.evidence import Evidence
from train.features import Views
from train.first_scores import start_at
from train.loop import EpochLosses, Lesson, Loop
from train.matching import ImageBatch, epoch_batches
from train.stage_settings import DistilSettings
from train.student import Student


class DistilEpoch(NamedTuple):
    """What one epoch did; losses are means over its batches."""

    epoch: int
    loss: float
    point_loss: float
    pair_loss: float
    duration_s: float


def distil(  # noqa: PLR0913 - what is learnt, by whom, how, and what is told and kept of it
    student: Student,
    evidence: Evidence,
    views: Views,
    settings: DistilSettings,
    *,
    seed: int,
    on_epoch: Callable[[DistilEpoch], None],
    checkpoint: Checkpoint | None = None,
) -> None:
    """Train the student in place on the teacher's scores and preferences.

    Args:
        student: where to start; at the end the last epoch, averaged where asked for.
        evidence: of the training images.
        views: to take the images from.
        settings: schedule and losses.
        seed: of the batches and the crops.
        on_epoch: told after each epoch.
        checkpoint: where an unfinished training goes on; None begins anew.

    Raises:
        TrainingError: a loss is not finite, or the checkpoint cannot be used.
    """

    def lesson(epoch: int) -> Lesson:
        batches = _batches(evidence, settings, seed=seed, epoch=epoch)

        def losses(number: int, scores: Tensor) -> tuple[Tensor, ...]:
            points, pairs = distil_losses(scores, batches[number], evidence, settings)
            return settings.point_weight * points + settings.pair_weight * pairs, points, pairs

        return Lesson([batch.rows for batch in batches], losses)

    scored = np.flatnonzero(np.isfinite(evidence.teacher_score))
    if len(scored):
        start_at(float(evidence.teacher_score[scored].mean()), student, views, scored)
    loop = Loop(student, settings, seed=seed, checkpoint=checkpoint)
    for done in loop.epochs(views, lesson):
        on_epoch(_report(done))
    loop.finish()


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


def _report(done: EpochLosses) -> DistilEpoch:
    loss, points, pairs = done.means
    return DistilEpoch(done.epoch, loss, points, pairs, done.duration_s)
