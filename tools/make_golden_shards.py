"""Keep one shard of every table at its present schema version in tests/golden, for ever.

    python -m tools.make_golden_shards

Run it once after a schema version was raised. A golden shard that is there is never written
again: it stands for the stores that people have, and every later release must read it.
"""

import json
import platform
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa

from data_store.layout import create_store
from data_store.shards import commit_rows
from schemas.fields import numeric_range, schema_version
from schemas.ids import sha256_text
from schemas.packed import is_packed, item_type
from schemas.rows import to_table
from schemas.tables import BY_TEACHER, TABLES

GOLDEN = Path(__file__).resolve().parents[1] / "tests" / "golden" / "shards"
ROWS = 3
STATE_WIDTH = 4
WORDS = {"grouped_by": ("alone", "given", "look_alike"), "kind": ("sentinel", "blank")}
"""Columns with few values have real ones."""


def make_golden_shards(folder: Path) -> list[Path]:
    """Write the golden shards that are missing, each with its rows as JSON beside it.

    Returns:
        The shards that were written.
    """
    written = []
    for table, schema in TABLES.items():
        kept = folder / f"{table}-{schema_version(schema)}.parquet"
        if kept.exists():
            continue
        rows = [_row(schema, number) for number in range(ROWS)]
        folder.mkdir(parents=True, exist_ok=True)
        # The footer names the machine that wrote a shard; these are published.
        with tempfile.TemporaryDirectory() as scratch, _nameless_machine():
            store = create_store(Path(scratch) / "store")
            shard = commit_rows(
                store,
                table,
                to_table(rows, schema),
                producer="golden",
                teacher_id=sha256_text("teacher") if table in BY_TEACHER else "",
            )
            shutil.copyfile(shard, kept)
        text = json.dumps(rows, indent=1, ensure_ascii=False, default=_text)
        kept.with_suffix(".json").write_text(text + "\n", encoding="utf-8")
        written.append(kept)
    return written


def _nameless_machine() -> AbstractContextManager[object]:
    return mock.patch.object(platform, "node", return_value="golden")


def _text(value: datetime | bytes) -> str:
    return value.hex() if isinstance(value, bytes) else value.isoformat()


def _row(schema: pa.Schema, number: int) -> Mapping[str, Any]:
    return {field.name: _value(field, number) for field in schema}


def _value(field: pa.Field, number: int) -> Any:
    # Two different rows, so that none of them is left without evidence.
    if field.nullable and number == (1 if field.name.startswith("given_") else 0):
        return None
    if field.name in WORDS:
        return WORDS[field.name][number % len(WORDS[field.name])]
    if pa.types.is_fixed_size_list(field.type):
        gap = number if field.type.value_field.nullable and number else None
        return [
            None if place == gap else -(number + 1.0) - place / 4
            for place in range(field.type.list_size)
        ]
    if pa.types.is_timestamp(field.type):
        return datetime(2026, 11, 21, 12) + timedelta(days=number, microseconds=number)
    if pa.types.is_string(field.type):
        return sha256_text(f"{field.name} {number}")
    return _packed(field, number) if is_packed(field) else _number(field, number)


def _packed(field: pa.Field, number: int) -> bytes:
    return np.linspace(-number, 1, STATE_WIDTH).astype(item_type(field)).tobytes()


def _number(field: pa.Field, number: int) -> float | int:
    low, high = numeric_range(field) or (0, 100)
    value = min(low + number + 1, high)
    return value if pa.types.is_floating(field.type) else int(value)


if __name__ == "__main__":
    for path in make_golden_shards(GOLDEN):
        print(path)
