"""From a feature map to one score: pooling, and the score head of a student that has its own.

A backbone pooled by timm and scored by one linear layer needs none of this: that layer is timm's
classifier. Everything else ends in a `ScoreHead`.
"""

from typing import Any

import torch
from torch import Tensor, nn

VARIANCE_FLOOR = 1e-6
"""Added to a channel's variance, so that the deviation of a dead channel has a gradient."""

SMALLEST_SPREAD = 1e-3
"""Features that vary less are divided by this: what never varies must not become noise."""

HIDDEN_STD = 0.01
FIRST_SPREAD = 1e-3
"""Spread of the first scores of standardised features: what a small learning rate leaves of the
first weights stays in the scores, so there must be next to nothing."""


def mean_and_std(feature_map: Tensor) -> Tensor:
    """Mean and standard deviation of each channel over all positions.

    The deviation tells how unevenly a pattern lies in the picture, which a mean alone loses.

    Args:
        feature_map: (B, C, H, W), or (B, C, T) for T tokens.

    Returns:
        (B, 2C) float32, all means first.
    """
    positions = feature_map.float().flatten(2)
    variance, mean = torch.var_mean(positions, dim=2, correction=0)
    return torch.cat([mean, (variance + VARIANCE_FLOOR).sqrt()], dim=1)


def channels_first(network: Any, feature_map: Tensor) -> Tensor:
    """A timm backbone's feature map as (B, C, H, W), or its patch tokens as (B, C, T)."""
    if feature_map.ndim == 3:
        return feature_map[:, getattr(network, "num_prefix_tokens", 0) :].transpose(1, 2)
    if getattr(network, "output_fmt", "NCHW") == "NHWC":
        return feature_map.permute(0, 3, 1, 2)
    return feature_map


def map_width(network: Any) -> int:
    """Values per picture after `mean_and_std`: found by trying, as no timm attribute tells it."""
    was_training = network.training
    network.eval()
    with torch.inference_mode():
        found = network.forward_features(torch.zeros(1, *network.pretrained_cfg["input_size"]))
        width = mean_and_std(channels_first(network, found)).shape[1]
    network.train(was_training)
    return width


@torch.no_grad()
def rescale_line(line: nn.Linear, scale: float, shift: float) -> None:
    """Make every later output of a layer with one output `scale * output + shift`."""
    line.weight.mul_(scale)
    line.bias.mul_(scale).add_(shift)


@torch.no_grad()
def add_to_line(line: nn.Linear, slopes: Tensor, shift: float) -> None:
    """Make every later output larger by `slopes . inputs + shift`; slopes (D,) float64."""
    line.weight.add_(slopes.to(line.weight.device)[None].float())
    line.bias.add_(shift)


class ScoreHead(nn.Module):
    """Scores features by a line, and beside it, where there is one, by a hidden layer.

    score = w . z + v . GELU(W LayerNorm(z)),   z = (features - centre) / spread

    The line keeps the head linear where the hidden layer has nothing to add, and takes up what
    a linear calibration finds without losing what the hidden layer has learnt.
    """

    centre: Tensor
    spread: Tensor
    linear: nn.Linear
    hidden: Any  # nn.Sequential or None; its last layer makes one score

    def __init__(self, feature_count: int, hidden: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(feature_count))
        self.register_buffer("spread", torch.ones(feature_count))
        self.linear = nn.Linear(feature_count, 1)
        self.hidden = (
            nn.Sequential(
                nn.LayerNorm(feature_count),
                nn.Linear(feature_count, hidden),
                nn.GELU(),
                nn.Linear(hidden, 1, bias=False),
            )
            if hidden
            else None
        )

    def forward(self, features: Tensor) -> Tensor:
        """Score (B, D) features; (B, 1)."""
        standard = (features - self.centre) / self.spread
        scores: Tensor = self.linear(standard)
        return scores if self.hidden is None else scores + self.hidden(standard)

    def start(self, first_score: float) -> None:
        """Draw the first weights, so that scores start near `first_score`."""
        feature_count = self.linear.in_features
        nn.init.normal_(self.linear.weight, std=FIRST_SPREAD / feature_count**0.5)
        nn.init.constant_(self.linear.bias, first_score)
        if self.hidden is not None:
            nn.init.normal_(self.hidden[-1].weight, std=HIDDEN_STD)

    def standardise(self, features: Tensor) -> None:
        """Take centre and spread from the (N, D) features of the training images."""
        spread, centre = torch.std_mean(features.double(), dim=0, correction=0)
        self.centre.copy_(centre)
        self.spread.copy_(spread.clamp(min=SMALLEST_SPREAD))

    @torch.no_grad()
    def rescale(self, scale: float, shift: float) -> None:
        """Make every later score `scale * score + shift`."""
        rescale_line(self.linear, scale, shift)
        if self.hidden is not None:
            self.hidden[-1].weight.mul_(scale)

    @torch.no_grad()
    def add_line(self, slopes: Tensor, shift: float) -> None:
        """Make every later score larger by `slopes . features + shift`; slopes (D,) float64."""
        slopes = slopes.to(self.spread.device)
        moved = shift + float(slopes @ self.centre.double())
        add_to_line(self.linear, slopes * self.spread.double(), moved)
