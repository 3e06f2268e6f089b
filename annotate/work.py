"""What there is to ask: images and rows of image numbers, small enough to travel and to cut."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from annotate.image_stream import StoredImage

Rows = npt.NDArray[np.int32]

LOOKED_UP_AT_A_TIME = 1024

NUMBERED = {"points": (0,), "pairs": (0, 1), "embeddings": (0,)}
"""Which columns of `Work.rows` are image numbers."""

UNITS = {"points": "images", "pairs": "pairs", "embeddings": "images"}
"""What a row of the work is, for the person who watches."""


class Work(NamedTuple):
    """Images, and what is to be asked about them; never held as one Python object per row."""

    images: pa.Table
    """image_id, path; in the order of their numbers."""
    rows: Rows
    """(M, 2). Points and states: image number, prompt number. Pairs: the two image numbers."""

    @classmethod
    def of_each(cls, images: pa.Table) -> "Work":
        """One prompt about each image, in their order."""
        numbers = np.arange(images.num_rows, dtype=np.int32)
        return cls(images, np.stack([numbers, np.zeros_like(numbers)], axis=1))

    def __len__(self) -> int:
        """How many rows of the store the work amounts to."""
        return len(self.rows)

    def stored(self, numbers: npt.NDArray[np.integer]) -> Iterator[StoredImage]:
        """The images of these numbers, in this order, looked up a piece at a time."""
        named = self.images.select(["image_id", "path"])
        for start in range(0, len(numbers), LOOKED_UP_AT_A_TIME):
            piece = named.take(numbers[start : start + LOOKED_UP_AT_A_TIME])
            yield from map(StoredImage, *(column.to_pylist() for column in piece.columns))

    def only(self, wanted: npt.NDArray[np.bool_]) -> "Work":
        """The rows that are marked."""
        return Work(self.images, self.rows[wanted])

    def to_bytes(self) -> bytes:
        """As one Arrow stream, to be sent to another process."""
        sink = pa.BufferOutputStream()
        rows = pa.table({"first": self.rows[:, 0], "second": self.rows[:, 1]})
        for table in (self.images.select(["image_id", "path"]), rows):
            with pa.ipc.new_stream(sink, table.schema) as stream:
                stream.write_table(table)
        return bytes(sink.getvalue())

    @classmethod
    def from_bytes(cls, data: bytes) -> "Work":
        """What `to_bytes` made."""
        source = pa.BufferReader(data)
        images, rows = (pa.ipc.open_stream(source).read_all() for _ in range(2))
        return cls(images, np.stack([column.to_numpy() for column in rows.columns], axis=1))

    def piece(self, start: int, stop: int, *, numbered: tuple[int, ...]) -> "Work":
        """Rows `start` to `stop` with the images they name, to be sent to another process.

        Args:
            start: first row.
            stop: row after the last.
            numbered: the columns of `rows` that are image numbers.
        """
        rows = self.rows[start:stop].copy()
        columns = list(numbered)
        named, places = np.unique(rows[:, columns], return_inverse=True)
        rows[:, columns] = places.reshape(len(rows), len(columns))
        return Work(self.images.take(named), rows)
