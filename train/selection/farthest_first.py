"""Greedy k-centre: the next image is the one least like all that are chosen or labelled.

Gonzalez 1985, Clustering to minimize the maximum intercluster distance: farthest-first traversal
covers within twice the best radius. Sener and Savarese 2018, arXiv:1708.00489, choose images to
label so, in the features of the network that is to learn from them.
"""

from typing import NamedTuple

import numpy as np

from train.selection.pool import FloatArray, IntArray, Matrix, Pool
from train.selection.turns import Turns

CENTRES_AT_ONCE = 256


class Chosen(NamedTuple):
    """Images in the order in which they were chosen, and how much each counted for."""

    order: IntArray  # (K,) rows of the pool
    value: FloatArray  # (K,)


def select_k_centre(
    features: Matrix, pool: Pool, count: int, *, start: int, weight: FloatArray | None = None
) -> Chosen:
    """Go to the farthest candidate, again and again.

    Args:
        features: (N, D), on one scale.
        pool: of N images; the labelled ones are centres from the beginning.
        count: K, at most the number of candidates.
        start: row to begin with where nothing is labelled and no weight given.
        weight: (N,) at least 0, multiplies the distance; by default all are 1.

    Returns:
        K different rows, the first k being those of `count=k`; the value is the distance to the
        nearest centre before, infinite where there was none. Time K x N x D, and no matrix of
        all distances.
    """
    factor = np.ones(len(pool)) if weight is None else weight
    norms = np.einsum("nd,nd->n", features, features)
    nearest = np.full(len(pool), np.inf)
    labelled = pool.labelled_rows()
    for first in range(0, len(labelled), CENTRES_AT_ONCE):
        some = labelled[first : first + CENTRES_AT_ONCE]
        nearest = np.minimum(nearest, _distances(features, norms, some).min(axis=1))
    turns = Turns(pool)
    order, value = np.empty(count, np.int64), np.empty(count)
    for step in range(count):
        if np.isfinite(nearest).all():
            row = int(np.argmax(np.where(turns.open(), factor * nearest, -1.0)))
        else:  # there is no centre yet
            row = start if weight is None else int(np.argmax(np.where(turns.open(), weight, -1.0)))
        order[step], value[step] = row, nearest[row]
        turns.take(row)
        nearest = np.minimum(nearest, _distances(features, norms, np.array([row]))[:, 0])
    return Chosen(order, value)


def _distances(features: Matrix, norms: Matrix, centres: IntArray) -> FloatArray:
    """(N, L) Euclidean."""
    squared = norms[:, None] - 2.0 * (features @ features[centres].T) + norms[centres]
    found: FloatArray = np.sqrt(np.maximum(squared, 0.0)).astype(np.float64)
    return found
