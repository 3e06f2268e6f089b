"""Which group an image belongs to: the one it was given, that of a look-alike, or its own.

A split never parts a group, so a stored group must not change because images are added:

1. A group that was given stands, and so does the group of content that is stored already.
2. Any other image takes the group of its nearest look-alike among those; of several equally
   near, the smallest group_id.
3. What looks like an image that has a group by now takes that group too, step by step.
4. The rest forms groups of its own: all that hang together by looks, named for the smallest
   image_id among them.

Within one call the order of the images does not matter.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from data_store.images.look_alikes import IntArray, Neighbours

_NONE = np.iinfo(np.int64).max


class Contents(NamedTuple):
    """N images of different content."""

    image_ids: Sequence[str]
    hash_rows: IntArray  # (N,) which of the M distinct hashes, or -1 where it has none
    fixed: Sequence[str | None]
    """The group that was given or is stored already."""


class Looks(NamedTuple):
    """What the M distinct hashes are like."""

    each_other: Neighbours
    """Rows are hashes, `other` too; every hash is its own neighbour."""
    stored: Neighbours
    """Rows are hashes, `other` is the place in `stored_groups`."""
    stored_groups: Sequence[str]


_NOBODY = Neighbours(*(np.empty(0, np.int64) for _ in range(3)))
NO_LOOKS = Looks(_NOBODY, _NOBODY, ())
"""Where no hashes are compared."""


class Groups(NamedTuple):
    """The groups of N images."""

    group_ids: list[str]
    by_looks: list[bool]
    """Whether the group is that of a look-alike."""
    bridges: NDArray[np.bool_]
    """(N,) whether it looks like an image of another group too, which stays apart."""


def grouped(contents: Contents, looks: Looks) -> Groups:
    """Put every image into a group, by the rules above."""
    # A group is a number here: its place among the known ones, or beyond them the place of the
    # image that names it. So the smaller number is the smaller group_id among known groups.
    known = sorted({*looks.stored_groups, *(group for group in contents.fixed if group)})
    number_of = {group: number for number, group in enumerate(known)}
    fixed = np.array([number_of.get(group or "", -1) for group in contents.fixed], np.int64)
    stored_numbers = np.array([number_of[group] for group in looks.stored_groups], np.int64)
    stored = looks.stored._replace(other=stored_numbers[looks.stored.other])
    order = np.argsort(np.array(contents.image_ids, dtype=np.str_))
    own = np.empty(len(order), np.int64)
    own[order] = len(known) + np.arange(len(order))

    rows, hashed = contents.hash_rows, contents.hash_rows >= 0
    hash_count = int(rows.max(initial=-1)) + 1
    given = hashed & (fixed >= 0)
    free = hashed & (fixed < 0)
    fixed_there = _least(hash_count, rows[given], fixed[given])
    group_there = _of_the_nearest(fixed_there, looks.each_other, stored)
    group_there = _spread(group_there, looks.each_other)
    own_there = _least(hash_count, rows[free], own[free])
    own_there = _hanging_together(own_there, looks.each_other, group_there == _NONE)
    group_there = np.where(group_there == _NONE, own_there, group_there)

    numbers = np.where(fixed >= 0, fixed, own)
    numbers[free] = group_there[rows[free]]
    image_of = dict(zip(own.tolist(), contents.image_ids, strict=True))
    return Groups(
        [known[n] if n < len(known) else image_of[n] for n in numbers.tolist()],
        ((fixed < 0) & (numbers != own)).tolist(),
        _bridges(rows, numbers, looks.each_other, stored),
    )


def _least(count: int, rows: IntArray, values: IntArray) -> IntArray:
    """(count,) the least of the values of each row; `_NONE` where a row has none."""
    least = np.full(count, _NONE)
    np.minimum.at(least, rows, values)
    return least


def _of_the_nearest(fixed_there: IntArray, near: Neighbours, stored: Neighbours) -> IntArray:
    """(M,) the group of the nearest image that has one, among the new and the stored."""
    has = fixed_there[near.other] != _NONE
    return _by_distance(
        len(fixed_there),
        np.concatenate([stored.row, near.row[has]]),
        np.concatenate([stored.distance, near.distance[has]]),
        np.concatenate([stored.other, fixed_there[near.other[has]]]),
    )


def _by_distance(count: int, rows: IntArray, distance: IntArray, groups: IntArray) -> IntArray:
    """(count,) the group at the least distance of each row, the smallest of several."""
    scale = int(groups.max(initial=0)) + 1
    best = _least(count, rows, distance * scale + groups)
    return np.where(best == _NONE, _NONE, best % scale)


def _spread(groups: IntArray, near: Neighbours) -> IntArray:
    """Groups spread to neighbours that have none, a step at a time, until nothing changes."""
    while True:
        step = (groups[near.row] == _NONE) & (groups[near.other] != _NONE)
        if not step.any():
            return groups
        reached = _by_distance(
            len(groups), near.row[step], near.distance[step], groups[near.other[step]]
        )
        groups = np.where(groups == _NONE, reached, groups)


def _hanging_together(own: IntArray, near: Neighbours, among: NDArray[np.bool_]) -> IntArray:
    """(M,) the least number within each set of hashes that neighbours connect."""
    edge = among[near.row] & among[near.other]
    rows, others = near.row[edge], near.other[edge]
    while True:
        least = own.copy()
        np.minimum.at(least, rows, own[others])
        if (least == own).all():
            return own
        own = least


def _bridges(
    rows: IntArray, numbers: IntArray, near: Neighbours, stored: Neighbours
) -> NDArray[np.bool_]:
    """(N,) whether an image in another group is within the distance."""
    hashed = rows >= 0
    count = int(rows.max(initial=-1)) + 1
    # All groups near a hash are the image's own exactly if the least and the greatest are.
    least, greatest = (
        sign * _least(count, rows[hashed], sign * numbers[hashed]) for sign in (1, -1)
    )
    found = []
    for sign, there in ((1, least), (-1, greatest)):
        near_rows = np.concatenate([near.row, stored.row])
        values = np.concatenate([there[near.other], stored.other])
        found.append(sign * _least(count, near_rows, sign * values))
    bridge = np.zeros(len(rows), np.bool_)
    own = numbers[hashed]
    bridge[hashed] = (found[0][rows[hashed]] != own) | (found[1][rows[hashed]] != own)
    return bridge
