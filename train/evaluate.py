"""How well each student, and the teacher, agree with people on images held out by group."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data_store.agreement.group_bootstrap import MEASURES, Interval, draw_groups, intervals
from train.evaluation.metrics import Agreement, agreement

FloatArray = NDArray[np.float64]

_UNKNOWN: Interval = (None, None)


class EvaluationRow(NamedTuple):
    """Agreement of one scorer with the MOS of held-out images."""

    name: str
    agreement: Agreement
    intervals: Mapping[str, Interval]
    """Ends of the interval of each measure that has one, from draws of whole groups."""

    def as_dict(self) -> dict[str, str | float | int | bool | None]:
        """One flat row, the name first; what is undefined is None, as JSON knows no NaN."""
        row: dict[str, str | float | int | bool | None] = {"name": self.name}
        for key, value in self.agreement._asdict().items():
            row[key] = _defined(value)
        for measure in MEASURES:
            row[f"{measure}_low"], row[f"{measure}_high"] = self.intervals.get(measure, _UNKNOWN)
        return row


def evaluate(
    scores: Mapping[str, FloatArray],
    mos: FloatArray,
    held_out: NDArray[np.bool_],
    *,
    group_ids: pa.Array | None = None,
) -> list[EvaluationRow]:
    """Compare every scorer with the held-out MOS.

    Args:
        scores: (N,) per scorer, by image row; NaN where it gave none, which lowers its `n`.
        mos: (N,) by image row, NaN where people gave none.
        held_out: (N,) True for images of held-out groups.
        group_ids: (N,) string; without them no measure has an interval, because images of one
            group are no independent witnesses.

    Returns:
        One row per scorer, in the order given.
    """
    rows = []
    for name, given in scores.items():
        common = held_out & np.isfinite(given) & np.isfinite(mos)
        pair = given[common], mos[common]
        draws = None if group_ids is None else draw_groups(group_ids.filter(pa.array(common)))
        span = {} if draws is None else intervals(*pair, draws)
        rows.append(EvaluationRow(name, agreement(*pair), span))
    return rows


def _defined(value: float) -> float | None:
    return value if math.isfinite(value) else None
