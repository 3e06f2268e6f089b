"""Choose pairs of positions on a line of images: exact, extendable, connected, local.

Position p and offset d give the pair (p, p + d), so the offsets from 1 to N - 1 hold every pair
once, and no list of what was chosen before is needed. The pairs of a line form one fixed
sequence; a budget of M takes its first M. A larger budget therefore contains every smaller one, a
run that was cut short goes on where it stopped, and pairs that were answered for another reason
are passed over. Which image stands where is `pair_strategies.py` (decision 13).
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from annotate.pair_doubt import PointAnswers, by_doubt
from annotate.pair_line import (
    FreePairs,
    IntArray,
    LineKeys,
    PositionPairs,
    chain,
    is_among,
    joined,
    pair_keys,
)
from schemas.errors import PairBudgetError

FIRST_OFFSETS = (1, 8, 5, 13, 21)
"""Before all others, which ascend. Chosen by `python -m benchmarks.pair_graphs`: at five pairs per
image the scores from these pairs are nearly as good as from random matchings, and an image recurs
within 16 places, so that an encoder cache of 24 images encodes each image once."""


def plan_along(
    groups: IntArray,
    wanted: int,
    *,
    answered: PositionPairs,
    first_offsets: Sequence[int] = FIRST_OFFSETS,
) -> PositionPairs:
    """The pairs to ask about so that `wanted` are answered, offset by offset.

    First come N - 1 pairs of neighbours, which join all images (`pair_line.chain`), then each
    offset; both as two matchings, so that K matchings give each image about K pairs.

    Args:
        groups: (N,), group of the image at each position; images of one group are never paired.
            Where they may be, give each image a group of its own.
        wanted: how many pairs there should be, those already answered included.
        answered: (A, 2), answered pairs of these images, each once.
        first_offsets: before the others, which follow in ascending order.

    Returns:
        (max(wanted - A, 0), 2), in the order of the sequence. Of the last matching a part is
        taken from all over the line.

    Raises:
        PairBudgetError: fewer pairs than `wanted` are possible.
    """
    _check_budget(groups, wanted, answered)
    free = FreePairs(groups, answered)
    matchings = _matchings(free, dict.fromkeys([*first_offsets, *range(1, len(groups))]))
    return _first(wanted - len(answered), matchings)


def plan_uncertain(
    groups: IntArray, points: PointAnswers, wanted: int, *, answered: PositionPairs
) -> PositionPairs:
    """As `plan_along`: after the N - 1 pairs of neighbours, the least certain pairs first.

    Uncertain is the preference that the point answers imply (`pair_doubt.by_doubt`).

    Args:
        groups: as in `plan_along`; the line ascends by score.
        points: score and variance at each position.
        wanted: how many pairs there should be, those already answered included.
        answered: (A, 2), answered pairs of these images, each once.

    Raises:
        PairBudgetError: fewer pairs than `wanted` are possible.
    """
    _check_budget(groups, wanted, answered)
    free = FreePairs(groups, answered)
    missing = wanted - len(answered)
    joining = _first(missing, _matchings(free, ()))
    return joined([joining, *by_doubt(free, points, missing - len(joining))])


def plan_listed(
    listed: PositionPairs, wanted: int | None, *, answered: PositionPairs
) -> tuple[PositionPairs, int]:
    """The pairs of a list to ask about so that its first `wanted` are answered.

    Args:
        listed: (L, 2), positions u < v, no pair twice.
        wanted: how many of the list; None for all.
        answered: (A, 2), answered pairs, in the list or not.

    Returns:
        (M, 2) in the order of the list, and how many of the list's pairs are answered.

    Raises:
        PairBudgetError: the list is shorter than `wanted`.
    """
    if wanted is not None and wanted > len(listed):
        raise PairBudgetError(
            f"{wanted} pairs were asked for, the query lists {len(listed)} different ones",
            where="--n-pairs",
            fix=f"ask for at most {len(listed)}, or let the query list more; it must list pairs"
            " that are answered too, so that a run that was cut short can go on",
        )
    known = is_among(pair_keys(listed), np.sort(pair_keys(answered)))
    missing = len(listed) if wanted is None else max(wanted - int(known.sum()), 0)
    return listed[~known][:missing], int(known.sum())


def possible_pairs(groups: IntArray) -> int:
    """How many pairs of images from different groups there are."""
    sizes = np.unique(groups, return_counts=True)[1]
    count = len(groups)
    return count * (count - 1) // 2 - int((sizes * (sizes - 1) // 2).sum())


def part_of(pairs: PositionPairs, keys: LineKeys, *, part: int, parts: int) -> PositionPairs:
    """The pairs whose lower end lies in one of several stretches of the line.

    Where a stretch ends is fixed by the keys and not by the pairs, so the parts stay disjoint
    when workers start at different times and some pairs are answered by then.

    Args:
        pairs: (M, 2), positions u < v.
        keys: (N,), ascending along the line.
        part: which stretch, 0 is the first.
        parts: how many there are.

    Returns:
        Some of the rows, in the order they had.
    """
    stretch = np.floor(keys * parts).astype(np.int64)
    ours: PositionPairs = pairs[stretch[pairs[:, 0]] == part]
    return ours


def _check_budget(groups: IntArray, wanted: int, answered: PositionPairs) -> None:
    # Pairs within a group that were answered when they were allowed stay paid for.
    within = int((groups[answered[:, 0]] == groups[answered[:, 1]]).sum())
    possible = possible_pairs(groups) + within
    if wanted > possible:
        raise PairBudgetError(
            f"{wanted} pairs were asked for, {len(groups)} images in {len(np.unique(groups))}"
            f" groups form {possible}",
            where="--n-pairs",
            fix=f"ask for at most {possible}, or add images",
        )


def _matchings(free: FreePairs, offsets: Iterable[int]) -> Iterator[PositionPairs]:
    """The free pairs, in an order that does not depend on which are free."""
    for neighbours in chain(free.groups):
        yield free.take(neighbours)
    for offset in offsets:
        lower = free.at(offset)
        for odd in (0, 1):
            half = lower[lower // offset % 2 == odd]
            yield np.stack([half, half + offset], axis=1).astype(np.int32)


def _first(missing: int, matchings: Iterable[PositionPairs]) -> PositionPairs:
    """The first pairs of a sequence; of the last matching, some from all over the line."""
    chosen: list[PositionPairs] = []
    for matching in matchings:
        if missing <= 0:
            break
        taken = matching if len(matching) <= missing else _spread(matching, missing)
        chosen.append(taken)
        missing -= len(taken)
    return joined(chosen)


def _spread(matching: PositionPairs, count: int) -> PositionPairs:
    """Some pairs from all over a matching; more of them contain the fewer.

    Multiples of the golden ratio fall evenly, however many are taken, and a pair's place is its
    own, whichever others are answered. The upper end parts pairs with one lower end.
    """
    lower, upper = matching.astype(np.uint64).T
    place = lower * np.uint64(0x9E3779B97F4A7C15) + upper
    kept: PositionPairs = matching[np.sort(np.argpartition(place, count - 1)[:count])]
    return kept
