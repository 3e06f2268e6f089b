"""A student's scores of pictures, without training."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from train.features import Views
from train.student import Student

SCORING_BATCH = 64
"""Fixed, so that the same pictures get the same last digit in every command."""

FloatArray = NDArray[np.float64]


def score_pictures(
    student: Student,
    pictures: Views,
    rows: NDArray[np.int64],
    *,
    mapping: Callable[[FloatArray], FloatArray] | None = None,
) -> FloatArray:
    """Score the centre view of each row.

    Args:
        student: put into evaluation mode.
        pictures: pictures, or frozen features of them.
        rows: (R,) image rows.
        mapping: from raw scores to the scale of people's opinions; None leaves them raw.

    Returns:
        (R,) float64, in the order of `rows`; raw scores hold float32 values.
    """
    batches = pictures.centre_batches(rows, batch_size=SCORING_BATCH)
    found = [score_views(student, views) for views in batches]
    scores: FloatArray = torch.cat([torch.empty(0), *found]).double().numpy()
    return scores if mapping is None else mapping(scores)


def score_views(student: Student, views: Tensor) -> Tensor:
    """Score pictures that are cropped already, or their features.

    Args:
        student: put into evaluation mode.
        views: (B, 3, H, W) uint8, or (B, D) float32.

    Returns:
        (B,) float32 on the CPU, raw.
    """
    student.eval()
    with torch.inference_mode():
        scores: Tensor = student(views.to(student.pixel_mean.device))
    return scores.float().cpu()
