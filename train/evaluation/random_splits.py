"""The measures over several random test parts, each a share of the groups.

For scores that were not trained on any of the images: a teacher's, imported ones, those of a
student on a data set it has not seen. What was trained has one test part, its own.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data_store.splits import held_out
from train.evaluation.logistic import RisingCurve, fit_rising_curve
from train.evaluation.metrics import Agreement, agreement

FloatArray = NDArray[np.float64]

SPLITS = 10
LEAST_RISE = 1e-3
"""Slope of a refit at least, as a share of (deviation of opinions / deviation of scores)."""
SUMMARISED = tuple(
    name for name in Agreement._fields if name not in ("n", "fit_converged", "fit5_converged")
)


class SplitSummary(NamedTuple):
    """One scorer's agreement in each of several test parts."""

    name: str
    source: str
    """Whose opinions."""
    image_count: int
    """Images with score and opinion, in any part."""
    parts: tuple[Agreement, ...]
    """One per split; only parts with images."""
    refits_failed: int | None = None
    """Splits without a refit, which kept the raw scores; None where nothing was refitted."""

    def as_dict(self) -> dict[str, Any]:
        """One flat row: per measure `_median`, `_mean`, `_sd` over the parts that define it.

        None where no part does, and `_sd` (of a sample, n - 1) None for fewer than two.
        """
        row: dict[str, Any] = {
            "name": self.name,
            "source": self.source,
            "images": self.image_count,
            "splits": len(self.parts),
            "images_per_split": _mean([part.n for part in self.parts]),
        }
        for measure in SUMMARISED:
            given = [getattr(part, measure) for part in self.parts]
            defined = [value for value in given if math.isfinite(value)]
            row[f"{measure}_median"] = float(np.median(defined)) if defined else None
            row[f"{measure}_mean"] = _mean(defined)
            row[f"{measure}_sd"] = float(np.std(defined, ddof=1)) if len(defined) > 1 else None
            row[f"{measure}_undefined"] = len(given) - len(defined)
        row["fits_failed"] = sum(not part.fit_converged for part in self.parts)
        row["fits5_failed"] = sum(not part.fit5_converged for part in self.parts)
        row["refits_failed"] = self.refits_failed
        return row


class Scored(NamedTuple):
    """One scorer's scores of N images with opinions."""

    name: str
    source: str
    scores: FloatArray
    """(N,) finite."""
    mos: FloatArray
    """(N,) finite, in [0, 1]."""
    group_ids: pa.Array
    """(N,) string."""


def over_splits(
    scored: Scored, *, splits: int = SPLITS, test_fraction: float, refit: bool = False
) -> SplitSummary:
    """Judge a scorer in random test parts; split k has the seed k, the same for every scorer.

    Args:
        scored: whose scores.
        splits: how many.
        test_fraction: share of the groups in a test part, in (0, 1).
        refit: map the scores by the rising 4-parameter logistic that the opinions of the images
            outside the test part give; ranks stay as they are.
    """
    parts, failed = [], 0
    for seed in range(splits):
        tested = held_out(scored.group_ids, seed=seed, test_fraction=test_fraction)
        if not tested.any():
            continue
        scores, mos = scored.scores[tested], scored.mos[tested]
        if refit:
            curve = _strictly_rising(scored.scores[~tested], scored.mos[~tested])
            failed += curve is None
            scores = scores if curve is None else curve(scores)
        parts.append(agreement(scores, mos))
    return SplitSummary(
        scored.name,
        scored.source,
        len(scored.scores),
        tuple(parts),
        failed if refit else None,
    )


def _strictly_rising(scores: FloatArray, mos: FloatArray) -> RisingCurve | None:
    """The logistic of these opinions, which far from its centre still tells scores apart."""
    curve = fit_rising_curve(scores, mos, parameters=4)
    if curve is None:
        return None
    rise = LEAST_RISE * float(mos.std() / scores.std())
    return curve._replace(slope=rise, low=curve.low - rise * float(scores.mean()))


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None
