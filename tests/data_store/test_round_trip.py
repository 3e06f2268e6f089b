"""Any valid row of any table comes out of a store as it went in, to the last bit."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_store.compact import compact
from data_store.index import query
from data_store.layout import create_store
from data_store.shards import commit_rows
from schemas.fields import key_columns
from schemas.rows import to_table
from schemas.tables import BY_TEACHER, TABLES
from tests.data_store.rows import TEACHER
from tests.schemas.any_rows import as_text, rows_of

VIEWS = {**{table: table for table in TABLES}, "images": "image_files"}
"""The view that shows every row of a table."""


def commit(store, table, rows):
    teacher = TEACHER if table in BY_TEACHER else ""
    schema = TABLES[table]
    commit_rows(store, table, to_table(rows, schema), producer="test", teacher_id=teacher)


def stored(store, table):
    return query(store, f"select {', '.join(TABLES[table].names)} from {VIEWS[table]}")


def in_order(table, rows):
    return as_text(sorted(rows, key=lambda row: [row[key] for key in key_columns(TABLES[table])]))


@pytest.mark.parametrize("table", TABLES)
@settings(max_examples=8, deadline=None)
@given(st.data())
def test_rows_survive_commits_queries_and_compaction(tmp_path_factory, table, data):
    rows = data.draw(rows_of(TABLES[table]))
    cut = data.draw(st.integers(0, len(rows)))
    store = create_store(tmp_path_factory.mktemp("trip") / "store")
    for part in (rows[:cut], rows[cut:]):
        if part:
            commit(store, table, part)
    assert in_order(table, stored(store, table).to_pylist()) == in_order(table, rows)
    compact(store)
    store.index_path.unlink()
    # All columns this time: none that a view derives may fail for a valid row.
    everything = query(store, f"from {VIEWS[table]}").select(TABLES[table].names)
    assert in_order(table, everything.to_pylist()) == in_order(table, rows)


@pytest.mark.parametrize("table", TABLES)
def test_columns_have_the_types_that_the_schema_names(store, table):
    found = stored(store, table).schema.types
    assert found == [
        pa.list_(kind.value_type) if pa.types.is_fixed_size_list(kind) else kind
        for kind in TABLES[table].types
    ]
