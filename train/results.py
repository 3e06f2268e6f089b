"""What a finished run leaves: its comparison as files, and every score in the store."""

import io
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data_store.agreement.group_bootstrap import MEASURES
from data_store.files import write_atomically
from data_store.layout import Store
from data_store.shards import commit_rows
from schemas.predictions import PREDICTIONS
from train.evaluate import EvaluationRow
from train.evaluation.metrics import Agreement
from train.training_data import FloatArray

PREDICTIONS_FILE = "predictions.json"


def write_summary(run: Path, rows: list[EvaluationRow]) -> None:
    """Write the comparison as summary.json and summary.parquet."""
    plain = [row.as_dict() for row in rows]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(plain, schema=_summary_schema()), sink)
    write_atomically(run / "summary.parquet", sink.getvalue())
    write_atomically(run / "summary.json", json.dumps(plain, indent=2).encode())


def _summary_schema() -> pa.Schema:
    """Said and not guessed: a measure that no scorer has would become a column without a type."""
    types = {str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64()}
    fields = [("name", pa.string())]
    fields += [(name, types[kind]) for name, kind in Agreement.__annotations__.items()]
    fields += [(f"{name}_{end}", pa.float64()) for name in MEASURES for end in ("low", "high")]
    return pa.schema(fields)


def commit_predictions(
    run: Path,
    run_id: str,
    store: Store,
    image_ids: pa.Array,
    scores: Mapping[str, FloatArray],
    *,
    producer: str = "train run",
) -> None:
    """Put all students' scores into the store; a second call for the same run does nothing.

    Killed between the shard and the note that it is there, a run commits its scores twice;
    the store's view keeps one row per image, run and student.

    Args:
        run: the run's folder, where a note says which shard holds its scores.
        run_id: part of the rows' key.
        store: where the rows go.
        image_ids: (N,) string.
        scores: (N,) per student; NaN, for pictures that cannot be read, makes no row.
        producer: the command, for provenance.
    """
    note = run / PREDICTIONS_FILE
    if note.exists():
        return
    tables = [_rows(run_id, name, image_ids, given) for name, given in scores.items()]
    shard = commit_rows(store, "predictions", pa.concat_tables(tables), producer=producer)
    write_atomically(note, json.dumps({"run_id": run_id, "shard": shard.name}).encode())


def _rows(run_id: str, student: str, image_ids: pa.Array, given: FloatArray) -> pa.Table:
    scored = np.isfinite(given)
    ids = image_ids.filter(pa.array(scored))
    columns = {
        "image_id": ids,
        "run_id": pa.repeat(run_id, len(ids)),
        "student": pa.repeat(student, len(ids)),
        "score": given[scored].astype(np.float32),
    }
    return pa.table(columns, schema=PREDICTIONS)
