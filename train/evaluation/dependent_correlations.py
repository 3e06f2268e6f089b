"""Do two scorers correlate with the same opinions equally well? Williams' t and Meng's z.

Both take the images as independent draws from a normal population: groups of images of one
content make them too sure, and for rank correlations they are approximate. The bootstrap by group
(`group_bootstrap`) needs neither.
"""

import math
from typing import NamedTuple

from scipy import stats


class Significance(NamedTuple):
    """A test statistic and its two-sided p-value."""

    statistic: float
    p_value: float


UNDEFINED = Significance(math.nan, math.nan)


def williams_t(r12: float, r13: float, r23: float, n: int) -> Significance:
    """Williams' t of the difference r12 - r13, with n - 3 degrees of freedom.

    t = (r12 - r13) sqrt((n - 1) (1 + r23) / (2 (n - 1) / (n - 3) |R| + rbar^2 (1 - r23)^3))
    |R| = 1 - r12^2 - r13^2 - r23^2 + 2 r12 r13 r23,   rbar = (r12 + r13) / 2

    Args:
        r12: correlation of the first scorer with the opinions.
        r13: of the second scorer with the opinions.
        r23: of the two scorers.
        n: number of images.

    Returns:
        NaN for fewer than four images, for an undefined correlation and for equal scorers.

    Source:
        Williams 1959, The comparison of regression variables; the form in Steiger 1980, Tests
        for comparing elements of a correlation matrix.
    """
    determinant = 1 - r12**2 - r13**2 - r23**2 + 2 * r12 * r13 * r23
    mean = (r12 + r13) / 2
    if n < 4:
        return UNDEFINED
    spread = 2 * (n - 1) / (n - 3) * determinant + mean**2 * (1 - r23) ** 3
    if not spread > 1e-15:
        return UNDEFINED
    t = (r12 - r13) * math.sqrt((n - 1) * (1 + r23) / spread)
    return Significance(t, float(2 * stats.t.sf(abs(t), n - 3)))


def meng_z(r12: float, r13: float, r23: float, n: int) -> Significance:
    """Meng, Rosenthal and Rubin's z of the difference of Fisher's transforms of r12 and r13.

    z = (atanh r12 - atanh r13) sqrt((n - 3) / (2 (1 - r23) h))
    h = (1 - f q) / (1 - q),   f = min(1, (1 - r23) / (2 (1 - q))),   q = (r12^2 + r13^2) / 2

    Arguments and what is undefined as for `williams_t`; also where a correlation is 1 or -1.

    Source:
        Meng, Rosenthal and Rubin 1992, Comparing correlated correlation coefficients.
    """
    square = (r12**2 + r13**2) / 2
    if n < 4 or not (max(abs(r12), abs(r13)) < 1 and 1 - r23 > 1e-15):
        return UNDEFINED
    f = min(1.0, (1 - r23) / (2 * (1 - square)))
    h = (1 - f * square) / (1 - square)
    z = (math.atanh(r12) - math.atanh(r13)) * math.sqrt((n - 3) / (2 * (1 - r23) * h))
    return Significance(z, float(2 * stats.norm.sf(abs(z))))
