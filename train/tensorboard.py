"""The numbers of every epoch for TensorBoard, in RUN/tensorboard/<stage>/."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from schemas.errors import SettingsError

TENSORBOARD = "tensorboard"


class Scalars:
    """Writes the numbers of epochs where TensorBoard finds them.

    Raises:
        SettingsError: TensorBoard is not installed.
    """

    def __init__(self, run: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise SettingsError(
                "TensorBoard is not installed",
                where="tensorboard = true",
                fix='run `pip install "leaf-iqa[tensorboard]"`, or say --set tensorboard=false;'
                " events.jsonl holds the same numbers",
            ) from error
        self._make_writer: Any = SummaryWriter
        self._folder = run / TENSORBOARD
        self._writers: dict[str, Any] = {}

    def write(self, stage: str, epoch: int, facts: Mapping[str, object]) -> None:
        """Add an epoch's numbers; of what stands there from that epoch on, the new ones count."""
        writer = self._writers.get(stage)
        if writer is None:
            writer = self._make_writer(str(self._folder / stage), purge_step=epoch)
            self._writers[stage] = writer
        for name, value in facts.items():
            if isinstance(value, int | float):
                writer.add_scalar(name, value, epoch)
        writer.flush()

    def close(self) -> None:
        """Write out what is left and end the writers' threads."""
        for writer in self._writers.values():
            writer.close()
