"""Which image each judgement is about: one of the store's, or one that nobody has here."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from annotate.importing.judged_rows import JudgedRows
from data_store.images.matching import OTHER_ENDING, match_names
from data_store.layout import Store
from schemas.ids import sha256_text

BATCH_NAMES = 65_536


class KnownNames(NamedTuple):
    """The names in the files, and the images they mean."""

    names: pa.Array
    """(n,) texts, all different."""
    image_ids: pa.Array
    """(n,) null where no image fits."""
    ambiguous: npt.NDArray[np.bool_]
    """(n,) True where several images fit, so that a row with this name must be refused."""

    def ids_of(self, column: pa.ChunkedArray) -> pa.Array:
        """The image of each name in a column of names."""
        places = pc.index_in(column.combine_chunks(), value_set=self.names)
        return pc.take(self.image_ids, places)

    def blame_ambiguous(self, rows: JudgedRows, key: str) -> None:
        """Note rows whose name fits several images."""
        several = pc.filter(self.names, pa.array(self.ambiguous))
        there = np.asarray(pc.is_in(rows.table.column(key), value_set=several))
        rows.blame(there, lambda cells: f"{cells[key]} fits several different images")

    @property
    def unknown(self) -> pa.Array:
        """The names that fit no image."""
        return pc.filter(self.names, pc.is_null(self.image_ids))


def known_names(store: Store, rows: JudgedRows) -> KnownNames:
    """Match the names in all image columns with the images of a store."""
    names = _different_names(rows)
    matched = match_names(store, names)
    ambiguous = pc.and_(
        pc.greater(matched.column("image_count"), 1),
        pc.fill_null(pc.not_equal(matched.column("way"), OTHER_ENDING), fill_value=False),
    )
    return KnownNames(
        names, matched.column("image_id").combine_chunks(), np.asarray(ambiguous, dtype=np.bool_)
    )


def names_of_dataset(rows: JudgedRows, dataset: str) -> KnownNames:
    """Ids for images that are not in the store: SHA-256 of `dataset/name`, hex.

    In SQL the same is `sha256('koniq/' || name)`. No file has such an id: bytes that hash to it
    would have to be this very text, which is no picture.
    """
    names = _different_names(rows)
    ids = [
        pa.array([sha256_text(f"{dataset}/{name}") for name in part.to_pylist()], pa.string())
        for part in _parts(names)
    ]
    none = np.zeros(len(names), dtype=np.bool_)
    return KnownNames(names, pa.chunked_array(ids, pa.string()).combine_chunks(), none)


def _parts(names: pa.Array) -> Iterator[pa.Array]:
    for start in range(0, len(names), BATCH_NAMES):
        yield names.slice(start, BATCH_NAMES)


def _different_names(rows: JudgedRows) -> pa.Array:
    columns = [rows.table.column(key) for key in rows.request.columns.images]
    chunks = [chunk for column in columns for chunk in column.chunks]
    return pc.unique(pa.chunked_array(chunks, pa.string()))
