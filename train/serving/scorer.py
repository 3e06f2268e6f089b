"""A trained student that is ready to score images, from a run or from an exported folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from data_store.suggestions import did_you_mean
from schemas.errors import InputError
from train.calibration.mapping import IDENTITY, Mapping
from train.compute_device import compute_device
from train.scoring import SCORING_BATCH, score_views
from train.serving.folded_norms import fold_batch_norms
from train.settings import ImageSettings
from train.stages import Stage, load_stage, stage_names
from train.student import Student
from train.transforms import Pixels

CPU_BATCH = 16
"""Views per pass on a processor, where more at once gain nothing."""


class Scorer(NamedTuple):
    """A student and what its scores mean."""

    name: str
    student: Student
    images: ImageSettings
    mapping: Mapping = IDENTITY  # from raw scores to the scale of people's opinions
    interval: float | None = None  # half width of the conformal interval of a mapped score

    @property
    def batch_size(self) -> int:
        """Views per pass, the same for every pass, full or not."""
        return CPU_BATCH if self.student.pixel_mean.device.type == "cpu" else SCORING_BATCH

    def scores(self, views: Sequence[Pixels]) -> NDArray[np.float64]:
        """Score a few images.

        Every pass has the same shape, filled up with black: which kernel computes a product, and
        so its last digit, depends on the shape, and not on what else is in the batch.

        Args:
            views: (V, crop, crop, 3) per image, the same V for all; together at most
                `batch_size`.

        Returns:
            (images,) float64 scores on people's scale: the mean over the views, mapped.
        """
        crop = self.images.crop_px
        batch = np.zeros((self.batch_size, crop, crop, 3), dtype=np.uint8)
        given = np.concatenate(views)
        batch[: len(given)] = given
        raw = score_views(self.student, torch.from_numpy(batch).permute(0, 3, 1, 2))
        means = raw[: len(given)].double().view(len(views), -1).mean(dim=1)
        return self.mapping(means.numpy())


def run_scorer(run: Path, wanted: str = "") -> Scorer:
    """Load a student of a run.

    Args:
        run: folder of a training run.
        wanted: which student; empty takes the one calibrated on most labels.

    Raises:
        InputError: there is no such student.
        TrainingError: its files are damaged.
    """
    stage = open_stage(run, wanted)
    student = only_scoring(stage.student)
    return Scorer(stage.name, student, stage.images, stage.mapping, stage.interval)


def only_scoring(student: Student) -> Student:
    """Make a student faster at scoring; it cannot learn afterwards, and gives no weights."""
    student.eval()
    fold_batch_norms(student.network)
    return student


def open_stage(run: Path, wanted: str = "") -> Stage:
    """Load a finished stage, as `run_scorer`."""
    name = chosen_student(run, wanted)
    stage = load_stage(run, name, device=compute_device("auto"))
    if stage is None:
        raise RuntimeError(name)  # it was there a moment ago
    return stage


def chosen_student(run: Path, wanted: str = "") -> str:
    """Name of a run's student; nothing is loaded. Raises InputError as `run_scorer`."""
    names = stage_names(run)
    if wanted and wanted not in names:
        raise InputError(
            f"the run has no student {wanted!r}{did_you_mean(wanted, names)}",
            where="--student",
            fix=f"choose one of {', '.join(names)}",
        )
    return wanted or _most_calibrated(names)


def _most_calibrated(names: Sequence[str]) -> str:
    calibrated = [name for name in names if name.startswith("leaf_")]
    if not calibrated:
        return names[0]
    return max(calibrated, key=lambda name: float(name.removeprefix("leaf_")))
