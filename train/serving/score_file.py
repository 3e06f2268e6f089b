"""A file of scores, CSV or Parquet: written in pieces, seen whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from schemas.errors import InputError

SCORES = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("image_id", pa.string()),
        pa.field("score", pa.float32()),
        pa.field("score_low", pa.float32()),
        pa.field("score_high", pa.float32()),
        pa.field("error", pa.string()),
    ]
)
"""One row = one image. `image_id` (SHA-256 of the file's bytes) is null where the file could not
be read; `score` is null where it could not be decoded, and `error` says why. `score_low` and
`score_high` bound the MOS that people would give, with the coverage that the student was
calibrated for; they are null where it has no interval, and with more than one crop."""


class ScoreWriter(Protocol):
    """What the writers of both formats can do."""

    def write_table(self, table: pa.Table) -> None:
        """Append rows."""


def check_score_path(path: Path, *, force: bool) -> None:
    """Refuse a target before any work is done.

    Raises:
        InputError: the suffix is unknown, or the file is there and `force` is not given.
    """
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise InputError(
            f"scores are written as .csv or .parquet, not {path.suffix or 'without a suffix'}",
            where=path,
            fix="give --out another name",
        )
    if path.exists() and not force:
        raise InputError(
            "the file is there already",
            where=path,
            fix="give --out another name, or --force to replace it",
        )


@contextmanager
def score_writer(path: Path) -> Iterator[ScoreWriter]:
    """Yield a writer of tables with schema `SCORES`; the file appears at the end, if no error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".tmp-{secrets.token_hex(8)}-{path.name[:80]}")
    try:
        with temporary.open("wb") as stream:
            parquet = path.suffix.lower() == ".parquet"
            writer = pq.ParquetWriter if parquet else pa_csv.CSVWriter
            with writer(stream, SCORES) as opened:
                yield opened
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
