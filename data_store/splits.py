"""Which images are held out, and which count as labelled, by hash alone.

A position depends only on a key and a seed. Giving it the `group_id` keeps copies and crops of
one source on one side of a split, and adding images moves none; giving it the `image_id` puts
images into an order from which a smaller share of labels lies within every larger one.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from schemas.ids import sha256_text

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

TEST_FRACTION = 0.2
"""Share of the groups that is held out for testing, by default."""


def split_position(key: str, seed: int) -> float:
    """Where a key falls in [0, 1): the first 32 bits of SHA-256 of "seed:key".

    The macro `split_position` of a store's SQL gives the same number.
    """
    return int(sha256_text(f"{seed}:{key}")[:8], 16) / 2.0**32


def is_test(group_id: str, *, seed: int, test_fraction: float) -> bool:
    """Whether a group is held out: its position lies below the test fraction.

    The macro `is_test` of a store's SQL says the same.
    """
    return split_position(group_id, seed) < test_fraction


def held_out(group_ids: pa.Array, *, seed: int, test_fraction: float) -> BoolArray:
    """Mark the images whose group is held out for testing.

    Args:
        group_ids: (N,) string.
        seed: of the split.
        test_fraction: share of the groups, in (0, 1).

    Returns:
        (N,) True for test.
    """
    groups = pc.unique(group_ids)
    tested = pa.array(
        [is_test(group, seed=seed, test_fraction=test_fraction) for group in groups.to_pylist()],
        pa.bool_(),
    )
    marks: BoolArray = pc.take(tested, pc.index_in(group_ids, value_set=groups)).to_numpy(
        zero_copy_only=False
    )
    return marks


def labelled_subset(rows: IntArray, image_ids: pa.Array, *, fraction: float, seed: int) -> IntArray:
    """The first share of the rows in a random order that the ids and the seed fix.

    Args:
        rows: (R,) rows that have MOS and are not held out.
        image_ids: (N,) string.
        fraction: share to take, in (0, 1].
        seed: another one gives another order.

    Returns:
        (label_count(R, fraction),) rows, in that order.
    """
    ids = pc.take(image_ids, pa.array(rows)).to_pylist()
    order = sorted(range(len(rows)), key=lambda i: (split_position(ids[i], seed), ids[i]))
    return rows[np.array(order[: label_count(len(rows), fraction)], dtype=np.int64)]


def label_count(candidates: int, fraction: float) -> int:
    """How many images a share of the labels is: rounded, halves to the even number."""
    return round(fraction * candidates)
