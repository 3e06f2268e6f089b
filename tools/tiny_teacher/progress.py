"""A line on stderr now and then, so a training of minutes is not silent."""

import sys
import time


class Progress:
    """Prints the mean loss since the last line, the steps left and their pace."""

    def __init__(self, stage: str, steps: int, *, every_s: float = 20.0) -> None:
        self._stage = stage
        self._steps = steps
        self._every_s = every_s
        self._begin = self._last = time.monotonic()
        self._losses: list[float] = []

    def report(self, step: int, loss: float) -> None:
        """Note the loss of a step; print when it is time or the last step is done."""
        self._losses.append(loss)
        now = time.monotonic()
        if now - self._last < self._every_s and step + 1 < self._steps:
            return
        mean = sum(self._losses) / len(self._losses)
        steps_per_s = (step + 1) / (now - self._begin)
        print(
            f"{self._stage}: step {step + 1} of {self._steps}, loss {mean:.4f},"
            f" {steps_per_s:.1f} steps/s",
            file=sys.stderr,
            flush=True,
        )
        self._last, self._losses = now, []
