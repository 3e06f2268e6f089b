"""A shard of every schema version there ever was is read, for ever, as rows of the present one."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_store.compact import compact
from data_store.index import query
from data_store.layout import create_store, shard_name
from data_store.shards import commit_rows
from schemas.errors import ShardDamaged
from schemas.fields import key_columns, schema_version
from schemas.ids import sha256_bytes
from schemas.packed import fits
from schemas.rows import to_table
from schemas.tables import BY_TEACHER, TABLES
from schemas.upgrades import UPGRADES, schema_of
from tests.data_store.rows import GOLDEN, TEACHER, golden_rows, image
from tests.schemas.any_rows import rows_of
from tools.make_golden_shards import make_golden_shards

VERSIONS = [
    (table, version)
    for table, schema in TABLES.items()
    for version in range(1, schema_version(schema) + 1)
]
PAST = [(table, version) for table, version in VERSIONS if version < schema_version(TABLES[table])]

# What each step does to a row, said a second time. A line here never changes once it was
# released: it is what people's older rows mean.
STEPS = {
    ("images", 1): lambda row: {
        **row,
        "grouped_by": "alone" if row["group_id"] == row["image_id"] else "given",
        "perceptual_hash": None,
        "modified_ns": None,
    },
    ("mos", 1): lambda row: {**row, "mos_std": None, "rating_count": None},
    ("points", 1): lambda row: {**row, "given_score": None, "given_confidence": None},
    ("pairs", 1): lambda row: {**row, "given_preference": None},
}


def present(table, version, rows):
    while (table, version) in STEPS:
        rows = [STEPS[table, version](row) for row in rows]
        version += 1
    return rows


def put(store, table, data):
    """Put a shard into a store as an older or newer release left it there."""
    teacher = TEACHER if table in BY_TEACHER else ""
    store.folder.write(shard_name(table, sha256_bytes(data), teacher), data)


def shard_bytes(schema, rows):
    sink = pa.BufferOutputStream()
    # Every answer was committed with its teacher, which the first golden shards do not name.
    metadata = {**schema.metadata, b"teacher_id": TEACHER.encode()}
    pq.write_table(to_table(rows, schema).replace_schema_metadata(metadata), sink)
    return sink.getvalue().to_pybytes()


def put_golden(store, table, version):
    put(store, table, (GOLDEN / f"{table}-{version}.parquet").read_bytes())


def stored(store, table):
    view = "image_files" if table == "images" else table
    return query(store, f"select {', '.join(TABLES[table].names)} from {view}").to_pylist()


def in_order(table, rows):
    return sorted(rows, key=lambda row: [row[key] for key in key_columns(TABLES[table])])


def test_every_version_of_every_table_has_a_golden_shard_and_every_past_one_an_upgrade():
    kept = {path.name for path in GOLDEN.iterdir()}
    assert kept == {f"{t}-{v}.{end}" for t, v in VERSIONS for end in ("parquet", "json")}, (
        "run `python -m tools.make_golden_shards`; never delete a shard of a released version"
    )
    assert set(UPGRADES) == set(PAST)
    assert set(STEPS) == set(PAST)


def test_golden_shards_name_no_machine_and_are_never_written_again(tmp_path):
    made = make_golden_shards(tmp_path)
    assert len(made) == len(TABLES)
    assert {pq.read_metadata(path).metadata[b"host"] for path in made} == {b"golden"}
    made[0].write_bytes(b"kept")
    assert make_golden_shards(tmp_path) == []
    assert made[0].read_bytes() == b"kept"


def test_every_upgrade_is_named_for_its_step():
    for (table, version), upgrade in UPGRADES.items():
        assert upgrade.step.__name__ == f"{table}_{version}_to_{version + 1}"


@pytest.mark.parametrize(("table", "version"), VERSIONS)
def test_a_golden_shard_is_read_as_its_rows_say(store, table, version):
    put_golden(store, table, version)
    expected = present(table, version, golden_rows(table, version))
    assert in_order(table, stored(store, table)) == in_order(table, expected)


@pytest.mark.parametrize(("table", "version"), VERSIONS)
def test_a_golden_shard_has_the_columns_of_its_version(table, version):
    found = pq.read_schema(GOLDEN / f"{table}-{version}.parquet")
    assert fits(found, schema_of(table, version))


@pytest.mark.parametrize(("table", "version"), PAST)
@settings(max_examples=10, deadline=None)
@given(st.data())
def test_any_rows_of_a_past_version_mean_what_they_always_meant(
    tmp_path_factory, table, version, data
):
    schema = schema_of(table, version)
    old = data.draw(rows_of(schema))
    if table == "images" and data.draw(st.booleans()):
        old[0]["group_id"] = old[0]["image_id"]
    store = create_store(tmp_path_factory.mktemp("past") / "store")
    put(store, table, shard_bytes(schema, old))
    expected = present(table, version, old)
    assert in_order(table, stored(store, table)) == in_order(table, expected)


@pytest.mark.parametrize("table", sorted({table for table, _ in PAST}))
def test_shards_of_several_versions_answer_together_in_the_present_columns(store, table):
    expected = []
    for version in range(1, schema_version(TABLES[table]) + 1):
        rows = golden_rows(table, version)
        for row in rows:
            # So that no two have the same key.
            row[key_columns(TABLES[table])[0]] += f" of version {version}"
        put(store, table, shard_bytes(schema_of(table, version), rows))
        expected += present(table, version, rows)
    assert in_order(table, stored(store, table)) == in_order(table, expected)


@pytest.mark.parametrize("table", sorted({table for table, _ in PAST}))
def test_a_key_that_stands_in_shards_of_several_versions_is_one_row(store, table):
    for version in range(1, schema_version(TABLES[table]) + 1):
        put_golden(store, table, version)
    before = stored(store, table)
    assert len(before) == len(golden_rows(table, 1))
    store.index_path.unlink()
    assert in_order(table, stored(store, table)) == in_order(table, before)


def test_a_group_that_was_given_stands_whatever_version_its_row_has(store):
    newer = {**image(0), "grouped_by": "look_alike", "group_id": "found", "modified_ns": 1}
    older = {name: newer[name] for name in schema_of("images", 1).names} | {"group_id": "given"}
    put(store, "images", shard_bytes(schema_of("images", 1), [older]))
    commit_rows(store, "images", to_table([newer], TABLES["images"]), producer="test")
    (row,) = query(store, "select group_id, grouped_by from images").to_pylist()
    assert row == {"group_id": "given", "grouped_by": "given"}


def test_compaction_writes_old_rows_in_the_present_version(store):
    for table, version in VERSIONS:
        put(store, table, shard_bytes(schema_of(table, version), golden_rows(table, version)))
    before = {table: in_order(table, stored(store, table)) for table in TABLES}
    compact(store)
    assert {table: in_order(table, stored(store, table)) for table in TABLES} == before
    found = query(store, "select table_name, schema_version from shards").to_pylist()
    assert {tuple(row.values()) for row in found} == set(VERSIONS) - set(PAST)


@pytest.mark.parametrize("table", TABLES)
def test_a_shard_of_a_newer_release_is_refused_by_name_with_advice(store, table):
    version = schema_version(TABLES[table])
    metadata = {**TABLES[table].metadata, b"schema_version": str(version + 1).encode()}
    newer = TABLES[table].with_metadata(metadata).append(pa.field("novelty", pa.string()))
    rows = [{**row, "novelty": "new"} for row in golden_rows(table, version)]
    put(store, table, shard_bytes(newer, rows))
    with pytest.raises(ShardDamaged, match=f"schema version {version + 1} of {table}") as refused:
        stored(store, table)
    assert refused.value.where.endswith(store.shards()[0].name)
    assert refused.value.fix == "use the release of leaf-iqa that wrote it, or a newer one"


@pytest.mark.parametrize("table", TABLES)
def test_a_version_that_there_never_was_has_no_schema(table):
    for version in (0, -1, schema_version(TABLES[table]) + 1):
        with pytest.raises(KeyError):
            schema_of(table, version)
