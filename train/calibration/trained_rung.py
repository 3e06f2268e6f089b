"""The rungs that train: a copy of the student, fine-tuned on some of the labelled images."""

from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from train.calibration.labelled import Labelled
from train.calibration.rungs import Seen
from train.checkpoints import Checkpoint
from train.features import FrozenFeatures, Views
from train.fine_tune import CalibrateEpoch, Calibration, LabelledImages, fine_tune
from train.stage_settings import CalibrateSettings, LadderSettings, RungName
from train.student import Student

IntArray = NDArray[np.int64]

OnEpoch = Callable[[str, CalibrateEpoch], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """How a ladder is climbed."""

    ladder: LadderSettings
    fine_tuning: CalibrateSettings
    """Of the rungs that train."""
    seed: int
    """Of the folds, and of whatever is random in training."""
    checkpoint: Checkpoint | None = None
    """Where an unfinished climb goes on; None begins anew."""
    on_epoch: OnEpoch | None = None
    """Told the rung, with its fold where it is one, and what each epoch of it did."""

    def settings_of(self, rung: RungName) -> CalibrateSettings:
        """How a rung is trained: full just as the settings of the fine-tuning say."""
        changes: dict[str, object] = {}
        if rung == "head":
            changes = {"trained": "head"}
        elif rung == "full_pull":
            changes = {"trained": "all", "pull_weight": self.ladder.pull_weight}
        return self.fine_tuning.model_copy(update=changes)


class LabelledViews:
    """The views of the labelled images alone, numbered from 0 as they are labelled."""

    def __init__(self, views: Views, rows: IntArray) -> None:
        self._views, self._rows = views, rows

    def training_batches(
        self, batches: Iterable[IntArray], *, seed: int, epoch: int
    ) -> Iterator[Tensor]:
        """What is seen of each batch of labelled images in an epoch."""
        own = [self._rows[batch] for batch in batches]
        return self._views.training_batches(own, seed=seed, epoch=epoch)

    def centre_batches(self, rows: IntArray, *, batch_size: int) -> Iterator[Tensor]:
        """What is scored of labelled images."""
        return self._views.centre_batches(self._rows[rows], batch_size=batch_size)


def views_of(rung: RungName, labelled: Labelled, views: Views, seen: Seen) -> Views:
    """What a rung is trained on: pictures, or for the head alone features of the centre view."""
    if rung == "head":
        return FrozenFeatures(seen.features.astype(np.float32))
    return LabelledViews(views, labelled.rows)


def train_rung(
    rung: RungName, student: Student, views: Views, mos: LabelledImages, plan: Plan, *, part: str
) -> tuple[Student, Calibration]:
    """Fine-tune a copy of the student on some of the labelled images.

    Args:
        rung: head, full_pull or full.
        student: where to start; not changed.
        views: of the labelled images, from `views_of`.
        mos: which of them are learnt from, and the opinions of all.
        plan: how.
        part: names this training among those of the climb.
    """

    def on_epoch(epoch: CalibrateEpoch) -> None:
        if plan.on_epoch is not None:
            plan.on_epoch(part, epoch)

    tuned = deepcopy(student)
    found = fine_tune(
        tuned,
        mos,
        views,
        plan.settings_of(rung),
        seed=plan.seed,
        on_epoch=on_epoch,
        checkpoint=plan.checkpoint.part(part) if plan.checkpoint else None,
    )
    return tuned, found
