"""Second stage: the student learns the scale, and the taste, of people from a few MOS.

The same function, started from the initial weights, is the baseline that was never distilled
(CFT-only). Which epoch is kept is chosen on a slice of the labelled images, never on held-out
ones.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from schemas.errors import NotEnoughData
from train.calibration.fit_mapping import fit_shift_and_scale
from train.checkpoints import Checkpoint
from train.features import FrozenFeatures, Views, pooled_features
from train.loop import Kept, Lesson, Loop, score_rows
from train.losses import calibration_loss
from train.stage_settings import CalibrateSettings
from train.student import Student
from train.trained_weights import put_weights
from train.training_data import FloatArray, IntArray

MIN_LABELLED = 8
"""Fewer opinions cannot be cut into a part to learn from and a part to choose the epoch by."""


class LabelledImages(NamedTuple):
    """Images with MOS that may be learnt from."""

    rows: IntArray  # (R,) image rows
    mos: FloatArray  # (N,) by image row, on the [0, 1] scale


class CalibrateEpoch(NamedTuple):
    """What one epoch did."""

    epoch: int
    loss: float
    validation_loss: float
    duration_s: float


class Calibration(NamedTuple):
    """What a calibration used and chose; validation_loss is before shift and scale."""

    labelled_count: int
    validation_count: int
    best_epoch: int  # 0 keeps the weights it started from
    validation_loss: float
    scale: float
    shift: float


def require_labels(rows: IntArray, *, fraction: float) -> None:
    """Refuse to calibrate on next to nothing.

    Raises:
        NotEnoughData: fewer than `MIN_LABELLED` rows.
    """
    if len(rows) < MIN_LABELLED:
        raise NotEnoughData(
            f"{fraction:.0%} of the training images with MOS are {len(rows)},"
            f" and calibration needs {MIN_LABELLED}",
            where="label_fractions",
            fix="add opinions with `store add-mos`, or raise label_fractions;"
            " --set label_fractions=[] distils without calibrating",
        )


def fine_tune(  # noqa: PLR0913 - what is learnt, by whom, how, and what is told and kept of it
    student: Student,
    labelled: LabelledImages,
    views: Views,
    settings: CalibrateSettings,
    *,
    seed: int,
    on_epoch: Callable[[CalibrateEpoch], None] | None = None,
    checkpoint: Checkpoint | None = None,
) -> Calibration:
    """Fine-tune the student in place on labelled images, and keep its best epoch.

    Args:
        student: where to start; at the end the chosen epoch, shifted and scaled.
        labelled: at least `MIN_LABELLED` images of the training split.
        views: to take the images from.
        settings: schedule, loss, what is trained, and what comes after.
        seed: of the slice, the batches and the crops.
        on_epoch: told after each epoch.
        checkpoint: where an unfinished training goes on; None begins anew. What it keeps is the
            caller's to remove, once the student is saved.

    Raises:
        TrainingError: a loss is not finite, or the checkpoint cannot be used.
    """
    was_frozen = student.frozen
    if settings.trained == "head" and not was_frozen:
        views = _features_of_labelled(student, labelled, views)
        student.freeze_backbone()
    try:
        chosen, held_count = _best_epoch(
            student, labelled, views, settings, seed=seed, on_epoch=on_epoch, checkpoint=checkpoint
        )
        put_weights(student, chosen.weights)
        scale, shift = 1.0, 0.0
        if settings.shift_and_scale:
            scores = score_rows(student, views, labelled.rows)
            scale, shift = fit_shift_and_scale(scores, labelled.mos[labelled.rows])
            student.rescale(scale, shift)
    finally:
        student.freeze_backbone(frozen=was_frozen)
    return Calibration(
        len(labelled.rows), held_count, chosen.epoch, chosen.loss, scale=scale, shift=shift
    )


def _best_epoch(  # noqa: PLR0913 - as above
    student: Student,
    labelled: LabelledImages,
    views: Views,
    settings: CalibrateSettings,
    *,
    seed: int,
    on_epoch: Callable[[CalibrateEpoch], None] | None,
    checkpoint: Checkpoint | None,
) -> tuple[Kept, int]:
    """Train, and return the best epoch by the held slice, and the size of that slice."""
    fitted, held = _slices(labelled.rows, settings.validation_fraction, seed)

    def lesson(epoch: int) -> Lesson:
        rng = np.random.default_rng((seed, epoch + 1))
        batches = _whole_batches(fitted, settings.batch_size, rng)

        def losses(number: int, scores: Tensor) -> tuple[Tensor, ...]:
            return (_loss(scores, labelled.mos[batches[number]], settings),)

        return Lesson(batches, losses)

    def held_loss() -> float:
        scores = torch.from_numpy(score_rows(student, views, held))
        return _loss(scores, labelled.mos[held], settings).item()

    pull = _pull(student, settings.pull_weight) if settings.pull_weight else None
    loop = Loop(student, settings, seed=seed, checkpoint=checkpoint, penalty=pull)
    best = loop.kept or loop.keep(0, held_loss())
    for done in loop.epochs(views, lesson):
        epoch = done.epoch + 1
        with loop.averaged():
            loss = held_loss()
            if loss < best.loss:
                best = loop.keep(epoch, loss)
        if on_epoch is not None:
            on_epoch(CalibrateEpoch(epoch, done.means[0], loss, done.duration_s))
    return best, len(held)


def _features_of_labelled(
    student: Student, labelled: LabelledImages, views: Views
) -> FrozenFeatures:
    """What the score head sees of the labelled images, by image row; NaN elsewhere."""
    found = pooled_features(student, views, labelled.rows)
    values = np.full((len(labelled.mos), found.shape[1]), np.nan, dtype=np.float32)
    values[labelled.rows] = found
    return FrozenFeatures(values)


def _pull(student: Student, weight: float) -> Callable[[], Tensor]:
    """Half the squared distance of the backbone from where it is now, times `weight`.

    The head is free: to move it is what calibrating is for. Where the head is all that is
    trained, the head is pulled.

    Source:
        L2-SP of Li, Grandvalet and Davoine, "Explicit Inductive Bias for Transfer Learning with
        Convolutional Networks", ICML 2018.
    """
    in_head = {id(parameter) for parameter in student.head.parameters()}
    trained = [parameter for parameter in student.parameters() if parameter.requires_grad]
    pulled = [parameter for parameter in trained if id(parameter) not in in_head] or trained
    starts = [parameter.detach().clone() for parameter in pulled]

    def penalty() -> Tensor:
        moves = [(now - start).square().sum() for now, start in zip(pulled, starts, strict=True)]
        return weight / 2.0 * torch.stack(moves).sum()

    return penalty


def _slices(rows: IntArray, validation_fraction: float, seed: int) -> tuple[IntArray, IntArray]:
    """Rows to learn from, and rows to choose the epoch by."""
    order = np.random.default_rng(seed).permutation(rows)
    held_count = max(2, round(validation_fraction * len(rows)))
    return order[held_count:], order[:held_count]


def _whole_batches(rows: IntArray, batch_size: int, rng: np.random.Generator) -> list[IntArray]:
    """An epoch's batches; a smaller rest is left out, as its correlation would be noise."""
    order = rng.permutation(rows)
    size = min(batch_size, len(order))
    return [order[start : start + size] for start in range(0, len(order) - size + 1, size)]


def _loss(scores: Tensor, mos: FloatArray, settings: CalibrateSettings) -> Tensor:
    opinions = torch.from_numpy(mos).to(scores)
    return calibration_loss(scores, opinions, plcc_weight=settings.plcc_weight)
