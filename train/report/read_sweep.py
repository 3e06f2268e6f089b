"""A sweep as a report sees it: its variants, their repeats, and which cells failed."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import InputError
from train.evaluation.run_summaries import REPEATS, SWEEP_TABLE

CELLS, CELLS_FILE = "cells", "cells.json"
BASE = "base"

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ReadCell:
    """One run of a sweep."""

    folder: Path
    name: str
    variant: str
    """What sets it apart but for seeds: its case, or its changed settings."""
    repeat: tuple[Any, ...]
    """Its seeds: cells of two variants with the same ones are a fair pair."""
    rows: dict[str, Row]
    """Measures by student, as in the run's summary; empty where the cell failed."""
    error: str | None
    seconds: float | None


@dataclass(frozen=True, slots=True)
class ReadSweep:
    """All cells, in the order of the sweep."""

    name: str
    folder: Path
    cells: list[ReadCell]

    @property
    def variants(self) -> list[str]:
        """In the order of the sweep."""
        return list(dict.fromkeys(cell.variant for cell in self.cells))

    @property
    def students(self) -> list[str]:
        """Those that an ablation is about: without labels, and calibrated on the most."""
        names = {name for cell in self.cells for name in cell.rows}
        labelled = [name for name in names if name.startswith("leaf_")]
        most = sorted(labelled, key=lambda name: float(name.removeprefix("leaf_")))[-1:]
        return [*(["label_free"] if "label_free" in names else []), *most]

    def of(self, variant: str, student: str) -> list[ReadCell]:
        """The cells of a variant that have this student."""
        return [cell for cell in self.cells if cell.variant == variant and student in cell.rows]


def is_sweep(folder: Path) -> bool:
    """Whether a folder is a sweep's, be it with or without its table."""
    return any((folder / name).is_file() for name in (SWEEP_TABLE, CELLS_FILE))


def read_sweep(folder: Path) -> ReadSweep:
    """Read a sweep's table.

    Raises:
        InputError: there is none, or it is no sweep's.
    """
    path = folder / SWEEP_TABLE
    try:
        table = pq.read_table(path)
        names = table.column_names
        changed = names[names.index("case") + 1 : names.index("name")]
        found: dict[str, ReadCell] = {}
        for row in table.to_pylist():
            cell = found.setdefault(row["cell"], _cell(folder, row, changed))
            if row["name"]:
                cell.rows[row["name"]] = row
    except (OSError, pa.ArrowException, ValueError, KeyError) as error:
        raise InputError(
            f"the sweep's table cannot be read: {error}",
            where=path,
            fix="give the folder of a finished `train sweep`, or run it again",
        ) from error
    return ReadSweep(folder.resolve().name, folder, list(found.values()))


def _cell(folder: Path, row: Row, changed: list[str]) -> ReadCell:
    values = [
        f"{name}={row[name]}" for name in changed if name not in REPEATS and row[name] is not None
    ]
    return ReadCell(
        folder / CELLS / row["cell"],
        row["cell"],
        row["case"] or " ".join(values) or BASE,
        tuple(json.dumps(row.get(name)) for name in REPEATS),
        {},
        row["error"] or None,
        row["seconds"],
    )
