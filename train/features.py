"""Features of a frozen backbone: computed once, then looked up in place of pictures.

A backbone that is not trained gives the same picture the same features for ever, so all epochs,
all folds and all sizes of a score head can share one pass. The features are of the centre view
alone: training on frozen features knows no random crops or flips.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from data_store.files import write_atomically
from schemas.ids import id_of, sha256_bytes
from train.student import Student
from train.talk import progress, say

IntArray = NDArray[np.int64]
FloatArray32 = NDArray[np.float32]

FEATURE_BATCH = 64
"""Fixed, so that the same pictures get the same last digit whoever asks."""


class Views(Protocol):
    """What a student is trained on and scored by: `Pictures`, or `FrozenFeatures` of them."""

    def training_batches(
        self, batches: Iterable[IntArray], *, seed: int, epoch: int
    ) -> Iterator[Tensor]:
        """What is seen of the rows of each batch in an epoch."""
        ...

    def centre_batches(self, rows: IntArray, *, batch_size: int) -> Iterator[Tensor]:
        """What is scored of the rows, in their order."""
        ...


class FrozenFeatures:
    """The views of N pictures as a frozen backbone sees them: (B, D) float32 batches.

    Args:
        values: (N, D); rows that are never asked for may hold NaN.
    """

    def __init__(self, values: FloatArray32) -> None:
        self.values = values

    def training_batches(
        self, batches: Iterable[IntArray], *, seed: int, epoch: int
    ) -> Iterator[Tensor]:
        """Features of the rows of each batch: the same in every epoch, whatever the seed."""
        del seed, epoch
        return (torch.from_numpy(self.values[rows]) for rows in batches)

    def centre_batches(self, rows: IntArray, *, batch_size: int) -> Iterator[Tensor]:
        """Features of the rows in their order."""
        starts = range(0, len(rows), batch_size)
        return (torch.from_numpy(self.values[rows[s : s + batch_size]]) for s in starts)


def pooled_features(student: Student, views: Views, rows: IntArray) -> FloatArray32:
    """What the student's score head sees of each row's centre view.

    Args:
        student: put into evaluation mode.
        views: pictures, or features already computed, which come back as they are.
        rows: (R,) image rows.

    Returns:
        (R, D) float32.
    """
    batches = views.centre_batches(rows, batch_size=FEATURE_BATCH)
    found = [features_of(student, batch) for batch in batches]
    return np.concatenate(found) if found else np.zeros((0, 0), dtype=np.float32)


def features_of(student: Student, batch: Tensor) -> FloatArray32:
    """(B, D) float32 of one batch, (B, 3, H, W) pixels or (B, D) features."""
    student.eval()
    with torch.inference_mode():
        values = batch.to(student.pixel_mean.device)
        features: FloatArray32 = (
            (values if values.ndim == 2 else student.features(values)).float().cpu().numpy()
        )
    return features


def frozen_features(
    student: Student,
    views: Views,
    rows: IntArray,
    *,
    image_ids: Sequence[str],
    folder: Path | None = None,
    preprocessing: object = None,
) -> FrozenFeatures:
    """Compute the features of some of N pictures, or read them where they were kept.

    Args:
        student: whose backbone stays as it is from now on.
        views: the pictures.
        rows: (R,) the readable ones; the others' features are NaN.
        image_ids: (N,) names of the pictures' contents.
        folder: where features are kept for later runs; None keeps nothing. It is safe to delete.
        preprocessing: what else decides the pixels (crop, size), in plain JSON values.
    """
    path = folder and folder / f"{_key(student, rows, image_ids, preprocessing)}.npy"
    kept = _read(path) if path else None
    if kept is not None:
        return FrozenFeatures(kept)
    found: list[FloatArray32] = []
    with progress(len(rows), label="features", unit="images") as bar:
        for batch in views.centre_batches(rows, batch_size=FEATURE_BATCH):
            found.append(features_of(student, batch))
            bar.advance(len(found[-1]))
    width = found[0].shape[1] if found else 0
    values = np.full((len(image_ids), width), np.nan, dtype=np.float32)
    values[rows] = np.concatenate(found) if found else 0.0
    if path is not None:
        buffer = io.BytesIO()
        np.save(buffer, values, allow_pickle=False)
        write_atomically(path, buffer.getvalue())
    return FrozenFeatures(values)


def _key(student: Student, rows: IntArray, image_ids: Sequence[str], preprocessing: object) -> str:
    """Name of features: everything that decides them, but not the score head."""
    weights = {
        name: sha256_bytes(value.detach().cpu().contiguous().numpy().tobytes())
        for name, value in student.backbone_weights().items()
    }
    return id_of(
        {
            "weights": weights,
            "network": str(student.network),  # tells arguments that no weight shows, like padding
            "pooling": student.pooling,
            "mean": student.pixel_mean.flatten().tolist(),
            "std": student.pixel_std.flatten().tolist(),
            "preprocessing": preprocessing,
            "rows": rows.tolist(),
            "images": list(image_ids),
            "batch": FEATURE_BATCH,
        }
    )


def _read(path: Path) -> FloatArray32 | None:
    try:
        kept: FloatArray32 = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        say(f"kept features cannot be read and are computed anew: {error}")
        return None
    return kept
