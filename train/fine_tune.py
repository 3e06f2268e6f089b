"""Second stage: the student learns the scale, and the taste, of people from a few MOS.

The same function, started from the initial weights, is the baseline that was never distilled
(CFT-only). Which epoch is kept is chosen on a slice of the labelled images, never on held-out
ones.
"""

import time
from collections.abc import Callable
from copy import deepcopy
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from schemas.errors import NotEnoughData
from train.dataset import Pictures
from train.losses import calibration_loss
from train.optimiser import Optimiser
from train.scoring import score_pictures
from train.stage_settings import CalibrateSettings
from train.student import Student
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


def calibrate(
    student: Student,
    labelled: LabelledImages,
    pictures: Pictures,
    settings: CalibrateSettings,
    *,
    seed: int,
    on_epoch: Callable[[CalibrateEpoch], None],
) -> Calibration:
    """Fine-tune the whole student in place on labelled images, and keep its best epoch.

    Args:
        student: where to start; at the end the chosen epoch, shifted and scaled.
        labelled: at least `MIN_LABELLED` images of the training split.
        pictures: to take the images from.
        settings: schedule, loss and what comes after.
        seed: of the slice, the batches and the crops.
        on_epoch: told after each epoch.
    """
    fitted, held = _slices(labelled.rows, settings.validation_fraction, seed)
    optimiser = Optimiser(student, settings)
    best_loss, best_epoch = _held_loss(student, labelled.mos, held, pictures, settings), 0
    best_weights = deepcopy(student.state_dict())
    for epoch in range(1, settings.epochs + 1):
        start = time.monotonic()
        losses: list[float] = []
        batches = _whole_batches(fitted, settings.batch_size, np.random.default_rng((seed, epoch)))
        student.train()
        views = pictures.training_batches(batches, seed=seed, epoch=epoch)
        for rows, pixels in zip(batches, views, strict=True):
            scores = student(pixels.to(student.pixel_mean.device))
            loss = _loss(scores, labelled.mos[rows], settings)
            progress = (epoch - 1 + (len(losses) + 0.5) / len(batches)) / settings.epochs
            optimiser.step(loss, progress=progress)
            losses.append(loss.item())
        held_loss = _held_loss(student, labelled.mos, held, pictures, settings)
        if held_loss < best_loss:
            best_loss, best_epoch = held_loss, epoch
            best_weights = deepcopy(student.state_dict())
        duration_s = time.monotonic() - start
        on_epoch(CalibrateEpoch(epoch, float(np.mean(losses)), held_loss, duration_s))
    student.load_state_dict(best_weights)
    scale, shift = 1.0, 0.0
    if settings.shift_and_scale:
        scores = score_pictures(student, pictures, labelled.rows)
        scale, shift = fit_shift_and_scale(scores, labelled.mos[labelled.rows])
        student.rescale(scale, shift)
    return Calibration(len(labelled.rows), len(held), best_epoch, best_loss, scale, shift)


def fit_shift_and_scale(scores: FloatArray, mos: FloatArray) -> tuple[float, float]:
    """Least squares of mos = scale * score + shift that keeps the ranking.

    Args:
        scores: (R,).
        mos: (R,).

    Returns:
        A scale above 0 and a shift, after which the mean error is 0. Where the best line would
        turn the ranking round, or the scores are constant, the scale is 1.
    """
    centred = scores - scores.mean()
    variance = float(centred @ centred)
    scale = float(centred @ mos) / variance if variance > 1e-12 else 1.0
    scale = scale if scale > 0 else 1.0
    return scale, float(mos.mean() - scale * scores.mean())


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


def _held_loss(
    student: Student,
    mos: FloatArray,
    held: IntArray,
    pictures: Pictures,
    settings: CalibrateSettings,
) -> float:
    scores = torch.from_numpy(score_pictures(student, pictures, held))
    return _loss(scores, mos[held], settings).item()


def _loss(scores: Tensor, mos: FloatArray, settings: CalibrateSettings) -> Tensor:
    opinions = torch.from_numpy(mos).to(scores)
    return calibration_loss(scores, opinions, plcc_weight=settings.plcc_weight)
