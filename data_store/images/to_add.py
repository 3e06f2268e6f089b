"""How many of the images that were found a store does not know yet; none of them is opened."""

from collections.abc import Iterable
from typing import NamedTuple

from data_store.images.given_groups import FOUND_FILES, UNCHANGED
from data_store.images.sources import Part, list_images
from data_store.index import query
from data_store.layout import Store

_COUNT = f"""
select count(*) as found, count(*) filter (where exists (
    select 1 from image_files as known where {UNCHANGED}
)) as known, coalesce(sum(file_bytes), 0)::bigint as file_bytes
from ({FOUND_FILES}) as files
"""


class FoundFiles(NamedTuple):
    """What an import would find."""

    new: int
    """Files that the store does not know, or not as they are now."""
    known: int
    file_bytes: int
    """Of all files whose size is told without opening them."""
    problems: int
    """Words of a list that name no file, and the like."""


def count_new(store: Store | None, parts: Iterable[Part]) -> FoundFiles:
    """Count what `add_images` would read and what it would leave alone.

    Args:
        store: what is known; None where there is no store yet.
        parts: what `find_images` gave.

    Raises:
        InputError: there is no image at all.
    """
    found = list_images(parts)
    if store is None:
        sizes = dict(zip(*(found.images[name].to_pylist() for name in ("path", "file_bytes")),
                         strict=True))  # fmt: skip
        total = sum(size or 0 for size in sizes.values())
        return FoundFiles(len(sizes), 0, total, len(found.problems))
    (row,) = query(store, _COUNT, tables={"found": found.images}).to_pylist()
    return FoundFiles(
        row["found"] - row["known"], row["known"], row["file_bytes"], len(found.problems)
    )
