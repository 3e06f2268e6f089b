"""Groups take turns: no group gives another image while a group with fewer has one to give.

Images of one group, such as a scene or a prompt, resemble each other, so the second label in a
group tells less than the first in another. Images that are labelled already count.
"""

import numpy as np

from train.selection.pool import BoolArray, IntArray, Pool


def turn_of_each(order: IntArray, pool: Pool) -> IntArray:
    """In which turn of its group each image comes, if groups are emptied in this order.

    Args:
        order: (C,) all candidates, those that are wanted most first.
        pool: of N images.

    Returns:
        (C,) in the order's order: so many of its group are labelled or stand before it.
    """
    group = pool.group[order]
    by_group = np.argsort(group, kind="stable")
    ordered = group[by_group]
    new = np.r_[True, ordered[1:] != ordered[:-1]]
    starts = np.flatnonzero(new)
    lengths = np.diff(np.r_[starts, len(order)])
    turn = np.empty(len(order), dtype=np.int64)
    turn[by_group] = np.arange(len(order)) - np.repeat(starts, lengths)
    return turn + _labelled_counts(pool)[order]


def taking_turns(order: IntArray, pool: Pool) -> IntArray:
    """The same candidates turn by turn; within a turn they keep their order, (C,)."""
    return order[np.argsort(turn_of_each(order, pool), kind="stable")]


class Turns:
    """The same for a greedy choice: which images may be taken now."""

    def __init__(self, pool: Pool) -> None:
        self._group = pool.group
        self._count = _labelled_counts(pool)  # of the image's group: labelled or taken
        self._free = np.zeros(len(pool), dtype=bool)
        self._free[pool.candidates()] = True

    def open(self) -> BoolArray:
        """(N,) candidates that are not taken, of the groups that gave least."""
        marks: BoolArray = self._free & (self._count == self._count[self._free].min())
        return marks

    def take(self, row: int) -> None:
        """An image is chosen."""
        self._free[row] = False
        self._count[self._group == self._group[row]] += 1


def _labelled_counts(pool: Pool) -> IntArray:
    """(N,) how many images of its group are labelled."""
    _, number = np.unique(pool.group, return_inverse=True)
    counts: IntArray = np.bincount(number, weights=pool.labelled)[number].astype(np.int64)
    return counts if pool.labelled is not None else np.zeros(len(pool), np.int64)
