"""In which order the two questions about each pair are asked: the first image repeats.

The engine keeps what it computed for the prompt up to the end of the first image (the KV prefix
cache) and the second image's features (the encoder cache) for a while. All questions with the same
first image are therefore asked one after another, and along a line whose pairs lie near each
other, so that second images come again soon.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from annotate.pair_line import IntArray, PositionPairs

BoolArray = npt.NDArray[np.bool_]

OPEN_PAIRS = 2048


class RequestOrder(NamedTuple):
    """2M requests: each of M pairs in both orders."""

    pairs: PositionPairs
    """(M, 2), positions u < v, as given."""
    rows: IntArray
    """(2M,), which of the pairs each request asks about."""
    backward: BoolArray
    """(2M,), True where v is shown first."""

    @property
    def first(self) -> npt.NDArray[np.int32]:
        """(2M,), position of the image shown first."""
        return self.pairs[self.rows, self.backward.astype(np.intp)]

    @property
    def second(self) -> npt.NDArray[np.int32]:
        """(2M,), position of the image shown second."""
        return self.pairs[self.rows, 1 - self.backward.astype(np.intp)]


def request_order(pairs: PositionPairs, *, open_pairs: int = OPEN_PAIRS) -> RequestOrder:
    """Both orders of each pair; the requests with one first image are neighbours.

    Images have their turn in the order of the line. In turn w all pairs of w are asked with w
    first, by ascending second position. So pair (u, v) is asked in one order in turn u and in
    the other in turn v, and is open between them: a process that dies then has asked half of
    it in vain. Where more pairs than allowed would be open, those that reach farthest are asked
    in both orders in turn u.

    Args:
        pairs: (M, 2), positions u < v, no pair twice; in any order.
        open_pairs: at no time are more pairs than this asked in one order only; at least 1.
    """
    lower, upper = pairs.astype(np.int64).T
    at_once = _asked_at_once(lower, upper, open_pairs // 2)
    turn = np.concatenate([lower, np.where(at_once, lower, upper)])
    second = np.concatenate([upper, lower])
    keys = [second, turn]
    if at_once.any():
        # Several at a time: so many with u first, then the same with v first.
        portion = _rank_in_turn(lower, upper, at_once) // (open_pairs - open_pairs // 2)
        portion = np.where(at_once, portion + 1, 0)
        reverse = np.concatenate([np.zeros_like(at_once), at_once])
        keys = [second, reverse, np.concatenate([portion, portion]), turn]
    order = np.lexsort(keys)
    return RequestOrder(pairs, order % max(len(pairs), 1), order >= len(pairs))


def predicted_prefix_hits(order: RequestOrder) -> float:
    """Share of the requests whose first image is that of the request before; 0 for none."""
    first = order.first
    return float((first[1:] == first[:-1]).sum()) / max(len(first), 1)


def laid_out(pairs: npt.NDArray[np.integer], count: int) -> IntArray:
    """An order of images in which the images of a pair stand near each other.

    Reverse Cuthill-McKee (George and Liu 1981, Computer Solution of Large Sparse Positive
    Definite Systems, chapter 4), as SciPy has it.

    Args:
        pairs: (M, 2), numbers of images from 0 to count - 1.
        count: how many images there are.

    Returns:
        (count,), the number of the image at each position.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import reverse_cuthill_mckee

    if not count:
        return np.empty(0, dtype=np.int64)
    first, second = pairs.T
    ends = (np.concatenate([first, second]), np.concatenate([second, first]))
    graph = coo_array((np.ones(2 * len(pairs), dtype=np.int8), ends), shape=(count, count))
    order = reverse_cuthill_mckee(graph.tocsr(), symmetric_mode=True)
    return np.asarray(order, dtype=np.int64)


def _asked_at_once(lower: IntArray, upper: IntArray, allowed: int) -> BoolArray:
    """(M,), True for the pairs that reach so far that, left open, too many would be."""
    span = upper - lower
    if _most_open(lower, upper) <= 2 * allowed:
        return np.zeros(len(lower), dtype=np.bool_)
    # The greatest span that may stay open: the more pairs may, the more are open.
    spans = np.unique(span)
    fits, fails = -1, len(spans) - 1
    while fails - fits > 1:
        middle = (fits + fails) // 2
        kept = span <= spans[middle]
        if _most_open(lower[kept], upper[kept]) <= allowed:
            fits = middle
        else:
            fails = middle
    return np.asarray(span > spans[fits]) if fits >= 0 else np.ones(len(span), dtype=np.bool_)


def _most_open(lower: IntArray, upper: IntArray) -> int:
    if not len(lower):
        return 0
    count = int(upper.max()) + 1
    change = np.bincount(lower, minlength=count) - np.bincount(upper, minlength=count)
    return int(np.cumsum(change).max())


def _rank_in_turn(lower: IntArray, upper: IntArray, chosen: BoolArray) -> IntArray:
    """(M,), how many chosen pairs of the same lower end come before a chosen one; 0 for others."""
    rows = np.flatnonzero(chosen)
    rows = rows[np.lexsort([upper[rows], lower[rows]])]
    ends = lower[rows]
    rank = np.zeros(len(lower), dtype=np.int64)
    rank[rows] = np.arange(len(rows)) - np.searchsorted(ends, ends)
    return rank
