"""The one training loop: epochs of batches, steps, averaged weights, and a state to go on from.

What is learnt, and from which loss, is for the caller (`distil.py`, `fine_tune.py`). Everything
random is a function of the seed, the epoch, the batch and the process: so the place in the
training says all there is to say about chance, and no generator's state has to be kept.

Killed anywhere and started again, a training ends with the weights, to the last bit on a CPU,
that it would have had without the break.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from train import parallel
from train.checkpoints import Checkpoint, State
from train.ema import WeightAverage
from train.features import Views
from train.optimiser import Optimiser
from train.scoring import SCORING_BATCH, score_pictures
from train.stage_settings import OptimiserSettings
from train.student import Student
from train.trained_weights import copy_of_weights, put_weights, trained_weights
from train.training_data import FloatArray, IntArray
from train.whole_batch_norm import share_batch_norms


class Lesson(NamedTuple):
    """What is learnt in one epoch: a function of the epoch's number alone."""

    rows: list[IntArray]
    """Image rows of each batch."""
    losses: Callable[[int, Tensor], tuple[Tensor, ...]]
    """The losses of a batch, by its number and its (B,) scores; the first is gone down."""


class EpochLosses(NamedTuple):
    """What one epoch did."""

    epoch: int  # from 0
    means: list[float]  # of each loss, over the batches
    duration_s: float  # since the epoch was begun or taken up again


class Kept(NamedTuple):
    """The best epoch so far, by what the caller measures."""

    epoch: int  # as the caller counts
    loss: float
    weights: dict[str, Tensor]


class Loop:
    """One training of one student, from where the last call was killed.

    Args:
        student: changed in place; where there is a checkpoint, it has its weights at once.
        settings: of the optimiser.
        seed: of crops and dropout.
        checkpoint: where the state is kept; None keeps none.
        penalty: added to the loss of every batch, whatever the batch.

    Raises:
        TrainingError: the checkpoint is damaged or of another training.
    """

    def __init__(
        self,
        student: Student,
        settings: OptimiserSettings,
        *,
        seed: int,
        checkpoint: Checkpoint | None = None,
        penalty: Callable[[], Tensor] | None = None,
    ) -> None:
        share_batch_norms(student)
        self._student, self._settings, self._seed = student, settings, seed
        self._checkpoint, self._penalty = checkpoint, penalty
        self._device = student.pixel_mean.device
        self._optimiser = Optimiser(student, settings)
        self._average = WeightAverage(student, settings.ema_decay) if settings.ema_decay else None
        self._losses: list[list[float]] = []  # of the batches of this epoch that are done
        self.epoch = 0
        """Epochs done."""
        self.kept: Kept | None = None
        if checkpoint is not None:
            self._resume(checkpoint)
        place = [float(self.epoch), float(len(self._losses))]
        parallel.require_agreement(place, "place in the training")

    def epochs(self, views: Views, lesson: Callable[[int], Lesson]) -> Iterator[EpochLosses]:
        """Train, and report after each epoch that is not done yet.

        Raises:
            TrainingError: a loss or gradient is not finite; the last checkpoint stays as it is.
        """
        while self.epoch < self._settings.epochs:
            start = time.monotonic()
            self._go_through(views, lesson(self.epoch))
            means = np.mean(self._losses, axis=0).tolist()
            yield EpochLosses(self.epoch, means, time.monotonic() - start)
            self.epoch, self._losses = self.epoch + 1, []
            self._save_if_due(epoch_ended=True)

    def averaged(self) -> AbstractContextManager[None]:
        """Within, the student has the weights that count: averaged ones where asked for."""
        return self._average.in_use() if self._average else nullcontext()

    def finish(self) -> None:
        """Leave the student with the weights that count."""
        if self._average:
            put_weights(self._student, self._average.values)

    def keep(self, epoch: int, loss: float) -> Kept:
        """Keep the student's weights as they are now, and how good they are, with the state."""
        self.kept = Kept(epoch, loss, copy_of_weights(self._student))
        return self.kept

    def _go_through(self, views: Views, lesson: Lesson) -> None:
        """All batches of an epoch, from the one after the last that was done."""
        group = self._settings.accumulate
        step_count = math.ceil(len(lesson.rows) / group)
        left = range(len(self._losses), len(lesson.rows))
        self._student.train()
        batches = views.training_batches(
            [_own_rows(lesson.rows[number]) for number in left], seed=self._seed, epoch=self.epoch
        )
        for number, batch in zip(left, batches, strict=True):
            progress = (self.epoch + (number // group + 0.5) / step_count) / self._settings.epochs
            group_size = min(group, len(lesson.rows) - number // group * group)
            self._add_gradients(batch, number, lesson, group_size=group_size, progress=progress)
            if number % group == group - 1 or number == len(lesson.rows) - 1:
                self._optimiser.step_down(progress=progress)
                if self._average:
                    self._average.update()
                self._save_if_due(epoch_ended=False)

    def _add_gradients(
        self, batch: Tensor, number: int, lesson: Lesson, *, group_size: int, progress: float
    ) -> None:
        count = len(lesson.rows[number])
        share = parallel.share_of(count)
        place = (self._seed, self.epoch, number, parallel.rank())
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1)[0]))
        inputs = batch[: share.stop - share.start].to(self._device)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._settings.amp):
            own = self._student(inputs)
        losses = lesson.losses(number, parallel.whole_batch(own.float(), count))
        loss, values = losses[0], torch.stack(losses).tolist()
        if self._penalty is not None:
            penalty = self._penalty()
            values[0] += penalty.item()
            loss = loss + penalty / parallel.process_count()  # every process adds its part
        self._optimiser.require_finite(values[0], "loss", progress=progress)
        (loss / group_size).backward()  # type: ignore[no-untyped-call]
        self._losses.append(values)

    def _save_if_due(self, *, epoch_ended: bool) -> None:
        checkpoint = self._checkpoint
        if checkpoint and parallel.is_first() and checkpoint.is_due(epoch_ended=epoch_ended):
            checkpoint.save(self._state())

    def _state(self) -> State:
        kept = self.kept
        average = self._average
        tensors = {
            "losses": torch.tensor(self._losses, dtype=torch.float64),
            **_named("weights", trained_weights(self._student)),
            **_named("adamw", self._optimiser.state()),
            **_named("average", average.values if average else {}),
            **_named("kept", kept.weights if kept else {}),
        }
        facts = {
            "epoch": self.epoch,
            "averaged_steps": average.step_count if average else 0,
            "kept": [kept.epoch, kept.loss] if kept else None,
        }
        return State(tensors, facts)

    def _resume(self, checkpoint: Checkpoint) -> None:
        state = checkpoint.load()
        if state is None:
            return
        try:
            put_weights(self._student, _under("weights", state))
            self._optimiser.restore(_under("adamw", state))
            if self._average:
                self._average.restore(_under("average", state), state.facts["averaged_steps"])
            if state.facts["kept"]:
                epoch, loss = state.facts["kept"]
                self.kept = Kept(epoch, loss, _under("kept", state))
            self.epoch, self._losses = state.facts["epoch"], state.tensors["losses"].tolist()
        except (KeyError, IndexError, RuntimeError, TypeError, ValueError) as error:
            raise checkpoint.unusable(error) from error


def _own_rows(rows: IntArray) -> IntArray:
    """This process's share; where that is empty one row, to know what views look like."""
    own = rows[parallel.share_of(len(rows))]
    return own if len(own) else rows[:1]


def _named(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}/{name}": value for name, value in tensors.items()}


def _under(prefix: str, state: State) -> dict[str, Tensor]:
    start = f"{prefix}/"
    return {
        name.removeprefix(start): value
        for name, value in state.tensors.items()
        if name.startswith(start)
    }


def score_rows(student: Student, views: Views, rows: IntArray) -> FloatArray:
    """Score rows as `score_pictures` does, each process its batches; all get all scores.

    Args:
        student: put into evaluation mode.
        views: pictures, or frozen features of them.
        rows: (R,) image rows.

    Returns:
        (R,) float64 that holds float32 values, in the order of `rows`.
    """
    # Whole batches, so that each is one that a single process would have scored.
    batch = np.arange(len(rows)) // SCORING_BATCH
    mine = batch % parallel.process_count() == parallel.rank()
    scores = np.zeros(len(rows))
    scores[mine] = score_pictures(student, views, rows[mine])
    return parallel.add_up(torch.from_numpy(scores)).numpy()
