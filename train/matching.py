"""Batches in which every image is seen once and still has a partner to be compared with.

A pair loss needs both images of a pair in the same forward pass. Drawing pairs freely would
compute popular images many times per epoch; a matching uses each at most once. Each epoch draws
another matching, so over the epochs all pairs take part.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


class ImageBatch(NamedTuple):
    """Images of one step, and which of the pairs of evidence lie among them."""

    rows: IntArray  # (B,) image rows
    pairs: IntArray  # (P,) pair rows
    first: IntArray  # (P,) position in `rows` of the pair's first image
    second: IntArray  # (P,) position in `rows` of its second image


def random_matching(pairs: IntArray, image_count: int, rng: np.random.Generator) -> IntArray:
    """Draw a maximal matching: pairs without a common image, to which no pair can be added.

    The same pairs as going through all in random order and taking what is still free, found
    in a few rounds over arrays: in each round every pair that comes first at both its images
    is taken.

    Args:
        pairs: (P, 2) image rows; the two of a pair differ.
        image_count: N, above every row in `pairs`.
        rng: draws the order.

    Returns:
        (M,) rows of `pairs`, ascending.
    """
    place = rng.permutation(len(pairs))
    left = np.arange(len(pairs))
    taken = [left[:0]]
    used = np.zeros(image_count, dtype=bool)
    while len(left):
        first_place = np.full(image_count, len(pairs))
        np.minimum.at(first_place, pairs[left].ravel(), place[left].repeat(2))
        chosen = left[(first_place[pairs[left]] == place[left, None]).all(axis=1)]
        taken.append(chosen)
        used[pairs[chosen]] = True
        left = left[~used[pairs[left]].any(axis=1)]
    return np.sort(np.concatenate(taken))


def epoch_batches(
    rows: IntArray,
    pairs: IntArray,
    *,
    image_count: int,
    batch_size: int,
    rng: np.random.Generator,
) -> Iterator[ImageBatch]:
    """Every image of `rows` once, in random batches, matched pairs side by side.

    Args:
        rows: (R,) image rows to go through, each once.
        pairs: (P, 2) image rows, all of them in `rows`.
        image_count: N, above every row.
        batch_size: most images of a batch, at least 2.
        rng: draws the matching and the order.

    Yields:
        Batches of `batch_size` or `batch_size - 1` images; the last may be smaller.
    """
    matched = random_matching(pairs, image_count, rng)
    single = np.setdiff1d(rows, pairs[matched])
    first = np.concatenate([pairs[matched, 0], single])
    second = np.concatenate([pairs[matched, 1], np.full(len(single), -1)])
    pair = np.concatenate([matched, np.full(len(single), -1)])
    order = rng.permutation(len(first))
    for unit in _cut(1 + (second[order] >= 0), batch_size):
        chosen = order[unit]
        yield _batch(first[chosen], second[chosen], pair[chosen])


def _cut(sizes: IntArray, batch_size: int) -> Iterator[slice]:
    """Slices of consecutive units whose sizes add up to at most `batch_size`."""
    ends = np.cumsum(sizes)
    start = 0
    while start < len(sizes):
        before = ends[start - 1] if start else 0
        stop = int(np.searchsorted(ends, before + batch_size, side="right"))
        yield slice(start, stop)
        start = stop


def _batch(first: IntArray, second: IntArray, pair: IntArray) -> ImageBatch:
    is_pair = second >= 0
    pair_count = int(is_pair.sum())
    return ImageBatch(
        rows=np.concatenate([first[is_pair], second[is_pair], first[~is_pair]]),
        pairs=pair[is_pair],
        first=np.arange(pair_count),
        second=np.arange(pair_count, 2 * pair_count),
    )
