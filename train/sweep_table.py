"""A sweep's one table: a row per cell and scorer, and a row with the error for a failed cell."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from data_store.files import write_atomically
from train.sweep_settings import Cell, value_of

TABLE_FILE = "sweep.parquet"
Row = dict[str, str | int | float | bool | None]


class CellResult(NamedTuple):
    """What became of one cell."""

    cell: Cell
    run_id: str | None
    measured: list[Row]
    """One row per scorer, as in the run's summary.json; empty where the cell failed."""
    error: str | None
    seconds: float
    shared: tuple[str, ...]
    """Stages that were trained in another cell."""


def table_rows(results: Sequence[CellResult]) -> list[Row]:
    """All rows, with the same columns in each.

    A setting that any cell changes is a column, and holds the value that the cell was trained
    with, changed or not. Lists are JSON. Measures are null where a scorer or cell lacks them.
    """
    keys = sorted({key for result in results for key in result.cell.changes})
    measures = list(
        dict.fromkeys(key for result in results for row in result.measured for key in row)
    )
    rows = []
    for result in results:
        changed = {key: _cell(value_of(result.cell, key)) for key in keys}
        for row in result.measured or [{}]:
            name = row.get("name")
            rows.append(
                {
                    "cell": result.cell.name,
                    "case": result.cell.case,
                    **changed,
                    "name": name,
                    **_method(str(name) if name else ""),
                    **{key: row.get(key) for key in measures if key != "name"},
                    "error": result.error,
                    "seconds": result.seconds,
                    "shared_stages": len(result.shared),
                    "run_id": result.run_id,
                }
            )
    return rows


def write_table(folder: Path, results: Sequence[CellResult]) -> Path:
    """Write sweep.parquet, whole or not at all."""
    rows = table_rows(results)
    names = list(rows[0]) if rows else []
    columns = {name: _column([row[name] for row in rows]) for name in names}
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    path = folder / TABLE_FILE
    write_atomically(path, sink.getvalue())
    return path


def _method(name: str) -> Row:
    """The scorer's name taken apart: leaf_10 is method leaf at fraction 0.1."""
    method, _, percent = name.rpartition("_")
    try:
        return {"method": method, "fraction": float(percent) / 100}
    except ValueError:
        label_free = 0.0 if name == "label_free" else None
        return {"method": name or None, "fraction": label_free}


def _cell(value: Any) -> str | int | float | bool | None:
    return json.dumps(value) if isinstance(value, list | dict) else value


def _column(values: list[Any]) -> pa.Array:
    """Typed as its values are; numbers of both kinds become floats, other mixtures text."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float} and len(kinds) == 2:
        return pa.array([None if value is None else float(value) for value in values])
    if len(kinds) > 1:
        return pa.array([None if value is None else str(value) for value in values])
    return pa.array(values) if kinds else pa.array(values, pa.float64())
