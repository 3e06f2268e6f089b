"""The MLP from a hidden state to a score, which `mlp_state` and `q_scorer` share."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from annotate.readouts.readout import FloatArray, Layer


class ScoreMlp(nn.Module):
    """Standardised features through layers with ReLU to one score; nothing is clamped.

    s = W_n relu(... relu(W_1 (x - mean) / deviation + b_1) ...) + b_n

    Args:
        width: F, numbers of a feature vector.
        hidden: widths of the hidden layers; none makes it linear.
        generator: draws the first weights; torch's own if left out.

    Source:
        Q-Scorer, arXiv:2511.07812: an MLP of three layers on the state that predicts the score
        token. Its released code has ReLU and Kaiming's start; the standardisation is ours, so that
        one learning rate suits states of any model.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, width: int, hidden: Sequence[int] = (), *, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))
        widths = [width, *hidden, 1]
        self.layers = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(widths))
        with torch.no_grad():
            for number, layer in enumerate(self.layers):
                last = number == len(self.layers) - 1
                nn.init.kaiming_normal_(
                    layer.weight,  # type: ignore[arg-type]
                    nonlinearity="linear" if last else "relu",
                    generator=generator,
                )
                layer.bias.zero_()  # type: ignore[operator]

    def standardise(self, mean: npt.ArrayLike, deviation: npt.ArrayLike) -> None:
        """Take the features' mean and deviation, (F,) each, the deviation above 0."""
        with torch.no_grad():
            self.mean.copy_(torch.as_tensor(mean, dtype=torch.float32))
            self.deviation.copy_(torch.as_tensor(deviation, dtype=torch.float32))

    def start_at(self, score: float) -> None:
        """Make the last layer small, so that training starts near one score for all images."""
        last = self.layers[-1]
        with torch.no_grad():
            last.weight.mul_(0.1)  # type: ignore[operator]
            last.bias.fill_(score)  # type: ignore[operator]

    def forward(self, features: Tensor) -> Tensor:
        """(B, F) features to (B,) scores on the scale of MOS, in the weights' own number format."""
        values = (features.to(self.mean.dtype) - self.mean) / self.deviation
        for layer in self.layers[:-1]:
            values = torch.relu(layer(values))
        scores: Tensor = self.layers[-1](values).squeeze(-1)
        return scores

    def numbers(self) -> tuple[FloatArray, FloatArray, tuple[Layer, ...]]:
        """Mean, deviation and layers in float64, as a `Readout` takes them."""
        return (
            _array(self.mean),
            _array(self.deviation),
            tuple(Layer(_array(layer.weight), _array(layer.bias)) for layer in self.layers),  # type: ignore[arg-type]
        )


def parameter_count(width: int, hidden: Sequence[int]) -> int:
    """How many numbers a `ScoreMlp` of these widths learns."""
    widths = [width, *hidden, 1]
    return sum((a + 1) * b for a, b in pairwise(widths))


def _array(values: Tensor) -> FloatArray:
    return values.detach().cpu().numpy().astype(np.float64)
