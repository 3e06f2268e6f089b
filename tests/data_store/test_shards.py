"""Shards commit by appearing, and damage is found."""

import hashlib

import pyarrow.parquet as pq
import pytest

from data_store.index import query
from data_store.shards import check_bytes, commit_rows, read_footer
from schemas.errors import RowRefused, ShardDamaged, StoreNotWritable
from schemas.images import IMAGES
from schemas.points import POINTS
from schemas.rows import to_table
from tests.data_store.rows import TEACHER, image, point


def commit_point(store, number=0):
    rows = to_table([point(number)], POINTS)
    return commit_rows(store, "points", rows, producer="test", teacher_id=TEACHER)


def test_a_shard_is_named_by_the_hash_of_its_bytes_and_says_where_it_comes_from(store):
    path = commit_point(store)
    assert path.stem == hashlib.sha256(path.read_bytes()).hexdigest()
    assert path.parent.name == f"teacher={TEACHER}"
    (shard,) = store.shards()
    notes = read_footer(store, shard).metadata
    assert notes[b"schema_version"] == b"2"
    assert notes[b"teacher_id"] == TEACHER.encode()
    assert notes[b"row_count"] == b"1"
    assert {b"producer", b"writer", b"host", b"created"} <= notes.keys()


def test_the_schema_read_back_is_the_schema_written(store):
    assert pq.read_schema(commit_point(store)).equals(POINTS, check_metadata=False)


def test_a_flipped_byte_is_found(store):
    path = commit_point(store)
    (shard,) = store.shards()
    check_bytes(shard, path.read_bytes(), where=path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ShardDamaged, match="its name says"):
        check_bytes(shard, path.read_bytes(), where=path)


def test_a_truncated_shard_is_named(store):
    path = commit_point(store)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ShardDamaged, match=path.stem):
        query(store, "select * from points")


def test_files_with_other_names_are_invisible(store):
    path = commit_point(store)
    path.with_name(".tmp-1234").write_bytes(b"half a shard")
    path.with_name("notes.parquet").write_bytes(b"foreign")
    assert query(store, "select count(*) as n from points").to_pylist() == [{"n": 1}]


def test_rows_of_another_table_are_refused_before_anything_is_written(store):
    with pytest.raises(RowRefused, match="the columns are"):
        commit_rows(store, "points", to_table([image(0)], IMAGES), producer="test")
    assert list(store.shard_paths()) == []


def test_a_full_disk_leaves_nothing_behind(store, monkeypatch):
    def full(_descriptor):
        raise OSError(28, "No space left on device")

    # The kernel's answer cannot be had on demand without a file system of our own.
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreNotWritable, match="No space left"):
        commit_point(store)
    assert [p for p in store.root.rglob("*") if p.is_file() and p.name != "store.json"] == []
