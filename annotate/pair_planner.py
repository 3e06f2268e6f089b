"""Choose which pairs to ask about: random matchings, extendable without repeats.

The pairs of a set of images form one fixed sequence for each seed; a budget of N takes the first
N of it. A larger budget therefore contains every smaller one, and a run that was cut short goes
on where it stopped.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from schemas.errors import PairBudgetError

IndexPairs = npt.NDArray[np.int64]

_ENUMERATE_BELOW = 0.5
"""Once so small a share of a round's matches is new, the rest is drawn from a full list."""


def plan_pairs(
    groups: npt.NDArray[np.int64], wanted: int, *, seed: int, answered: IndexPairs
) -> IndexPairs:
    """The pairs to ask about so that `wanted` are answered in all.

    Args:
        groups: (N,), number of each image's group; images of one group are never paired.
        wanted: how many pairs there should be, those already answered included.
        seed: of the sequence.
        answered: (A, 2), pairs that are answered, by image number, smaller first.

    Returns:
        (max(wanted - A, 0), 2), image numbers, smaller first, in the order of the sequence.

    Raises:
        PairBudgetError: fewer pairs than `wanted` are possible.
    """
    count = len(groups)
    possible = possible_pairs(groups)
    if wanted > possible:
        raise PairBudgetError(
            f"{wanted} pairs were asked for, {count} images in {len(np.unique(groups))} groups"
            f" form {possible}",
            where="--n-pairs",
            fix=f"ask for at most {possible}, or add images",
        )
    missing = wanted - len(answered)
    if missing <= 0:
        return np.empty((0, 2), dtype=np.int64)
    done = np.sort(answered[:, 0] * count + answered[:, 1])
    chosen: list[npt.NDArray[np.int64]] = []
    for keys in _sequence(groups, seed):
        new = keys[~np.isin(keys, done)][:missing]
        chosen.append(new)
        missing -= len(new)
        if not missing:
            break
    keys = np.concatenate(chosen)
    return np.stack([keys // count, keys % count], axis=1)


def possible_pairs(groups: npt.NDArray[np.int64]) -> int:
    """How many pairs of images from different groups there are."""
    sizes = np.unique(groups, return_counts=True)[1].astype(object)  # exact beyond 64 bits
    count = len(groups)
    return int(count * (count - 1) // 2 - sum(n * (n - 1) // 2 for n in sizes))


def for_prefix_cache(pairs: IndexPairs) -> IndexPairs:
    """The same pairs, sorted so that the first image stays the same as long as possible."""
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    return np.asarray(pairs[order], dtype=np.int64)


def _sequence(groups: npt.NDArray[np.int64], seed: int) -> Iterator[npt.NDArray[np.int64]]:
    """All pairs as keys `smaller * N + greater`, in rounds, each pair once.

    A round is a random perfect matching, so after K rounds every image is in about K pairs
    (as in 2AFC prompting: one random perfect matching per round). When most matches of a round are
    repeats, the remaining pairs follow in random order.
    """
    count = len(groups)
    seen = np.empty(0, dtype=np.int64)
    for number in range(count):
        order = np.random.default_rng((seed, number)).permutation(count)
        matched = np.sort(order[: count - count % 2].reshape(-1, 2), axis=1)
        apart = matched[groups[matched[:, 0]] != groups[matched[:, 1]]]
        keys = apart[:, 0] * count + apart[:, 1]
        new = keys[~np.isin(keys, seen)]
        seen = np.union1d(seen, new)
        yield new
        if len(new) < _ENUMERATE_BELOW * len(matched) and count <= 20_000:
            break
    first, second = np.triu_indices(count, k=1)
    apart_mask = groups[first] != groups[second]
    keys = first[apart_mask] * count + second[apart_mask]
    rest = keys[~np.isin(keys, seen)]
    yield np.random.default_rng((seed, count)).permutation(rest)
