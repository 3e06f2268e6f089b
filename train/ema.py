"""A running mean of the weights, which is smoother than the weights of any one step."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from train.trained_weights import copy_of_weights, put_weights, trained_weights


class WeightAverage:
    """Exponential moving average of a student's trained weights and buffers.

    a <- d a + (1 - d) w,   d = min(decay, (1 + t) / (10 + t)) at step t = 1, 2, …

    The rising decay keeps the first weights from staying in the mean of a short training.

    Source:
        The rule of tf.train.ExponentialMovingAverage with `num_updates`.
    """

    def __init__(self, student: nn.Module, decay: float) -> None:
        self._student, self._decay = student, decay
        self.values: dict[str, Tensor] = copy_of_weights(student)
        self.step_count = 0

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights as they are after a step."""
        self.step_count += 1
        decay = min(self._decay, (1 + self.step_count) / (10 + self.step_count))
        for name, value in trained_weights(self._student).items():
            if value.is_floating_point():
                self.values[name].lerp_(value, 1.0 - decay)
            else:
                self.values[name].copy_(value)  # counters, such as batch norm's

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Within, the student has the averaged weights; afterwards its own again."""
        own = copy_of_weights(self._student)
        put_weights(self._student, self.values)
        try:
            yield
        finally:
            put_weights(self._student, own)

    @torch.no_grad()
    def restore(self, values: dict[str, Tensor], step_count: int) -> None:
        """Go on from a checkpoint; the tensors keep their layout in memory."""
        for name, value in self.values.items():
            value.copy_(values[name])
        self.step_count = step_count
