"""What labels cost by themselves, before any teacher: each way of labelling one source."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from annotate.errors.level_scale import FloatArray, LevelScale
from annotate.errors.rated import RatedImages
from annotate.errors.soft_labels import soft_labels
from schemas.scale import LEVEL_VALUES, unit_score


class LabelCost(NamedTuple):
    """The label-approximation error of one source's opinions, on [0, 1]."""

    source: str
    labels: str
    """`integers`, `centres` or `soft` (five levels, mean of the distribution)."""
    n: int
    l1: float
    rmse: float
    uniform_l1: float | None
    """The same for opinions that are spread evenly over the scale; None for soft labels, where it
    depends on the deviations."""
    uniform_rmse: float | None


def label_costs(rated: Sequence[RatedImages], levels: int) -> Iterator[LabelCost]:
    """Each source with integers and centres as labels, and with soft labels where it can.

    Args:
        rated: images with opinions, per source.
        levels: bins that opinions are cut into; soft labels always have five.
    """
    for images in rated:
        for scale in (LevelScale(levels), LevelScale(levels, "centres")):
            error = scale.label(images.mos) - images.mos
            uniform = scale.uniform_l1(), scale.uniform_rmse()
            yield _cost(images.source, scale.labels, error, uniform)
        known = np.isfinite(images.mos_std)
        if known.any():
            mos = images.mos[known]
            soft = soft_labels(mos, images.mos_std[known]) @ np.array(LEVEL_VALUES)
            yield _cost(images.source, "soft", unit_score(soft) - mos, (None, None))


def _cost(
    source: str, labels: str, error: FloatArray, uniform: tuple[float | None, float | None]
) -> LabelCost:
    l1, rmse = float(np.abs(error).mean()), float(np.sqrt((error**2).mean()))
    return LabelCost(source, labels, len(error), l1, rmse, *uniform)
