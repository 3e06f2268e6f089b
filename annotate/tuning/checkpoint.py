"""The state of an unfinished tuning: one file, whole or not there.

    FOLDER/tuning/checkpoint.safetensors

Tensors by name, and in the file's metadata one JSON text of everything else. What the state means
is for `training.py`. It lies in a folder of its own because every safetensors file beside a
config.json would count as the teacher's weights.
"""

import json
import shutil
import time
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
from safetensors.torch import save
from torch import Tensor

from data_store.files import write_atomically
from schemas.errors import TrainingError

FOLDER = "tuning"
FILE = "checkpoint.safetensors"
SHARE_OF_TIME = 0.05
"""At the end of an epoch it is written only if that leaves so much of the time for writing."""


class State(NamedTuple):
    """What a tuning needs to go on as if it had never stopped."""

    tensors: dict[str, Tensor]
    facts: dict[str, Any]  # as JSON


class Checkpoint:
    """Where one tuning keeps its state, and when it is time to.

    Args:
        folder: of the tuning.
        every_s: seconds from one checkpoint to the next within an epoch.
    """

    def __init__(self, folder: Path, *, every_s: float) -> None:
        self._path = folder / FOLDER / FILE
        self._every_s = every_s
        self._saved_at, self._cost_s = time.monotonic(), 0.0

    def is_due(self, *, epoch_ended: bool) -> bool:
        """Whether so many seconds are over, or an epoch that was long enough."""
        wait_s = min(self._every_s, self._cost_s / SHARE_OF_TIME) if epoch_ended else self._every_s
        return time.monotonic() - self._saved_at >= wait_s

    def save(self, state: State) -> None:
        """Replace the state, whole or not at all."""
        start = time.monotonic()
        tensors = {name: one.detach().cpu().contiguous() for name, one in state.tensors.items()}
        write_atomically(self._path, save(tensors, metadata={"facts": json.dumps(state.facts)}))
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
            fix="delete that file and run the same command again: the tuning begins anew",
        )

    def remove(self) -> None:
        """Delete the state: the tuning is finished and saved."""
        shutil.rmtree(self._path.parent, ignore_errors=True)
