"""Intervals as people read them."""

import math


def interval_text(low: float | None, high: float | None, *, digits: int = 4) -> str | None:
    """Both ends in one cell that is not broken over lines; None where an end is not known."""
    if low is None or high is None or not math.isfinite(low) or not math.isfinite(high):
        return None
    return f"{low:.{digits}f}\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}{high:.{digits}f}"
