"""Rising curves from a student's raw scores to the scale of people's opinions.

A mapping moves scores and never their order, so a rank correlation before it equals the one
after it. What holds exactly: computed in float64, any two scores that differ by more than a
millionth of the spread of the scores a curve was fitted on keep their order and stay different;
`MappingLayer` rounds to the type of its input, where steps below that type's precision may
become ties, but never turn round.
"""

from collections.abc import Mapping as Dict
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import special
from torch import Tensor, nn

FloatArray = NDArray[np.float64]
Kind = Literal["identity", "linear", "logistic", "piecewise"]


@dataclass(frozen=True, slots=True)
class Mapping:
    """A strictly increasing curve.

    kind         parameters                            q(x)
    identity                                           x
    linear       scale, shift                          scale x + shift
    logistic     low, span, centre, width, slope       low + span / (1 + exp(-(x - centre) / width))
                                                           + slope x
    piecewise    slope before, slope after,            straight between the K knots, and beyond
                 x_1 .. x_K, y_1 .. y_K                them with the two slopes

    Raises:
        ValueError: unknown kind, or parameters with which the curve would not rise.
    """

    kind: Kind = "identity"
    parameters: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"there is no mapping of kind {self.kind!r}")
        if not np.isfinite(self.parameters).all() or not self._rises():
            raise ValueError(f"a {self.kind} mapping cannot have {self.parameters}")

    def __call__(self, scores: FloatArray) -> FloatArray:
        """(N,) raw scores on the scale of opinions; NaN stays NaN."""
        scores = np.asarray(scores, dtype=np.float64)
        match self.kind:
            case "identity":
                return scores
            case "linear":
                scale, shift = self.parameters
                return scale * scores + shift
            case "logistic":
                low, span, centre, width, slope = self.parameters
                curve: FloatArray = low + span * special.expit((scores - centre) / width)
                return curve + slope * scores
            case "piecewise":
                starts, heights, slopes = self.pieces()
                piece = np.searchsorted(starts[1:], scores, side="right")
                return heights[piece] + slopes[piece] * (scores - starts[piece])

    def pieces(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Start, height at the start and slope of each straight piece; (K + 1,) each.

        The first piece is the one before the first knot; it "starts" there like the second.
        """
        before, after = self.parameters[:2]
        knots, heights = np.array(self.parameters[2:]).reshape(2, -1)
        inner = np.diff(heights) / np.diff(knots)
        first, second = np.append(knots[:1], knots), np.append(heights[:1], heights)
        return first, second, np.concatenate([[before], inner, [after]])

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"kind": self.kind, "parameters": list(self.parameters)}

    @staticmethod
    def from_dict(values: Dict[str, Any]) -> "Mapping":
        """What `as_dict` wrote.

        Raises:
            ValueError, KeyError, TypeError: `values` is no mapping.
        """
        return Mapping(values["kind"], tuple(float(value) for value in values["parameters"]))

    def _rises(self) -> bool:
        parameters = self.parameters
        match self.kind:
            case "identity":
                return not parameters
            case "linear":
                return len(parameters) == 2 and parameters[0] > 0
            case "logistic":
                if len(parameters) != 5:
                    return False
                _, span, _, width, slope = parameters
                return span >= 0 and width > 0 and slope > 0
            case "piecewise":
                if len(parameters) < 4 or len(parameters) % 2 or min(parameters[:2]) <= 0:
                    return False
                points = np.array(parameters[2:]).reshape(2, -1)
                return bool((np.diff(points, axis=1) > 0).all())


IDENTITY = Mapping()


class MappingLayer(nn.Module):
    """A mapping on tensors, for export; computed in float64, given back in the input's type."""

    starts: Tensor
    heights: Tensor
    slopes: Tensor

    def __init__(self, mapping: Mapping) -> None:
        super().__init__()
        self.mapping = mapping
        if mapping.kind == "piecewise":
            for name, values in zip(("starts", "heights", "slopes"), mapping.pieces(), strict=True):
                self.register_buffer(name, torch.from_numpy(values), persistent=False)

    def forward(self, scores: Tensor) -> Tensor:
        """(B,) raw scores to (B,) scores on the scale of opinions."""
        values, parameters = scores.double(), self.mapping.parameters
        match self.mapping.kind:
            case "identity":
                return scores
            case "linear":
                mapped = parameters[0] * values + parameters[1]
            case "logistic":
                low, span, centre, width, slope = parameters
                mapped = low + span * torch.sigmoid((values - centre) / width) + slope * values
            case "piecewise":
                # Counting the knots passed is a search that every exporter knows.
                piece = (values[:, None] >= self.starts[None, 1:]).sum(dim=1)
                mapped = self.heights[piece] + self.slopes[piece] * (values - self.starts[piece])
        return mapped.to(scores.dtype)
