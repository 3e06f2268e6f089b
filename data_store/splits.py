"""Put groups into splits by hash, so that a split stays the same when images are added.

A position depends only on the key and the seed. Giving it the `group_id` keeps copies and crops
of one source together; giving it the `image_id` orders images for nested label subsets.
"""

from schemas.ids import sha256_text

TEST_FRACTION = 0.2
"""Share of the groups that is held out for testing, by default."""


def split_position(key: str, seed: int) -> float:
    """Where a key falls in [0, 1): the first 32 bits of SHA-256 of "seed:key".

    In SQL: `('0x' || sha256('0:' || group_id)[1:8])::bigint / 2**32`.
    """
    return int(sha256_text(f"{seed}:{key}")[:8], 16) / 2.0**32


def is_test(group_id: str, *, seed: int, test_fraction: float) -> bool:
    """Whether a group is held out: its position lies below the test fraction."""
    return split_position(group_id, seed) < test_fraction
