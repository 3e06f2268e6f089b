"""What finished runs and sweeps found, read from their tables for `train curve`."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import InputError
from train.evaluation.label_curve import Measured

SWEEP_TABLE = "sweep.parquet"
REPEATS = ("seed", "split.seed", "label_fractions")
"""Settings whose values are repeats of one method, or say its share of labels."""


def measured_of_runs(folders: Sequence[Path], *, measure: str) -> list[Measured]:
    """One measure of every student in the summaries of several runs or sweeps.

    `label_free` counts as the LEAF student at no label; `leaf_10` and `cft_only_10` say their
    method and per cent. In a sweep the settings that differ, but for seeds and shares of labels,
    are part of the method's name.

    Raises:
        InputError: a folder has no summary, or its rows have no such measure.
    """
    rows = []
    for number, folder in enumerate(folders):
        is_sweep = (folder / SWEEP_TABLE).exists()
        for row in _sweep(folder) if is_sweep else _summary(folder):
            if measure not in row:
                raise InputError(
                    f"the summary has no {measure!r}",
                    where=folder,
                    fix="name a measure such as srcc, or run `train run` there again",
                )
            method, fraction = method_and_fraction(row["name"])
            if method:
                told = f"{method} {row['variant']}" if row.get("variant") else method
                rows.append(Measured(told, fraction, number, row[measure]))
    return rows


def method_and_fraction(name: str) -> tuple[str, float]:
    """`leaf_10` is ("leaf", 0.1); the label-free student ("leaf", 0); others ("", 0)."""
    if name == "label_free":
        return "leaf", 0.0
    method, _, percent = name.rpartition("_")
    try:
        return method, float(percent) / 100
    except ValueError:
        return "", 0.0


def _summary(folder: Path) -> list[dict[str, Any]]:
    path = folder / "summary.json"
    try:
        rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"there is no finished run here: {error}",
            where=path,
            fix="finish it with `train run`",
        ) from error
    return rows


def _sweep(folder: Path) -> list[dict[str, Any]]:
    """Rows of a sweep's table that have a scorer, each with what sets its cell apart."""
    path = folder / SWEEP_TABLE
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise InputError(
            f"the sweep's table cannot be read: {error}",
            where=path,
            fix="run `train sweep` there again",
        ) from error
    names = table.column_names
    changed = names[names.index("case") + 1 : names.index("name")]
    told = [name for name in changed if name not in REPEATS]
    rows = []
    for row in table.to_pylist():
        if row["name"]:
            values = [f"{name}={row[name]}" for name in told if row[name] is not None]
            rows.append(row | {"variant": row["case"] or " ".join(values)})
    return rows
