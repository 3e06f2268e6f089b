"""What can go wrong with a store on S3 is said in a sentence, in time, and never guessed."""

import socket
import subprocess
import sys
import time

import pytest
import s3fs

from data_store import remote_folder
from data_store.index import query
from data_store.layout import create_store, open_store
from data_store.shards import commit_rows
from schemas.errors import LeafError, ShardDamaged, StoreMissing, StoreNotWritable, StoreUnreachable
from schemas.points import POINTS
from schemas.rows import to_table
from tests.data_store.conftest import use_server
from tests.data_store.rows import TEACHER, point
from tests.data_store.s3_server import REPOSITORY, start_server


@pytest.fixture
def address(bucket):
    return f"s3://{bucket}/store"


@pytest.fixture
def s3_store(address):
    return create_store(address)


def commit_points(store, *numbers):
    rows = to_table([point(number) for number in numbers], POINTS)
    commit_rows(store, "points", rows, producer="test", teacher_id=TEACHER)


@pytest.mark.parametrize("damage", [b"other bytes", b"", None])
def test_a_damaged_object_is_refused_and_named(s3_store, s3_server, bucket, damage):
    commit_points(s3_store, 0, 1)
    (shard,) = s3_store.shards()
    whole = s3_store.folder.read(shard.name)
    s3_server.request(
        "PUT", f"{bucket}/store/{shard.name}", whole[:-1] if damage is None else damage
    )
    with pytest.raises(ShardDamaged, match=r"hash to .*, its name says") as refused:
        query(s3_store, "from points")
    assert refused.value.where == f"{s3_store.address}/{shard.name}"
    assert not (s3_store.root / shard.name).exists()


def test_a_shard_that_is_gone_while_it_is_listed_does_not_stop_the_others(s3_store):
    commit_points(s3_store, 0)
    commit_points(s3_store, 1)
    gone = "points/teacher=" + TEACHER + "/" + "0" * 64 + ".parquet"
    names = [shard.name for shard in s3_store.shards()]
    with pytest.raises(FileNotFoundError):
        s3_store.folder.fetch([names[0], gone, names[1]])
    assert all((s3_store.root / name).exists() for name in names)


def test_a_bucket_that_is_not_there_is_said_so(bucket, cli):
    said = cli("store", "init", "s3://no-such-bucket/store", code=2).stderr
    assert said.startswith("error: the bucket is not there")
    assert "where: s3://no-such-bucket/store" in said
    with pytest.raises(StoreMissing, match="there is no store here"):
        open_store("s3://no-such-bucket/store")


def test_a_bucket_that_is_deleted_under_a_store_is_no_empty_store(s3_store, s3_server, bucket):
    s3_server.request("DELETE", f"{bucket}/store/store.json")
    s3_server.request("DELETE", bucket)
    with pytest.raises(StoreUnreachable, match="the bucket is not there"):
        query(s3_store, "from points")
    with pytest.raises(StoreUnreachable, match="the bucket is not there"):
        commit_points(s3_store, 0)


def test_a_folder_that_holds_other_things_does_not_become_a_store(s3_server, bucket):
    s3_server.request("PUT", f"{bucket}/photographs/1.png", b"a photograph")
    with pytest.raises(StoreMissing, match="it is not empty"):
        create_store(f"s3://{bucket}/photographs")


def test_refused_credentials_are_not_taken_for_an_absent_store(
    tmp_path_factory, monkeypatch, cli, bucket
):
    stranger = start_server(tmp_path_factory.mktemp("s3") / "log", knows_credentials=False)
    use_server(stranger, monkeypatch)
    try:
        for action in (create_store, open_store):
            with pytest.raises(StoreUnreachable, match="PermissionError"):
                action(f"s3://{bucket}/store")
        said = cli("store", "status", "--store", f"s3://{bucket}/store", code=2).stderr
    finally:
        stranger.stop()
    assert "credentials" in said
    assert "Traceback" not in said


def test_without_credentials_it_says_so(bucket, monkeypatch, cli):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    said = cli("store", "status", "--store", f"s3://{bucket}/store", code=2).stderr
    assert "Unable to locate credentials" in said


def test_a_server_that_is_down_is_an_error_within_seconds(bucket, monkeypatch, cli):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{unused.getsockname()[1]}")
        start = time.monotonic()
        said = cli("store", "status", "--store", f"s3://{bucket}/store", code=2).stderr
    assert "Could not connect" in said
    assert time.monotonic() - start < 40


def test_a_server_that_never_answers_is_an_error_in_time(bucket, monkeypatch):
    """In the program it waits ten times as long: a minute in all."""
    monkeypatch.setitem(remote_folder.PATIENCE_WITH_S3, "read_timeout", 1)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(50)
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        s3fs.S3FileSystem.clear_instance_cache()
        start = time.monotonic()
        with pytest.raises(StoreUnreachable, match="timeout"):
            open_store(f"s3://{bucket}/store")
    assert time.monotonic() - start < 20


def test_an_answer_from_the_mirror_is_never_given_for_a_server_that_went_down(
    tmp_path_factory, monkeypatch, tmp_path
):
    monkeypatch.setenv("LEAF_CACHE", str(tmp_path / "cache"))
    server = start_server(tmp_path_factory.mktemp("s3") / "log")
    use_server(server, monkeypatch)
    server.request("PUT", "bucket")
    store = create_store("s3://bucket/store")
    commit_points(store, 0)
    assert query(store, "from points").num_rows == 1
    server.stop()
    with pytest.raises(StoreUnreachable):
        query(store, "from points")


def test_a_mirror_that_cannot_be_written_is_named(s3_store, tmp_path, monkeypatch):
    commit_points(s3_store, 0)
    (tmp_path / "a file").touch()
    monkeypatch.setenv("LEAF_CACHE", str(tmp_path / "a file"))
    with pytest.raises(StoreNotWritable, match="LEAF_CACHE"):
        query(open_store(s3_store.address), "from points")


def test_without_the_package_for_s3_it_says_how_to_get_it():
    code = (
        "import sys; sys.modules['s3fs'] = None; from data_store.layout import open_store;"
        " from schemas.errors import StoreUnreachable\n"
        "try: open_store('s3://bucket/store')\n"
        "except StoreUnreachable as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    assert done.stdout.startswith("the package for this kind of storage is missing")
    assert "leaf-iqa[s3]" in done.stdout


@pytest.mark.parametrize(
    "address", ["s3://", "s3:///", "sftp://host/folder", "nonsense://x", "http://host/folder"]
)
def test_an_address_that_is_no_object_storage_is_refused(address):
    for action in (create_store, open_store):
        with pytest.raises(LeafError, match="no address of object storage") as refused:
            action(address)
        assert "s3://bucket/folder" in refused.value.fix
