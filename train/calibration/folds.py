"""Parts of the labelled images, cut by group, each to be predicted by the others."""

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


def folds_by_group(groups: IntArray, *, fold_count: int, seed: int) -> IntArray:
    """Put each image into a fold, all images of a group into the same one.

    Large groups are placed first, each into the fold that has fewest images, so folds are about
    as large as each other; which groups share a fold is random.

    Args:
        groups: (R,) any number per group.
        fold_count: at least 2; there are never more folds than groups.
        seed: of the order of the groups.

    Returns:
        (R,) fold numbers from 0; every fold below the highest is used. All of one group gives
        one fold per image up to `fold_count`: there is nothing else to cut by.
    """
    _, which, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if len(sizes) < 2:
        which, sizes = np.arange(len(groups)), np.ones(len(groups), dtype=np.int64)
    fold_count = min(fold_count, len(sizes))
    shuffled = np.random.default_rng(seed).permutation(len(sizes))
    fold_of = np.zeros(len(sizes), dtype=np.int64)
    filled = np.zeros(fold_count, dtype=np.int64)
    for group in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
        fold_of[group] = fold = int(np.argmin(filled))
        filled[fold] += sizes[group]
    return fold_of[which]
