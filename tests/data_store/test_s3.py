"""A store on S3 is a store: the same rows, the same promises, from any machine."""

import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from data_store.compact import compact
from data_store.health.verify import verify
from data_store.index import query, refresh
from data_store.layout import create_store, open_store
from data_store.shards import commit_rows
from schemas.fields import key_columns, schema_version
from schemas.points import POINTS
from schemas.rows import to_table
from schemas.tables import BY_TEACHER, TABLES
from tests.data_store.rows import TEACHER, golden_rows, point
from tests.data_store.s3_server import KEYS_PER_PAGE, REPOSITORY

WRITE = """
import sys
from data_store.layout import open_store
from data_store.shards import commit_rows
from schemas.points import POINTS
from schemas.rows import to_table
from tests.data_store.rows import TEACHER, point
store, first = open_store(sys.argv[1]), int(sys.argv[2])
for number in range(first, first + 8):
    rows = to_table([point(number), point(number + 1)], POINTS)
    commit_rows(store, "points", rows, producer="test", teacher_id=TEACHER)
"""


@pytest.fixture
def address(bucket):
    return f"s3://{bucket}/some/store"


@pytest.fixture
def s3_store(address):
    return create_store(address)


def commit_point(store, number):
    commit_rows(
        store, "points", to_table([point(number)], POINTS), producer="test", teacher_id=TEACHER
    )


def count(store):
    return query(store, "select count(*) as n from points")["n"][0].as_py()


def other_process(code, *words, **options):
    return subprocess.Popen([sys.executable, "-c", code, *words], cwd=REPOSITORY, **options)


def finished(process):
    assert process.wait(timeout=120) == 0


@pytest.mark.parametrize("table", TABLES)
def test_rows_of_every_table_come_out_as_they_went_in(s3_store, table):
    schema = TABLES[table]
    rows = golden_rows(table, schema_version(schema))
    teacher = TEACHER if table in BY_TEACHER else ""
    commit_rows(s3_store, table, to_table(rows, schema), producer="test", teacher_id=teacher)
    view = "image_files" if table == "images" else table
    key = key_columns(schema)[0]
    found = query(s3_store, f"select {', '.join(schema.names)} from {view} order by {key}")
    assert found.to_pylist() == sorted(rows, key=lambda row: row[key])


def test_a_shard_is_put_by_one_request(s3_store, s3_server, bucket):
    before = len(s3_server.requests(bucket))
    commit_point(s3_store, 0)
    (request,) = s3_server.requests(bucket)[before:]
    assert request.startswith(f"PUT /{bucket}/some/store/points/teacher={TEACHER}/")
    assert request.endswith(".parquet")


@pytest.mark.slow
def test_a_large_file_goes_in_parts_and_a_killed_upload_leaves_nothing(
    s3_store, s3_server, bucket, address
):
    upload = (
        "import sys; from data_store.layout import open_store;"
        "open_store(sys.argv[1]).folder.write(sys.argv[2], bytes(200 << 20))"
    )
    killed = other_process(upload, address, "killed")
    while not any("killed?uploads" in request for request in s3_server.requests(bucket)):
        assert killed.poll() is None
    killed.kill()
    killed.wait()
    assert not s3_store.folder.has("killed")
    finished(other_process(upload, address, "whole"))
    assert s3_store.folder.size("whole") == 200 << 20
    assert s3_store.folder.files() == ["store.json", "whole"]


def test_writers_and_readers_in_several_processes_do_not_disturb_each_other(s3_store, address):
    writers = [other_process(WRITE, address, str(first)) for first in (0, 4, 8)]
    counts = [0]
    while any(writer.poll() is None for writer in writers):
        counts.append(count(s3_store))
    for writer in writers:
        finished(writer)
    counts.append(count(open_store(address)))
    assert counts == sorted(counts)
    assert counts[-1] == 17


def test_what_another_process_writes_or_deletes_is_seen_at_once(s3_store, address):
    commit_point(s3_store, 100)
    assert count(s3_store) == 1
    finished(other_process(WRITE, address, "0"))
    assert count(s3_store) == 10
    for shard in open_store(address).shards():
        open_store(address).folder.delete(shard.name)
    assert count(s3_store) == 0


def test_a_listing_of_many_pages_is_whole(s3_store, s3_server, bucket):
    for number in range(3 * KEYS_PER_PAGE):
        commit_point(s3_store, number)
    assert count(s3_store) == 3 * KEYS_PER_PAGE
    assert any("continuation-token" in request for request in s3_server.requests(bucket))


def test_a_merge_between_two_pages_of_a_listing_hides_no_row(
    s3_store, s3_server, bucket, monkeypatch
):
    """The merged shard belongs on a page already read; its parts vanish from those to come."""
    parts = [f"points/{letter}" for letter in "bcdefghijk"]
    for name in parts:
        s3_store.folder.write(name, b"part")
    system = s3_store.folder._system
    answer_to = system._call_s3
    merges = iter([True])

    async def answer_and_merge(method, *words, **options):
        answer = await answer_to(method, *words, **options)
        if method == "list_objects_v2" and next(merges, False):
            s3_server.request("PUT", f"{bucket}/some/store/points/a", b"all of them")
            for name in parts:
                s3_server.request("DELETE", f"{bucket}/some/store/{name}")
        return answer

    monkeypatch.setattr(system, "_call_s3", answer_and_merge)
    assert "points/a" in s3_store.folder.files("points")


def test_deleting_the_mirror_or_the_index_changes_no_answer(s3_store):
    for number in range(7):
        commit_point(s3_store, number)
    before = query(s3_store, "from points order by image_id")
    s3_store.index_path.unlink()
    assert query(s3_store, "from points order by image_id").equals(before)
    shutil.rmtree(s3_store.root)
    assert query(s3_store, "from points order by image_id").equals(before)


def test_each_shard_is_downloaded_once(s3_store, s3_server, bucket):
    commit_point(s3_store, 0)
    for _ in range(3):
        refresh(s3_store)
    downloads = [r for r in s3_server.requests(bucket) if r.startswith("GET") and ".parquet" in r]
    assert len(downloads) == 1


def test_stores_side_by_side_in_a_bucket_do_not_mix(bucket):
    stores = [create_store(f"s3://{bucket}/{name}") for name in ("store", "store2", "other/store")]
    for number, store in enumerate(stores):
        for point_number in range(number + 1):
            commit_point(store, point_number)
    assert [count(store) for store in stores] == [1, 2, 3]
    assert open_store(f"s3://{bucket}/store/").root == stores[0].root


def test_threads_may_share_a_store(s3_store):
    for number in range(4):
        commit_point(s3_store, number)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: count(s3_store), range(16))) == [4] * 16
    assert threading.active_count() < 10


def test_a_forked_process_that_opens_the_store_itself_can_use_it(s3_store, address):
    commit_point(s3_store, 0)
    assert count(s3_store) == 1
    code = (
        "import os, sys; from data_store.layout import open_store; from data_store.index import"
        " refresh; refresh(open_store(sys.argv[1])); child = os.fork();"
        " ended = os.waitpid(child, 0)[1] if child else refresh(open_store(sys.argv[1])) - 1;"
        " os._exit(os.waitstatus_to_exitcode(ended) if child else ended)"
    )
    finished(other_process(code, address))


def test_compaction_keeps_every_row_and_others_see_it_at_once(s3_store, address):
    for number in range(2 * KEYS_PER_PAGE):
        commit_point(s3_store, number)
    before = query(s3_store, "select * exclude (shard) from points order by image_id")
    compact(open_store(address))
    assert len(s3_store.shards()) == 1
    after = query(s3_store, "select * exclude (shard) from points order by image_id")
    assert after.equals(before)


def test_a_whole_store_passes_verification(s3_store):
    for number in range(3):
        commit_point(s3_store, number)
    assert not [finding for finding in verify(s3_store).findings if finding.is_open]


def test_a_store_in_memory_answers_like_any_other(tmp_path, monkeypatch):
    monkeypatch.setenv("LEAF_CACHE", str(tmp_path / "cache"))
    store = create_store(f"memory://{tmp_path.name}/store")
    assert count(store) == 0
    for number in range(3):
        commit_point(store, number)
    assert count(open_store(store.address)) == 3
    compact(store)
    assert count(store) == 3
    for shard in store.shards():
        store.folder.delete(shard.name)
        store.folder.delete(shard.name)
    assert count(store) == 0
    store.folder._system.rm(f"/{tmp_path.name}", recursive=True)
