"""How agreement grows with the share of labelled images, and how many labels are enough."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

ENOUGH = 0.95
"""Share of the full-label measure that counts as reached."""


class Measured(NamedTuple):
    """One trained student: which method, how many labels, which split or seed, how good."""

    method: str
    fraction: float
    """Share of the training images with MOS that was used, in [0, 1]; 0 is no label."""
    seed: int
    value: float | None
    """The measure, greater is better; None where it is undefined or the run failed."""


class CurvePoint(NamedTuple):
    """A method at one share of labels, over the splits and seeds; None where none is defined."""

    method: str
    fraction: float
    runs: int
    """Splits and seeds that define the measure."""
    failed: int
    median: float | None
    mean: float | None
    sd: float | None
    low: float | None
    """Least and greatest of the splits and seeds."""
    high: float | None


class LabelsNeeded(NamedTuple):
    """The share of labels at which a method reaches `ENOUGH` of its full-label measure."""

    method: str
    fraction: float | None
    """None where it is not reached, or where no measure is above 0."""
    at_most: bool
    """Fewer labels may be enough: no share between none and `fraction` was measured."""
    target: float | None
    full_fraction: float | None
    """What stood for the full labels: 1 where measured, else the greatest share measured."""


def label_curves(rows: Iterable[Measured]) -> list[CurvePoint]:
    """Gather runs to one point per method and share, methods in the order they first appear."""
    found: dict[str, dict[float, list[float | None]]] = {}
    for row in rows:
        found.setdefault(row.method, defaultdict(list))[row.fraction].append(row.value)
    return [
        _point(method, fraction, by_fraction[fraction])
        for method, by_fraction in found.items()
        for fraction in sorted(by_fraction)
    ]


def _point(method: str, fraction: float, values: list[float | None]) -> CurvePoint:
    good = [value for value in values if value is not None and math.isfinite(value)]
    failed = len(values) - len(good)
    if not good:
        return CurvePoint(method, fraction, 0, failed, None, None, None, None, None)
    return CurvePoint(
        method,
        fraction,
        len(good),
        failed,
        median=float(np.median(good)),
        mean=float(np.mean(good)),
        sd=float(np.std(good, ddof=1)) if len(good) > 1 else None,
        low=min(good),
        high=max(good),
    )


def labels_needed(points: Iterable[CurvePoint], *, enough: float = ENOUGH) -> list[LabelsNeeded]:
    """Where the medians first reach a share of the full-label median, per method.

    Between two measured shares the curve is taken as straight over the logarithm of the share.
    From no label at all there is no logarithm: a curve that crosses before the first labelled
    share that was measured is given that share, marked `at_most`.

    Args:
        points: as `label_curves` returns.
        enough: share of the full-label median.
    """
    curves: dict[str, dict[float, float | None]] = {}
    for point in points:
        curves.setdefault(point.method, {})[point.fraction] = point.median
    return [_needed(method, curve, enough) for method, curve in curves.items()]


def _needed(method: str, curve: Mapping[float, float | None], enough: float) -> LabelsNeeded:
    steps = sorted((x, y) for x, y in curve.items() if y is not None)
    if not steps:
        return LabelsNeeded(method, None, at_most=False, target=None, full_fraction=None)
    full_fraction, full = steps[-1]
    target = enough * full
    if full <= 0:
        return LabelsNeeded(method, None, False, None, full_fraction)  # noqa: FBT003
    reached = next(i for i, (_, y) in enumerate(steps) if y >= target)
    fraction = steps[reached][0]
    at_most = fraction > 0  # unless a smaller share was measured and is not enough
    if reached:
        (x0, y0), (x1, y1) = steps[reached - 1 : reached + 1]
        at_most = x0 == 0
        if not at_most:
            share = (target - y0) / (y1 - y0)
            fraction = math.exp(math.log(x0) + share * (math.log(x1) - math.log(x0)))
    return LabelsNeeded(method, fraction, at_most, target, full_fraction)
