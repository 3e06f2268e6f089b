"""A scale cut into levels: which level an opinion falls into, and the number that level stands for.

Everything is on [0, 1], 0 worst and 1 best, as in a store. A scale of [1, 5] is four times as long,
so errors here are a quarter of those in level units, and squares a sixteenth.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from schemas.errors import InputError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Labels = Literal["integers", "centres"]


@dataclass(frozen=True, slots=True)
class LevelScale:
    """K bins of equal width that cover [0, 1], each with one number for its label.

    Args:
        count: K, two or more.
        labels: `integers` are the numbers 1 … K brought to [0, 1], evenly from its worst end to
            its best: (k - 1) / (K - 1), as the level words are read (`schemas.scale.unit_score`).
            `centres` are the middles of the bins: (k - 1/2) / K.

    Raises:
        InputError: fewer than two levels.

    Source:
        Equal bins: the level rule of Q-Align's and DeQA-Score's data (arXiv 2312.17090, 2501.11561,
        public code). Q-Scorer's own rule for its score tokens is not published; equal bins are
        taken for it too.
    """

    count: int = 5
    labels: Labels = "integers"

    def __post_init__(self) -> None:
        if self.count < 2:
            raise InputError(
                f"a scale of {self.count} levels tells nothing apart",
                where="--levels",
                fix="give two or more; the rating scale of the prompts has five",
            )

    @property
    def values(self) -> FloatArray:
        """(K,), the number of each level on [0, 1], worst first."""
        steps = np.arange(self.count, dtype=np.float64)
        if self.labels == "integers":
            return steps / (self.count - 1)
        return (steps + 0.5) / self.count

    def level(self, mos: FloatArray) -> IntArray:
        """(N,), the level of each opinion on [0, 1], from 0 for the worst to K - 1.

        A bin holds its lower edge; the last holds 1 too.
        """
        return np.clip(np.floor(mos * self.count), 0, self.count - 1).astype(np.int64)

    def label(self, mos: FloatArray) -> FloatArray:
        """(N,), v(level(m)): what is left of each opinion when only its level is told."""
        return self.values[self.level(mos)]

    def uniform_l1(self) -> float:
        """Mean |v(level(m)) - m| for opinions spread evenly over the scale."""
        return self._mean_over_bins(lambda x: x * np.abs(x) / 2)

    def uniform_rmse(self) -> float:
        """Root of the mean (v(level(m)) - m)² for opinions spread evenly over the scale."""
        return math.sqrt(self._mean_over_bins(lambda x: x**3 / 3))

    def _mean_over_bins(self, integral: Callable[[FloatArray], FloatArray]) -> float:
        """The mean of a function of m - v over [0, 1], from the function's integral."""
        edges = np.arange(self.count + 1) / self.count
        per_bin = integral(edges[1:] - self.values) - integral(edges[:-1] - self.values)
        return float(per_bin.sum())
