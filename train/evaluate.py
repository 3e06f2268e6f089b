"""How well each student, and the teacher, agree with people on images held out by group."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from train.evaluation.metrics import Agreement, agreement
from train.training_data import FloatArray


class EvaluationRow(NamedTuple):
    """Agreement of one scorer with the MOS of held-out images."""

    name: str
    agreement: Agreement

    def as_dict(self) -> dict[str, str | float | int | bool | None]:
        """One flat row, the name first; what is undefined is None, as JSON knows no NaN."""
        measures = self.agreement._asdict().items()
        return {"name": self.name, **{key: _defined(value) for key, value in measures}}


def evaluate(
    scores: Mapping[str, FloatArray], mos: FloatArray, held_out: NDArray[np.bool_]
) -> list[EvaluationRow]:
    """Compare every scorer with the held-out MOS.

    Args:
        scores: (N,) per scorer, by image row; NaN where it gave none, which lowers its `n`.
        mos: (N,) by image row, NaN where people gave none.
        held_out: (N,) True for images of held-out groups.

    Returns:
        One row per scorer, in the order given.
    """
    rows = []
    for name, given in scores.items():
        common = held_out & np.isfinite(given) & np.isfinite(mos)
        rows.append(EvaluationRow(name, agreement(given[common], mos[common])))
    return rows


def _defined(value: float) -> float | None:
    return value if math.isfinite(value) else None
