"""A student's scores of pictures, without training."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from train.dataset import Pictures
from train.student import Student

SCORING_BATCH = 64
"""Fixed, so that the same pictures get the same last digit in every command."""


def score_pictures(
    student: Student, pictures: Pictures, rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Score the centre view of each row.

    Returns:
        (R,) float64 that holds float32 scores, in the order of `rows`.
    """
    batches = pictures.centre_batches(rows, batch_size=SCORING_BATCH)
    scores = [score_views(student, pixels) for pixels in batches]
    return torch.cat([torch.empty(0), *scores]).double().numpy()


def score_views(student: Student, pixels: Tensor) -> Tensor:
    """Score pictures that are cropped already.

    Args:
        student: put into evaluation mode.
        pixels: (B, 3, H, W) uint8.

    Returns:
        (B,) float32 on the CPU.
    """
    student.eval()
    with torch.inference_mode():
        scores: Tensor = student(pixels.to(student.pixel_mean.device))
    return scores.float().cpu()
