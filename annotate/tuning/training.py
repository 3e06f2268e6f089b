"""The training loop of a tuning: epochs of batches, steps, and a state to go on from.

Whatever is random is a function of the seed, the epoch and the batch, so the place in the training
says all there is to say about chance (docs/decisions/0022). Killed anywhere and started again, it
ends with the weights, to the last bit on a CPU, that it would have had without the break.
"""

import math
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import torch
from accelerate import Accelerator

from annotate.image_stream import StoredImage
from annotate.readouts.readout import FloatArray
from annotate.tuning.checkpoint import Checkpoint, State
from annotate.tuning.labels import RatedPictures
from annotate.tuning.model import Said, TunedTeacher
from annotate.tuning.score_tokens import score_bins
from annotate.tuning.settings import TuneSettings
from annotate.tuning.sight import Pictures
from annotate.tuning.steps import Steps
from annotate.tuning.terms import Terms, terms_of
from schemas.errors import TrainingError

IntArray = npt.NDArray[np.int64]

DEVIATION_FLOOR = 1e-6
"""Least deviation that a number of the state is divided by."""


class Training:
    """One tuning, from where the last call was killed.

    Args:
        teacher: changed in place; where there is a checkpoint, it has its weights at once.
        pictures: looks at the images.
        rated: what is learnt from.
        settings: of the tuning.
        checkpoint: where the state is kept.

    Raises:
        TrainingError: the checkpoint is damaged or of another tuning; several processes were
            started.
    """

    def __init__(
        self,
        teacher: TunedTeacher,
        pictures: Pictures,
        rated: RatedPictures,
        settings: TuneSettings,
        checkpoint: Checkpoint,
    ) -> None:
        self._teacher, self._pictures, self._rated = teacher, pictures, rated
        self._settings, self._checkpoint = settings, checkpoint
        on_cpu = teacher.device.type == "cpu"
        self._accelerator = Accelerator(mixed_precision="no" if on_cpu else "bf16", cpu=on_cpu)
        if self._accelerator.num_processes > 1:
            raise TrainingError(
                f"a tuning runs in one process, and {self._accelerator.num_processes} were started",
                where="annotate tune",
                fix="start it without torchrun or accelerate launch; for larger batches set"
                " accumulate",
            )
        self._learnt = teacher.learnt()
        self._steps = Steps(self._learnt, settings)
        self._tokens = torch.from_numpy(score_bins(rated.mos, settings.score_tokens))
        self._mos = torch.from_numpy(rated.mos.astype(np.float32))
        self._done: list[list[float]] = []  # terms of the batches of this epoch that are done
        self.history: list[list[float]] = []
        """Mean terms of each epoch that is done."""
        self.resumed = self._resume()

    @property
    def batch_count(self) -> int:
        """Batches in an epoch."""
        return math.ceil(len(self._rated) / self._settings.batch_size)

    @property
    def done_images(self) -> int:
        """Images that were learnt from so far, those of all epochs together."""
        in_epoch = min(len(self._done) * self._settings.batch_size, len(self._rated))
        return len(self.history) * len(self._rated) + in_epoch

    def start(self, advance: Callable[[int], None]) -> None:
        """Look at all pictures once: the MLP takes the mean and deviation of their states.

        Args:
            advance: told how many images were done.
        """
        states = np.concatenate([*self._plain_states(advance)])
        deviation = np.maximum(states.std(axis=0), DEVIATION_FLOOR)
        mlp = self._teacher.mlp
        mlp.standardise(states.mean(axis=0), deviation)
        mlp.start_at(float(self._rated.mos.mean()))

    def epochs(self, advance: Callable[[int], None]) -> Iterator[list[float]]:
        """Train; gives the mean terms of each epoch that is not done yet.

        Args:
            advance: told how many images were done.

        Raises:
            TrainingError: a loss or a gradient is not finite; the last checkpoint stays.
        """
        while len(self.history) < self._settings.epochs:
            self._go_through(len(self.history), advance)
            self.history.append(np.mean(self._done, axis=0).tolist())
            self._done = []
            yield self.history[-1]
            self._save_if_due(epoch_ended=True)

    def _plain_states(self, advance: Callable[[int], None]) -> Iterator[FloatArray]:
        self._teacher.eval()
        rows = np.arange(len(self._rated))
        size = self._settings.batch_size
        batches = [rows[start : start + size] for start in range(0, len(rows), size)]
        for seen in self._pictures.batches(map(self._images, batches)):
            with torch.no_grad(), self._accelerator.autocast():
                yield self._teacher.states(seen).cpu().double().numpy()
            advance(len(seen))

    def _go_through(self, epoch: int, advance: Callable[[int], None]) -> None:
        """All batches of an epoch, from the one after the last that was done."""
        settings, count = self._settings, self.batch_count
        order = np.random.default_rng((settings.seed, epoch)).permutation(len(self._rated))
        size, group = settings.batch_size, settings.accumulate
        left = range(len(self._done), count)
        rows = [order[number * size : (number + 1) * size] for number in left]
        steps = math.ceil(count / group)
        self._teacher.train()
        for number, batch, seen in zip(
            left, rows, self._pictures.batches(map(self._images, rows)), strict=True
        ):
            torch.manual_seed(_seed_of(settings.seed, epoch, number))
            with self._accelerator.autocast():
                said = self._teacher(seen)
            terms = self._terms(said, batch)
            self._require_finite(terms.total.item(), "loss", epoch)
            group_size = min(group, count - number // group * group)
            self._accelerator.backward(terms.total / group_size)
            self._done.append(torch.stack(terms).tolist())
            if number % group == group - 1 or number == count - 1:
                progress = (epoch + (number // group + 0.5) / steps) / settings.epochs
                self._require_finite(self._steps.step(progress=progress), "gradient", epoch)
                self._save_if_due(epoch_ended=False)
            advance(len(batch))

    def _terms(self, said: Said, batch: IntArray) -> Terms:
        device, known = self._teacher.device, self._teacher.known_tokens
        return terms_of(
            said,
            self._mos[batch].to(device),
            self._tokens[batch].to(device) + known,
            known_tokens=known,
            weights=self._settings.loss,
        )

    def _require_finite(self, value: float, what: str, epoch: int) -> None:
        if not math.isfinite(value):
            raise TrainingError(
                f"the {what} is no longer a number",
                where=f"epoch {epoch + 1} of {self._settings.epochs}",
                fix="tune into a new folder with a lower --learning-rate or a higher"
                " warmup_fraction",
            )

    def _images(self, rows: IntArray) -> list[StoredImage]:
        return [self._rated.images[row] for row in rows]

    def _save_if_due(self, *, epoch_ended: bool) -> None:
        if self._checkpoint.is_due(epoch_ended=epoch_ended):
            self._checkpoint.save(self._state())

    def _state(self) -> State:
        mlp = self._teacher.mlp
        tensors = {
            "mlp.mean": mlp.mean,
            "mlp.deviation": mlp.deviation,
            "done": torch.tensor(self._done, dtype=torch.float64),
            "history": torch.tensor(self.history, dtype=torch.float64),
            **{f"learnt/{name}": one for name, one in self._learnt.items()},
            **self._steps.state(),
        }
        return State(tensors, {"batches": len(self._done), "epochs": len(self.history)})

    def _resume(self) -> bool:
        state = self._checkpoint.load()
        if state is None:
            return False
        try:
            mlp = self._teacher.mlp
            with torch.no_grad():
                mlp.mean.copy_(state.tensors["mlp.mean"])
                mlp.deviation.copy_(state.tensors["mlp.deviation"])
                for name, parameter in self._learnt.items():
                    parameter.copy_(state.tensors[f"learnt/{name}"])
            self._steps.restore(state.tensors)
            self._done = state.tensors["done"].tolist()
            self.history = state.tensors["history"].tolist()
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise self._checkpoint.unusable(error) from error
        return True


def _seed_of(*place: int) -> int:
    return int(np.random.SeedSequence(place).generate_state(1)[0])
