"""Scores of images from preferences between pairs of them: the Bradley-Terry model.

Pure arithmetic on arrays; which pairs, and whose, is `pair_scores.py`.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

MOST_NEWTON_STEPS = 50
MOST_SOLVER_STEPS = 500
TOLERANCE = 1e-8
"""A gradient this small, per unit of an item's evidence, moves no score in the seventh digit."""
MOST_ITEMS_WITH_ERRORS = 2000
"""Standard errors need the inverse of an (N, N) matrix: 32 MB and half a second at this size."""


class Comparisons(NamedTuple):
    """M judged pairs of N items."""

    item_count: int
    first: IntArray
    """(M,), numbers of the first items."""
    second: IntArray
    """(M,), numbers of the second items."""
    preference: FloatArray
    """(M,), P(first better) in [0, 1]."""
    weight: FloatArray
    """(M,), how many judgements each stands for, above 0."""


class Fit(NamedTuple):
    """The most probable scores."""

    scores: FloatArray
    """(N,), in logits: a difference d means a preference of sigmoid(d). Their sum is 0."""
    standard_errors: FloatArray | None
    """(N,), in logits; None above `MOST_ITEMS_WITH_ERRORS` items."""
    steps: int
    """Newton steps that were taken."""
    converged: bool
    """Whether the gradient vanished; otherwise the scores are not the most probable ones."""


def fit_bradley_terry(pairs: Comparisons, *, precision: float = 1.0) -> Fit:
    """Find the scores that make the preferences most probable, a normal prior given.

    P(i better than j) = sigmoid(s_i - s_j)
    maximise  sum_ij w_ij [p_ij ln P + (1 - p_ij) ln(1 - P)] - precision / 2 sum_i s_i^2

    The prior N(0, 1 / precision) keeps the scores finite where an item won or lost everything,
    and makes them unique: they sum to 0 within each set of connected items. The function is
    strictly concave, so Newton's method with halved steps finds its maximum from anywhere. Standard
    errors are those of the normal approximation there: roots of the inverse Hessian's diagonal.

    Args:
        pairs: the judgements; a soft preference counts as that share of its weight.
        precision: inverse variance of the prior, above 0.

    Raises:
        ValueError: an array has another length, a number is outside its range, or an item is
            compared with itself.

    Source:
        Bradley and Terry 1952, Rank analysis of incomplete block designs I. The prior is that
        of the 2AFC evaluation of multimodal models (docs/methods.md).
    """
    _check(pairs, precision)
    scores = np.zeros(pairs.item_count)
    wanted = TOLERANCE * (precision + _per_item(pairs, pairs.weight))
    objective = _objective(pairs, scores, precision)
    steps = 0
    while True:
        gradient, curvature = _slopes(pairs, scores, precision)
        converged = bool(np.all(np.abs(gradient) <= wanted))
        if converged or steps == MOST_NEWTON_STEPS:
            break
        direction = _solve(pairs, curvature, gradient, precision)
        rise = float(gradient @ direction)
        length, rounding = 1.0, 1e-12 * (1 + abs(objective))
        while True:
            proposal = scores + length * direction
            proposed = _objective(pairs, proposal, precision)
            if proposed >= objective + 1e-4 * length * rise - rounding or length < 1e-9:
                break
            length /= 2
        scores, objective, steps = proposal, proposed, steps + 1
    errors = _standard_errors(pairs, scores, precision)
    return Fit(scores, errors, steps, converged)


def component_count(pairs: Comparisons) -> int:
    """How many parts the items fall into that no pair connects; items without a pair count.

    Scores of two parts cannot be compared: each part has its own zero.
    """
    label = np.arange(pairs.item_count)
    while True:
        least = np.minimum(label[pairs.first], label[pairs.second])
        merged = label.copy()
        # A label is an item too: what is found for an item holds for all that share its label.
        for end in (pairs.first, pairs.second):
            np.minimum.at(merged, label[end], least)
            np.minimum.at(merged, end, least)
        while not np.array_equal(merged[merged], merged):
            merged = merged[merged]
        if np.array_equal(merged, label):
            return len(np.unique(label))
        label = merged


def _check(pairs: Comparisons, precision: float) -> None:
    arrays = (pairs.first, pairs.second, pairs.preference, pairs.weight)
    if len({array.shape for array in arrays}) != 1 or pairs.first.ndim != 1:
        raise ValueError(f"shapes {[array.shape for array in arrays]}, not (M,) four times")
    ends = np.concatenate([pairs.first, pairs.second])
    if len(ends) and (ends.min() < 0 or ends.max() >= pairs.item_count):
        raise ValueError(f"an item is not in [0, {pairs.item_count})")
    if np.any(pairs.first == pairs.second):
        raise ValueError("an item is compared with itself")
    if not np.all((pairs.preference >= 0) & (pairs.preference <= 1)):
        raise ValueError("a preference is not in [0, 1]")
    if not (np.all((pairs.weight > 0) & np.isfinite(pairs.weight)) and precision > 0):
        raise ValueError("a weight or the precision is not above 0")


def _objective(pairs: Comparisons, scores: FloatArray, precision: float) -> float:
    """The logarithm of the posterior, up to a constant."""
    gap = scores[pairs.first] - scores[pairs.second]
    # p ln P + (1 - p) ln(1 - P) = p d - ln(1 + e^d), which does not overflow this way.
    log_likelihood = pairs.weight @ (pairs.preference * gap - np.logaddexp(0.0, gap))
    return float(log_likelihood - precision / 2 * (scores @ scores))


def _slopes(
    pairs: Comparisons, scores: FloatArray, precision: float
) -> tuple[FloatArray, FloatArray]:
    """The gradient, (N,), and each pair's share w P (1 - P) of the negative Hessian, (M,)."""
    gap = scores[pairs.first] - scores[pairs.second]
    prob = 0.5 * (1.0 + np.tanh(gap / 2))
    gradient = _differences(pairs, pairs.weight * (pairs.preference - prob))
    return gradient - precision * scores, pairs.weight * prob * (1.0 - prob)


def _solve(
    pairs: Comparisons, curvature: FloatArray, gradient: FloatArray, precision: float
) -> FloatArray:
    """The Newton direction H^-1 g, by conjugate gradients divided by the diagonal.

    H is precision on the diagonal plus the graph Laplacian of the pairs, weighted by curvature.
    """
    diagonal = precision + _per_item(pairs, curvature)
    direction = np.zeros_like(gradient)
    residual = gradient.copy()
    scaled = residual / diagonal
    search, product = scaled.copy(), float(residual @ scaled)
    # A step as exact as the gradient is small keeps Newton's quadratic convergence.
    enough = product * min(0.01, product / len(gradient)) ** 2
    for _ in range(MOST_SOLVER_STEPS):
        if product <= enough:
            break
        image = precision * search + _differences(
            pairs, curvature * (search[pairs.first] - search[pairs.second])
        )
        length = product / float(search @ image)
        direction += length * search
        residual -= length * image
        scaled = residual / diagonal
        previous, product = product, float(residual @ scaled)
        search = scaled + product / previous * search
    return direction


def _standard_errors(pairs: Comparisons, scores: FloatArray, precision: float) -> FloatArray | None:
    count = pairs.item_count
    if count > MOST_ITEMS_WITH_ERRORS:
        return None
    curvature = _slopes(pairs, scores, precision)[1]
    hessian = np.diag(precision + _per_item(pairs, curvature))
    np.subtract.at(hessian, (pairs.first, pairs.second), curvature)
    np.subtract.at(hessian, (pairs.second, pairs.first), curvature)
    return np.asarray(np.sqrt(np.diag(np.linalg.inv(hessian))), dtype=np.float64)


def _per_item(pairs: Comparisons, values: FloatArray) -> FloatArray:
    """(N,), the sum of the values of each item's pairs."""
    return _sums(pairs.first, values, pairs.item_count) + _sums(
        pairs.second, values, pairs.item_count
    )


def _differences(pairs: Comparisons, values: FloatArray) -> FloatArray:
    """(N,), the sum of the values of the pairs where an item is first, less where it is second."""
    return _sums(pairs.first, values, pairs.item_count) - _sums(
        pairs.second, values, pairs.item_count
    )


def _sums(items: IntArray, values: FloatArray, count: int) -> FloatArray:
    return np.asarray(np.bincount(items, values, count), dtype=np.float64)
