"""Parts of the labelled images, each to be predicted by what was fitted to the others."""

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]


def folds_by_group(groups: IntArray, *, fold_count: int, seed: int) -> IntArray:
    """Put each image into a fold, all images of a group into the same one.

    Groups are dealt in random order, the large ones first, each to the fold with fewest images.

    Args:
        groups: (R,) a number per group.
        fold_count: at least 2; there are never more folds than groups.
        seed: of the order.

    Returns:
        (R,) fold numbers from 0. Where all images are of one group, they are dealt one by one.
    """
    _, which, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if len(sizes) < 2:
        which, sizes = np.arange(len(groups)), np.ones(len(groups), dtype=np.int64)
    drawn = np.random.default_rng(seed).permutation(len(sizes))
    filled = np.zeros(min(fold_count, len(sizes)), dtype=np.int64)
    fold = np.empty(len(sizes), dtype=np.int64)
    for group in drawn[np.argsort(-sizes[drawn], kind="stable")]:
        fold[group] = np.argmin(filled)
        filled[fold[group]] += sizes[group]
    dealt: IntArray = fold[which]
    return dealt
