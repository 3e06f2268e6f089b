"""The pictures of a run: decoded once, and what students are trained on instead of them."""

import numpy as np
import torch

from data_store.splits import BoolArray
from train import parallel
from train.dataset import Pictures
from train.features import Views, frozen_features
from train.pixel_cache import pixel_cache_folder
from train.run_stage import seed_for
from train.settings import RunSettings
from train.student import Student, initial_student
from train.talk import progress, say
from train.training_data import TrainingData

FEATURES = "features"
"""Folder beside the pixel cache."""


def open_pictures(data: TrainingData, settings: RunSettings) -> tuple[Pictures, BoolArray]:
    """Decode what is not cached; the pictures, and (N,) which of them can be decoded."""
    ids, paths = data.image_ids.to_pylist(), data.paths.to_pylist()
    pictures = Pictures(ids, paths, settings.images, pixel_cache_folder())
    with progress(len(data.paths), label="decode", unit="images") as bar:
        failures = pictures.check(bar.advance)
    for error in list(failures.values())[:3]:
        say(f"left out: {error}")
    if failures:
        say(f"{len(failures)} of {len(data.paths)} images cannot be decoded and are left out")
    readable = np.ones(len(data.paths), dtype=bool)
    readable[list(failures)] = False
    parallel.require_agreement([float(readable.sum())], "readable pictures")
    return pictures, readable


def training_views(
    pictures: Pictures,
    readable: BoolArray,
    data: TrainingData,
    settings: RunSettings,
    *,
    device: torch.device,
    student: Student | None = None,
) -> Views:
    """What students are trained on: pictures; or features, where no backbone is ever trained.

    Args:
        pictures: (N,).
        readable: (N,) those that can be decoded.
        data: of the same N images.
        settings: of the run.
        device: where features are computed.
        student: whose backbone makes the features; by default the initial student's, which is
            the same for all students of a run.
    """
    if settings.student.trained == "all":
        return pictures
    if student is None:
        student = initial_student(settings.student, seed=seed_for(settings, "weights")).to(device)
    return frozen_features(
        student,
        pictures,
        np.flatnonzero(readable),
        image_ids=data.image_ids.to_pylist(),
        folder=pixel_cache_folder().with_name(FEATURES),
        preprocessing=settings.images.model_dump(include={"crop_px", "short_side_px"}),
    )
