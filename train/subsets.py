"""Which images are trained on, which are held out, and which count as labelled.

All three depend on ids and seeds alone: adding images moves none, copies and crops of one
source stay on one side, and a smaller share of labels lies within every larger one.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data_store.splits import is_test, split_position

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


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
        (round(fraction * R),) rows, in that order.
    """
    ids = pc.take(image_ids, pa.array(rows)).to_pylist()
    order = sorted(range(len(rows)), key=lambda i: (split_position(ids[i], seed), ids[i]))
    return rows[np.array(order[: round(fraction * len(rows))], dtype=np.int64)]
