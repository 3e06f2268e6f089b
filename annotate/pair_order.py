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
AT_ONCE = 12
"""Pairs asked in one order and then in the other within one turn; as few as a small encoder cache
holds images, as many as hide that the first image changes between them."""
HUB_RATIO = 16
"""An image with so many times the pairs of its partner is a hub: its prefix stays in use."""


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
    it in vain. Some pairs are asked in both orders in one turn, a few at a time: where more than
    allowed would be open, those that reach farthest, in turn u; and those of a hub, which many
    images are compared with, in the turn of the other image.

    Args:
        pairs: (M, 2), positions u < v, no pair twice; in any order.
        open_pairs: at no time are more pairs than this asked in one order only; at least 1.
    """
    lower, upper = pairs.astype(np.int64).T
    portion = max(1, min(AT_ONCE, open_pairs // 2))
    of_hub, home = _hubs(lower, upper)
    at_once = of_hub | _reaching_far(lower, upper, ~of_hub, open_pairs - portion)
    first, second = np.concatenate([lower, upper]), np.concatenate([upper, lower])
    if not at_once.any():
        order = np.lexsort([second, first])
    else:
        turn = np.where(np.concatenate([at_once, at_once]), np.concatenate([home, home]), first)
        # Number 0 are all other pairs of the turn; in each portion the turn's image is first first.
        number = 1 + _rank_in_turn(home, lower + upper - home, at_once) // portion
        number = np.where(at_once, number, 0)
        order = np.lexsort([second, first != turn, np.concatenate([number, number]), turn])
    return RequestOrder(pairs, order % max(len(pairs), 1), order >= len(pairs))


def predicted_prefix_hits(order: RequestOrder) -> float:
    """Share of the requests whose first image is that of the request before; 0 for none.

    The engine hits more often where a hub's prefix stays cached over the turns of others.
    """
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


def _hubs(lower: IntArray, upper: IntArray) -> tuple[BoolArray, IntArray]:
    """(M,), which pairs are of a hub, and in whose turn a pair belongs if it has but one."""
    counts = np.bincount(np.concatenate([lower, upper]))
    below, above = counts[lower], counts[upper]
    of_hub = np.maximum(below, above) >= HUB_RATIO * np.minimum(below, above)
    return of_hub, np.where(of_hub & (below > above), upper, lower)


def _reaching_far(
    lower: IntArray, upper: IntArray, considered: BoolArray, allowed: int
) -> BoolArray:
    """(M,), True for those considered that reach so far that, left open, too many would be."""

    def fits(kept: BoolArray) -> bool:
        return _most_open(lower[kept], upper[kept]) <= allowed

    if fits(considered):
        return np.zeros(len(lower), dtype=np.bool_)
    # The greatest span that may stay open: the more pairs may, the more are open.
    span = upper - lower
    spans = np.unique(span[considered])
    good, bad = -1, len(spans) - 1
    while bad - good > 1:
        middle = (good + bad) // 2
        if fits(considered & (span <= spans[middle])):
            good = middle
        else:
            bad = middle
    return considered & (span > spans[good]) if good >= 0 else considered


def _most_open(lower: IntArray, upper: IntArray) -> int:
    if not len(lower):
        return 0
    count = int(upper.max()) + 1
    change = np.bincount(lower, minlength=count) - np.bincount(upper, minlength=count)
    return int(np.cumsum(change).max())


def _rank_in_turn(turn: IntArray, partner: IntArray, chosen: BoolArray) -> IntArray:
    """(M,), how many chosen pairs of the same turn come before a chosen one; 0 for others."""
    rows = np.flatnonzero(chosen)
    rows = rows[np.lexsort([partner[rows], turn[rows]])]
    turns = turn[rows]
    rank = np.zeros(len(turn), dtype=np.int64)
    rank[rows] = np.arange(len(rows)) - np.searchsorted(turns, turns)
    return rank
