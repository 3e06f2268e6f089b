"""Which images look alike: a perceptual hash, and the neighbours within a distance.

The hash is pHash: 64 bits that say which low frequencies of a 32 x 32 px grey picture lie above
their median. Of copies that differ in size, format, compression, blur or noise few bits differ,
of different photographs about half.
"""

from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data_store.index import query
from data_store.layout import Store

if TYPE_CHECKING:
    from PIL.Image import Image

LOOK_ALIKE_DISTANCE = 6
"""Bits in which look-alikes may differ. A larger value finds more crops; at 8, ten million
photographs have more than one false neighbour each, which would chain everything together."""
MAX_DISTANCE = 10
FLAT = "0" * 16
"""Hash of a picture with nothing in it to tell it by: it is like no other."""

_FLAT_DEVIATION = 1.0  # grey levels; the hash of a flatter picture is the rounding of its pixels
_SIDE_PX = 32
_SHIFTS = (0, 16, 32, 48)  # a hash is four bands of 16 bits

IntArray = NDArray[np.int64]
HashArray = NDArray[np.uint64]


def perceptual_hash(grey: "Image") -> str:
    """The hash of a grey picture, 16 hex digits; `FLAT` for one that is nearly one colour."""
    import imagehash
    from PIL.Image import Resampling

    small = grey.resize((_SIDE_PX, _SIDE_PX), Resampling.LANCZOS)
    if np.asarray(small).std() < _FLAT_DEVIATION:
        return FLAT
    return str(imagehash.phash(small))


class Neighbours(NamedTuple):
    """Pairs of a hash that was asked about, and a hash within the distance of it."""

    row: IntArray  # (P,) which hash was asked about
    other: IntArray  # (P,) which of the others
    distance: IntArray  # (P,) bits that differ


def hashes_of(texts: list[str]) -> HashArray:
    """Hashes as numbers, (N,), from their hex digits."""
    return np.array([int(text, 16) for text in texts], dtype=np.uint64)


def near_each_other(store: Store, hashes: HashArray, distance: int) -> Neighbours:
    """All pairs within the distance among (N,) distinct hashes, each in both orders.

    Every hash is also its own neighbour at distance 0.
    """
    table = pa.table({"found": np.arange(len(hashes)), "hash": hashes})
    return _neighbours(_near(store, hashes, distance, "select hash, found from others", table))


def near_stored(store: Store, hashes: HashArray, distance: int) -> tuple[Neighbours, list[str]]:
    """The groups that have an image within the distance, for each of (N,) distinct hashes.

    Returns:
        Neighbours, where `other` is the place in the list of group_ids, which is sorted and
        where `distance` is that of the group's nearest image.
    """
    found = _near(store, hashes, distance, _STORED, None)
    groups = sorted(set(found["found"].to_pylist()))
    places = {group: place for place, group in enumerate(groups)}
    numbered = [places[group] for group in found["found"].to_pylist()]
    at = found.schema.get_field_index("found")
    return _neighbours(found.set_column(at, "found", pa.array(numbered, pa.int64()))), groups


def probes(hashes: HashArray, distance: int) -> pa.Table:
    """What to look up so that no neighbour is missed.

    Of two hashes that differ in at most d bits, one of four bands differs in at most d // 4. So
    each band of each hash is looked up as it is, and with every so many of its bits turned.

    Returns:
        Columns number (the row of the hash), hash, shift (of the band), value (of the band).
    """
    turned = [
        sum(1 << bit for bit in bits)
        for count in range(distance // len(_SHIFTS) + 1)
        for bits in combinations(range(16), count)
    ]
    masks = np.array(turned, dtype=np.uint64)
    parts = []
    for shift in _SHIFTS:
        bands = (hashes >> np.uint64(shift)) & np.uint64(0xFFFF)
        values = bands[:, None] ^ masks[None, :]
        parts.append(
            pa.table(
                {
                    "number": np.repeat(np.arange(len(hashes)), len(masks)),
                    "hash": np.repeat(hashes, len(masks)),
                    "shift": np.full(values.size, shift, dtype=np.uint64),
                    "value": values.ravel(),
                }
            )
        )
    return pa.concat_tables(parts)


_STORED = f"""
select ('0x' || perceptual_hash)::ubigint as hash, group_id as found
from images where perceptual_hash is not null and perceptual_hash != '{FLAT}'
"""


def _near(
    store: Store, hashes: HashArray, distance: int, others: str, table: pa.Table | None
) -> pa.Table:
    tables = {"probes": probes(hashes, distance)} | ({"others": table} if table else {})
    return query(
        store,
        f"""
        with banded as (
            select hash, found, unnest({list(_SHIFTS)})::ubigint as shift from ({others})
        )
        select probes.number, banded.found,
            min(bit_count(xor(probes.hash, banded.hash)))::bigint as distance
        from banded join probes
            on probes.shift = banded.shift
            and probes.value = ((banded.hash >> banded.shift) & 65535)
        where bit_count(xor(probes.hash, banded.hash)) <= $distance
        group by all order by all
        """,
        {"distance": distance},
        tables=tables,
    )


def _neighbours(found: pa.Table) -> Neighbours:
    return Neighbours(*(found[name].to_numpy() for name in ("number", "found", "distance")))
