"""Choose the photographs the tiny teacher learns from, and those it never sees.

Only well-rated photographs serve: a crop counts as pristine before it is degraded.
"""

import csv
import os
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import InputError

BEST_COUNT = 750
"""How many of the best-rated photographs are used in all."""

HELD_OUT_EVERY = 5
"""Every fifth of them by rank is held out, so both parts are equally good."""


@dataclass(frozen=True, slots=True)
class PhotographSplit:
    """Paths of photographs, best-rated first; no photograph is in both."""

    train: tuple[Path, ...]
    held_out: tuple[Path, ...]


def default_photographs() -> Path:
    """Folder of the BIQ2021 photographs under `LEAF_SHARED`, by default `../shared`."""
    return Path(os.environ.get("LEAF_SHARED", "../shared")) / "data" / "biq2021"


def split_photographs(folder: Path, *, best_count: int = BEST_COUNT) -> PhotographSplit:
    """Rank the photographs of `folder/mos.csv` by MOS and hold out every fifth of the best.

    Args:
        folder: holds `mos.csv` with columns image, mos, and the files in `images/`.
        best_count: how many of the best to use; fewer photographs than that are all used.

    Raises:
        InputError: there is no `mos.csv` in the folder.
    """
    table = folder / "mos.csv"
    if not table.is_file():
        raise InputError(
            "there are no rated photographs here",
            where=table,
            fix="give the folder with --photos DIR, or set LEAF_SHARED",
        )
    with table.open(newline="", encoding="utf-8") as lines:
        rows = [(-float(row["mos"]), row["image"]) for row in csv.DictReader(lines)]
    best = [folder / "images" / name for _, name in sorted(rows)[:best_count]]
    return PhotographSplit(
        train=tuple(path for rank, path in enumerate(best) if rank % HELD_OUT_EVERY),
        held_out=tuple(best[::HELD_OUT_EVERY]),
    )
