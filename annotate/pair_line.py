"""Pairs of positions on a line of images: which are free, and which join all images."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
PositionPairs = npt.NDArray[np.int32]
"""(M, 2), positions u < v on a line of images. 32 bits: there are hundreds of millions of them."""
LineKeys = npt.NDArray[np.float64]
"""(N,), in [0, 1), ascending along the line."""


class FreePairs:
    """The pairs of positions that may be asked about and are neither answered nor taken.

    They are kept by offset, so that no search through all pairs is needed.

    Attributes:
        groups: (N,), group of the image at each position; images of one group are never paired.
    """

    def __init__(self, groups: IntArray, answered: PositionPairs) -> None:
        self.groups = groups
        self._answered = np.sort(self._by_offset(answered))
        self._taken = self._answered

    def at(self, offset: int) -> IntArray:
        """The free pairs (p, p + offset), as ascending p."""
        free = self.groups[:-offset] != self.groups[offset:]
        count = len(self.groups)
        start, end = np.searchsorted(self._taken, [offset * count, (offset + 1) * count])
        free[self._taken[start:end] % count] = False
        return np.flatnonzero(free)

    def take(self, pairs: PositionPairs) -> PositionPairs:
        """Take some pairs: they are no longer free.

        Returns:
            Those rows that were not answered.
        """
        keys = self._by_offset(pairs)
        self._taken = np.sort(np.concatenate([self._taken, keys]))
        return pairs[~is_among(keys, self._answered)]

    def _by_offset(self, pairs: PositionPairs) -> IntArray:
        wide = pairs.astype(np.int64)
        keys: IntArray = (wide[:, 1] - wide[:, 0]) * len(self.groups) + wide[:, 0]
        return keys


def chain(groups: IntArray) -> tuple[PositionPairs, PositionPairs]:
    """N - 1 pairs of neighbours that join all images, if there are two groups or more.

    Each position is paired with the next one of another group, so where all groups differ these
    are the pairs (p, p + 1). The last stretch of one group has no next one; its images but the
    first are paired with the image before it. All is joined: a stretch through the first image
    of the one that follows.

    Returns:
        The pairs of even positions and those of odd ones, N - 1 in all; two matchings where all
        groups differ. Both are empty if there is one group.
    """
    count = len(groups)
    starts = np.flatnonzero(np.diff(groups)) + 1  # of all stretches but the first
    if not len(starts):
        return joined([]), joined([])
    owners = np.delete(np.arange(count), starts[-1])
    following = starts[np.searchsorted(starts[:-1], owners, side="right")]
    partners = np.where(owners < starts[-1], following, starts[-1] - 1)
    pairs = np.sort(np.stack([owners, partners], axis=1), axis=1).astype(np.int32)
    return pairs[owners % 2 == 0], pairs[owners % 2 == 1]


def pair_keys(pairs: PositionPairs) -> IntArray:
    """(M,), another number for each pair; their order is that of (u, v)."""
    wide = pairs.astype(np.int64)
    keys: IntArray = (wide[:, 0] << 32) + wide[:, 1]
    return keys


def along_line(pairs: PositionPairs) -> PositionPairs:
    """The same pairs by ascending u, then v, so that neighbouring rows share images."""
    return pairs[np.argsort(pair_keys(pairs))]


def is_among(keys: IntArray, ascending: IntArray) -> npt.NDArray[np.bool_]:
    """(M,), which keys are among others that ascend; `np.isin` takes ten times as long."""
    place = np.searchsorted(ascending, keys)
    found: npt.NDArray[np.bool_] = place < len(ascending)
    found[found] = ascending[place[found]] == keys[found]
    return found


def joined(parts: Sequence[PositionPairs]) -> PositionPairs:
    """The rows of all parts, one after another."""
    return np.concatenate([np.empty((0, 2), dtype=np.int32), *parts])
