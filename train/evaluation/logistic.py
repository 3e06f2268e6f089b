"""Rising logistic curves from scores to opinions, fitted by least squares.

Held to rise: a falling curve would turn a backward ranking into a good figure.
"""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

FloatArray = NDArray[np.float64]

MOST_CALLS = 400
TOLERANCE = 1e-7
NARROWEST, WIDEST = 0.03, 30.0
"""Bounds of the width, in deviations of the scores: narrower is a jump, wider a straight line."""
OUTSIDE = 6.0
"""How many widths the centre may lie outside the scores: there the curve is an exponential."""
PLACES, WIDTHS = np.linspace(-1.0, 1.0, 13), np.geomspace(NARROWEST, WIDEST, 10)
SHORT_OF_A_LINE = 2e-3
"""Share of the variance of the opinions by which a fit may fall below the best rising line."""


class RisingCurve(NamedTuple):
    """q(x) = low + span / (1 + exp(-(x - centre) / width)) + slope x; none of them falls.

    `low`, `span` and q are in the unit of the opinions, `centre` and `width` in that of the
    scores. With slope = 0 it is the 4-parameter logistic, b2 = low, b1 = low + span,
    b3 = centre, b4 = width; otherwise the 5-parameter one, whose terms are b1 = span,
    b2 = 1 / width, b3 = centre, b4 = slope, b5 = low + span / 2.
    """

    low: float
    span: float
    centre: float
    width: float
    slope: float

    def __call__(self, scores: FloatArray) -> FloatArray:
        """(N,) scores as opinions."""
        step: FloatArray = special.expit((scores - self.centre) / self.width)
        return self.low + self.span * step + self.slope * scores


def fit_rising_curve(
    scores: FloatArray, mos: FloatArray, *, parameters: Literal[4, 5]
) -> RisingCurve | None:
    """The rising logistic curve nearest to the opinions.

    4:  q = b2 + (b1 - b2) / (1 + exp(-(x - b3) / b4)),                  b1 >= b2, b4 > 0
    5:  q = b1 (1/2 - 1 / (1 + exp(b2 (x - b3)))) + b4 x + b5,     b1, b4 >= 0, b2 > 0

    Given centre and width, the other terms are linear least squares; centre and width are searched
    on a grid, and the best of it is refined. Whoever reports a figure after the fit must say on
    which opinions it was fitted.

    Args:
        scores: (N,) x, finite.
        mos: (N,) finite.
        parameters: which of the two curves.

    Returns:
        None where no curve can be trusted: no more values than parameters, scores or opinions
        that do not vary, no convergence, a flat curve, or a worse one than the best rising
        straight line.

    Source:
        The curves of the VQEG tests; 4 parameters as in IQA-PyTorch, which has |b4| in place of
        b4 > 0; 5 as in Sheikh, Sabir and Bovik 2006, where they are not held to rise.
    """
    deviation = float(scores.std()) if len(scores) > parameters else 0.0
    if deviation <= 1e-12 * max(1.0, float(np.fabs(scores).max(initial=0.0))):
        return None
    spread = float(np.ptp(mos))
    if spread <= 1e-12 * max(1.0, float(np.fabs(mos).max())):
        return None
    centre = float(scores.mean())
    standard = (scores - centre) / deviation
    found = _best_fit(standard, mos, with_slope=parameters == 5)
    if found is None or not _worth_it(found, standard, mos):
        return None
    low, span, place, width, slope = found
    return RisingCurve(
        low=low - slope * centre / deviation,
        span=span,
        centre=centre + place * deviation,
        width=width * deviation,
        slope=slope / deviation,
    )


def _best_fit(standard: FloatArray, mos: FloatArray, *, with_slope: bool) -> RisingCurve | None:
    search = _Search(standard, mos - mos.mean(), with_slope=False)
    best = search.refined(search.grid)
    if with_slope:  # never worse than the curve with fewer parameters
        search = _Search(standard, mos - mos.mean(), with_slope=True)
        best = search.refined([*search.grid, *([] if best is None else [best])])
    if best is None:
        return None
    centre, width = search.shape(best)
    span, slope = search.coefficients(best)
    mean_step = float(special.expit((standard - centre) / width).mean())
    return RisingCurve(float(mos.mean()) - span * mean_step, span, centre, width, slope)


class _Search:
    """Looks for a place and the logarithm of a width; all else follows from these two."""

    def __init__(self, standard: FloatArray, centred: FloatArray, *, with_slope: bool) -> None:
        self._standard, self._centred, self._with_slope = standard, centred, with_slope
        self._reach = float(np.ptp(standard)) / 2
        self._middle = float(standard.min()) + self._reach
        self.grid = [np.array([place, np.log(width)]) for place in PLACES for width in WIDTHS]

    def shape(self, b: FloatArray) -> tuple[float, float]:
        """Centre and width; a place of -1 or 1 is `OUTSIDE` widths beyond the scores."""
        width = float(np.exp(b[1]))
        return self._middle + float(b[0]) * (self._reach + OUTSIDE * width), width

    def coefficients(self, b: FloatArray) -> tuple[float, float]:
        """Span and slope."""
        return _least_squares(
            self._step(b), self._standard, self._centred, with_slope=self._with_slope
        )

    def loss(self, b: FloatArray) -> float:
        """Share of the variance of the opinions that the best curve of this shape leaves."""
        span, slope = self.coefficients(b)
        left = self._centred - span * self._step(b) - slope * self._standard
        return float(left @ left / (self._centred @ self._centred))

    def refined(self, starts: list[FloatArray]) -> FloatArray | None:
        """The optimum near the best of the starts; None where it is not reached."""
        found = optimize.minimize(
            self.loss,
            x0=min(starts, key=self.loss),
            method="Nelder-Mead",  # the bounds of span and slope leave kinks
            bounds=[(-1.0, 1.0), (np.log(NARROWEST), np.log(WIDEST))],
            options={"fatol": TOLERANCE, "xatol": 1e-3, "maxfev": MOST_CALLS},
        )
        return np.asarray(found.x) if found.success else None

    def _step(self, b: FloatArray) -> FloatArray:
        centre, width = self.shape(b)
        step = special.expit((self._standard - centre) / width)
        less_mean: FloatArray = step - step.mean()
        return less_mean


def _least_squares(
    step: FloatArray, standard: FloatArray, centred: FloatArray, *, with_slope: bool
) -> tuple[float, float]:
    """Span and slope, neither below 0, of the least squares of `centred`; all have mean 0."""
    ss, sx, xx = float(step @ step), float(step @ standard), float(standard @ standard)
    sy, xy = float(step @ centred), float(standard @ centred)
    span = max(0.0, sy / ss) if ss > 1e-300 else 0.0
    if not with_slope:
        return span, 0.0
    determinant = ss * xx - sx**2
    if determinant > 1e-12 * ss * xx:
        both = (sy * xx - xy * sx) / determinant, (xy * ss - sy * sx) / determinant
        if min(both) >= 0:
            return both
    slope = max(0.0, xy / xx)
    return (span, 0.0) if span * sy >= slope * xy else (0.0, slope)


def _worth_it(found: RisingCurve, standard: FloatArray, mos: FloatArray) -> bool:
    """A straight line is nearly in the family, so a fit below it stopped short of its optimum."""
    fitted = found(standard)
    if np.ptp(fitted) <= 1e-9 * np.ptp(mos):
        return False
    centred = mos - mos.mean()
    line = centred - standard * max(0.0, float((standard * centred).mean()))
    total = float(centred @ centred)
    return float(((mos - fitted) ** 2).sum() - line @ line) <= SHORT_OF_A_LINE * total
