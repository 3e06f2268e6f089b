"""Two scorers on the same images: how much better is one, and is that more than chance?"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy import stats

from data_store.agreement.group_bootstrap import (
    DRAWS,
    LEAST_DEFINED,
    MEASURES,
    draw_groups,
    resampled,
    spans,
)
from train.evaluation.dependent_correlations import UNDEFINED, meng_z, williams_t
from train.evaluation.metrics import plcc, unfitted_measures

FloatArray = NDArray[np.float64]


class Difference(NamedTuple):
    """One measure of two scorers; what is undefined is None."""

    measure: str
    first: float | None
    second: float | None
    difference: float | None
    """first - second."""
    low: float | None
    """Ends of the interval of the difference, from draws of whole groups."""
    high: float | None
    p_bootstrap: float | None
    """Two-sided: twice the smaller share of the draws on one side of no difference."""
    williams_t: float | None
    """For srcc and plcc alone, as all that follows."""
    williams_p: float | None
    meng_z: float | None
    meng_p: float | None


def compare_scores(
    scores: tuple[FloatArray, FloatArray],
    mos: FloatArray,
    group_ids: pa.Array,
    *,
    draws: int = DRAWS,
    seed: int = 0,
    measures: Sequence[str] = MEASURES,
) -> list[Difference]:
    """Compare two scorers image by image.

    Args:
        scores: two arrays (N,), finite, of the same images.
        mos: (N,) finite.
        group_ids: (N,) string.
        draws: of the bootstrap; both scorers are judged on the same ones.
        seed: of the draws.
        measures: which of `MEASURES`; `krcc` and `pair_accuracy` take long with very many images.
    """
    first, second = (unfitted_measures(given, mos) for given in scores)
    drawn = draw_groups(group_ids, draws=draws, seed=seed)
    moved = {}
    if drawn is not None:
        both = [resampled(given, mos, drawn, measures=measures) for given in scores]
        moved = {name: both[0][name] - both[1][name] for name in measures}
    span = spans(moved)
    rows = []
    for name in measures:
        tests = (UNDEFINED, UNDEFINED)
        if name in ("srcc", "plcc"):
            between = _correlation_between(name, *scores)
            tested = (first[name], second[name], between, len(mos))
            tests = (williams_t(*tested), meng_z(*tested))
        low, high = span.get(name, (None, None))
        rows.append(
            Difference(
                measure=name,
                first=_defined(first[name]),
                second=_defined(second[name]),
                difference=_defined(first[name] - second[name]),
                low=low,
                high=high,
                p_bootstrap=_p_value(moved[name]) if name in moved else None,
                williams_t=_defined(tests[0].statistic),
                williams_p=_defined(tests[0].p_value),
                meng_z=_defined(tests[1].statistic),
                meng_p=_defined(tests[1].p_value),
            )
        )
    return rows


def _correlation_between(measure: str, first: FloatArray, second: FloatArray) -> float:
    if measure == "srcc":
        return plcc(stats.rankdata(first), stats.rankdata(second))
    return plcc(first, second)


def _p_value(moved: FloatArray) -> float | None:
    defined = moved[np.isfinite(moved)]
    if len(defined) < LEAST_DEFINED * len(moved):
        return None
    # The images themselves count as one more draw, so that p is never 0.
    sides = [1 + int((defined <= 0).sum()), 1 + int((defined >= 0).sum())]
    return min(1.0, 2 * min(sides) / (len(defined) + 1))


def _defined(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
