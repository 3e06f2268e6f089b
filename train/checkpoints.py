"""State of an unfinished training: one file in a folder, whole or not there.

    RUN/checkpoints/<stage>/checkpoint.safetensors

Tensors by name, and in the file's metadata one JSON text of everything else. What the state
means is for `loop.py`.
"""

import json
import shutil
import time
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
from safetensors.torch import save_file
from torch import Tensor

from data_store.files import TEMPORARY_PREFIX, flush, temporary_beside
from schemas.errors import TrainingError
from train.settings import CHECKPOINT_S

CHECKPOINTS = "checkpoints"
CHECKPOINT_FILE = "checkpoint.safetensors"

SHARE_OF_TIME = 0.05
"""At the end of an epoch a checkpoint is written only if that leaves so much for all of them."""


class State(NamedTuple):
    """What a training needs to go on as if it had never stopped."""

    tensors: dict[str, Tensor]
    facts: dict[str, Any]  # as JSON


class Checkpoint:
    """Where one training keeps its state, and when it is time to.

    Args:
        folder: belongs to this training alone; made when it is needed.
        every_s: seconds from one checkpoint to the next within an epoch.
    """

    def __init__(self, folder: Path, *, every_s: float = CHECKPOINT_S) -> None:
        self._folder, self._every_s = folder, every_s
        self._path = folder / CHECKPOINT_FILE
        self._saved_at, self._cost_s = time.monotonic(), 0.0

    def part(self, name: str) -> "Checkpoint":
        """A place of its own for a training within this one, such as a fold; removed with it."""
        return Checkpoint(self._folder / name, every_s=self._every_s)

    def is_due(self, *, epoch_ended: bool) -> bool:
        """Whether it is time to save: so many seconds are over, or an epoch that was long enough.

        Ends of epochs are good places to stop, but where epochs take less time than writing
        the weights, most would be spent on checkpoints.
        """
        wait_s = min(self._every_s, self._cost_s / SHARE_OF_TIME) if epoch_ended else self._every_s
        return time.monotonic() - self._saved_at >= wait_s

    def save(self, state: State) -> None:
        """Replace the state, whole or not at all."""
        start = time.monotonic()
        tensors = {name: value.detach().cpu() for name, value in state.tensors.items()}
        tensors = {name: value.contiguous() for name, value in tensors.items()}
        self._folder.mkdir(parents=True, exist_ok=True)
        temporary = temporary_beside(self._path)
        try:
            save_file(tensors, temporary, metadata={"facts": json.dumps(state.facts)})
            flush(temporary)
            temporary.replace(self._path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        flush(self._folder)
        self._saved_at = time.monotonic()
        self._cost_s = self._saved_at - start

    def load(self) -> State | None:
        """Read the state, or None where there is none.

        Raises:
            TrainingError: the file is damaged.
        """
        if not self._path.exists():
            return None
        try:
            with safetensors.safe_open(self._path, framework="pt") as file:
                facts = json.loads(file.metadata()["facts"])
                return State({name: file.get_tensor(name) for name in file.keys()}, facts)  # noqa: SIM118
        except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
            raise self.unusable(error) from error

    def unusable(self, error: Exception) -> TrainingError:
        """What to say where the file cannot be read, or holds the state of something else."""
        return TrainingError(
            f"the checkpoint cannot be used: {error}",
            where=self._path,
            fix="delete that file and run the same command again: the stage begins anew",
        )

    def remove(self) -> None:
        """Delete the state and that of all parts: the training is finished and saved."""
        shutil.rmtree(self._folder, ignore_errors=True)


def tidy(run: Path) -> None:
    """Delete what a killed run left under temporary names, and the folder if nothing is in it."""
    folder = run / CHECKPOINTS
    for path in (*run.glob(f"{TEMPORARY_PREFIX}*"), *folder.rglob(f"{TEMPORARY_PREFIX}*")):
        path.unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
