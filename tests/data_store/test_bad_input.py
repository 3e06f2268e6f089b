"""Whatever somebody did to a store: answers stay right, or an error says what, where and fix."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_store import queries
from data_store.health.repair import repair
from data_store.health.verify import verify
from data_store.index import query, refresh
from data_store.layout import create_store, open_store, shard_name
from data_store.shards import commit_rows
from schemas.errors import (
    LeafError,
    ShardDamaged,
    StoreFormatError,
    StoreMissing,
    StoreNotWritable,
    StoreUnreachable,
)
from schemas.ids import sha256_bytes
from schemas.points import POINTS
from schemas.rows import to_table
from tests.data_store.rows import TEACHER, image_id, point

NOBODY = 65534
REPOSITORY = Path(__file__).resolve().parents[2]


def commit(store, *numbers):
    rows = to_table([point(n) for n in numbers], POINTS)
    return commit_rows(store, "points", rows, producer="test", teacher_id=TEACHER)


def ids(store):
    found = query(store, "select image_id from points order by image_id")
    return found.column("image_id").to_pylist()


def expected(*numbers):
    return sorted(image_id(n) for n in numbers)


def put(store, data, *, name=""):
    """Bytes under the name of a point shard."""
    path = store.root / shard_name("points", name or sha256_bytes(data), TEACHER)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def parquet(table, notes=None):
    sink = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata(notes), sink)
    return sink.getvalue().to_pybytes()


def ours(**notes):
    return {"table": "points", "schema_version": "2", "row_count": "1", "teacher_id": TEACHER} | (
        notes
    )


@contextmanager
def as_somebody_else():
    """Without the rights of root, who may write everywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder(monkeypatch):
    """A folder that other users may enter, and a cache that they may write."""
    folder = Path(tempfile.mkdtemp(prefix="leaf-iqa-test-"))
    folder.chmod(0o755)
    cache = folder / "cache"
    cache.mkdir()
    cache.chmod(0o777)
    monkeypatch.setenv("LEAF_CACHE", str(cache))
    yield folder
    for path in folder.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
    shutil.rmtree(folder)


DAMAGES = {
    "truncated": lambda data: data[: len(data) // 2],
    "truncated by one byte": lambda data: data[:-1],
    "empty": lambda _: b"",
    "flipped in the footer's length": lambda data: data[:-6] + b"\xff" + data[-5:],
    "flipped in the footer": lambda data: data[:-300] + bytes([data[-300] ^ 255]) + data[-299:],
    "zeroed at the end, as after a power cut": lambda data: data[:-500] + bytes(500),
    "text": lambda _: b"<html>504 Gateway Timeout</html>",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_shard_that_cannot_be_read_is_named_and_can_be_repaired(store, damage):
    kept, lost = commit(store, 0), commit(store, 1)
    assert ids(store) == expected(0, 1)
    lost.write_bytes(DAMAGES[damage](lost.read_bytes()))
    store.index_path.unlink()
    with pytest.raises(ShardDamaged, match=lost.stem) as caught:
        ids(store)
    assert "store verify --repair" in caught.value.fix
    (found,) = [one for one in verify(store).findings if one.is_open]
    assert found.name.endswith(lost.name)
    assert repair(store, verify(store)).open_count == 0
    assert ids(store) == expected(0)
    assert kept.exists()


def test_a_flipped_byte_of_a_page_is_found_and_repaired(store):
    path = commit(store, *range(200))
    data = bytearray(path.read_bytes())
    data[len(data) // 4] ^= 1
    path.write_bytes(bytes(data))
    assert repair(store, verify(store)).open_count == 0
    assert ids(store) == []


def test_the_commands_exit_2_without_a_trace(store, cli):
    path = commit(store, 0)
    path.write_bytes(path.read_bytes()[:-10])
    for words in (("sql", "from points"), ("status",), ("verify",), ("index",)):
        done = cli("store", *words, "--store", store.root, code=2)
        assert path.stem in done.stdout + done.stderr
        assert "error: " in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["theirs.parquet", "x", "a b ö.parquet", "A" * 64 + ".parquet"])
def test_foreign_parquet_under_another_name_changes_no_answer(store, name):
    beside = commit(store, 0).with_name(name)
    beside.write_bytes(parquet(pa.table({"image_id": [image_id(1)]})))
    assert ids(store) == expected(0)
    report = verify(store)
    assert report.open_count == 0
    assert any(one.name.endswith(name) for one in report.findings)


@pytest.mark.parametrize("honest", [True, False])
def test_foreign_parquet_under_the_name_of_a_shard_is_named(store, honest):
    commit(store, 0)
    foreign = parquet(pa.table({"image_id": [image_id(1)]}))
    path = put(store, foreign, name="" if honest else "ab" * 32)
    with pytest.raises(ShardDamaged) as caught:
        ids(store)
    assert str(path) == caught.value.where
    assert not honest or "was not written by leaf-iqa" in caught.value.what
    assert verify(store).open_count == 1
    repair(store, verify(store))
    assert ids(store) == expected(0)


def test_a_newer_schema_version_asks_for_a_newer_release_and_is_left_alone(store):
    commit(store, 0)
    path = put(store, parquet(pa.table({"a": [1]}), ours(schema_version="3")))
    with pytest.raises(ShardDamaged, match="schema version 3 of points, this release reads") as one:
        ids(store)
    assert "release of leaf-iqa" in one.value.fix
    assert repair(store, verify(store)).open_count == 1
    assert path.exists()


@pytest.mark.parametrize("version", ["0", "-1", "1.5", "", "ü"])
def test_a_schema_version_that_never_was_is_damage(store, version):
    rows = to_table([point(0)], POINTS)
    put(store, parquet(rows, ours(schema_version=version)))
    with pytest.raises(ShardDamaged):
        ids(store)
    assert repair(store, verify(store)).open_count == 0
    assert ids(store) == []


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("prompt_tokens", pa.int64()),
        ("prompt_tokens", pa.string()),
        ("level_logprobs", pa.list_(pa.float32())),
        ("level_logprobs", pa.list_(pa.float64(), 5)),
        ("image_id", pa.large_string()),
        ("image_id", pa.binary()),
    ],
)
def test_columns_of_another_type_are_named_with_their_type(store, column, kind):
    rows = to_table([point(0)], POINTS)
    place = rows.schema.names.index(column)
    changed = rows.column(column).cast(kind)
    put(store, parquet(rows.set_column(place, column, changed), ours()))
    with pytest.raises(ShardDamaged, match=f"{column}: ") as caught:
        ids(store)
    assert "columns are not those of points version 2" in caught.value.what
    assert repair(store, verify(store)).open_count == 0


@pytest.mark.parametrize("offset", [timedelta(days=4000), timedelta(days=-20000)])
def test_a_wrong_clock_changes_no_answer(store, offset):
    commit(store, 0)
    rows = to_table([point(0, (-9.0, -9.0, -9.0, -9.0, -0.1))], POINTS)
    before = query(store, "select score from points").to_pylist()
    created = (datetime.now(UTC) + offset).isoformat()
    path = put(store, parquet(rows, ours(created=created)))
    os.utime(path, (4e9, 4e9) if offset > timedelta() else (0, 0))
    after = query(store, "select score from points").to_pylist()
    by_name = sorted(one.name for _, one in store.shard_paths())
    assert len(after) == 1
    assert (after == before) == (by_name[0] != path.name)
    report = verify(store)
    assert report.open_count == 0
    assert any("in the future" in one.what for one in report.findings) == (offset > timedelta())


WRITER = """
import resource, sys
from data_store.index import query
from data_store.layout import open_store
from data_store.shards import commit_rows
from schemas.errors import StoreNotWritable
from schemas.points import POINTS
from schemas.rows import to_table
from tests.data_store.rows import TEACHER, point

store, row_count = open_store(sys.argv[1]), int(sys.argv[2])
rows = to_table([point(n) for n in range(row_count)], POINTS)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    commit_rows(store, "points", rows, producer="test", teacher_id=TEACHER)
except StoreNotWritable as error:
    print(error)
print(query(store, "from points").num_rows, "rows")
"""


@pytest.mark.parametrize(
    ("row_count", "said"),
    [(2000, "File too large"), (30, "")],
    ids=["no room for the shard", "room for the shard and none for the index"],
)
def test_a_disk_that_is_full_loses_nothing_and_stops_no_query(store, tmp_path, row_count, said):
    commit(store, 0, 1)
    done = subprocess.run(
        [sys.executable, "-c", WRITER, str(store.root), str(row_count)],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
        cwd=REPOSITORY,
        env={**os.environ, "LEAF_CACHE": str(tmp_path / "cache")},
    )
    assert done.returncode == 0, done.stderr
    assert said in done.stdout
    assert ("free some space" in done.stdout) == bool(said)
    assert f"{2 if said else 30} rows" in done.stdout
    assert not list(store.root.rglob(".tmp-*"))
    assert not list(tmp_path.rglob("*.duckdb*"))
    assert verify(store).open_count == 0


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MiB, where this user may mount one."""
    folder = tmp_path / "small disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        pytest.skip(f"no right to mount a small file system: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_small_disk_is_filled_to_the_brim_and_every_committed_row_answers(
    small_disk, tmp_path, monkeypatch
):
    monkeypatch.setenv("LEAF_CACHE", str(tmp_path / "cache"))
    store = create_store(small_disk / "store")
    committed = []

    def fill():
        while True:
            numbers = range(len(committed), len(committed) + 1000)
            commit(store, *numbers)
            committed.extend(numbers)
            refresh(store)

    with pytest.raises(StoreNotWritable, match="No space left") as caught:
        fill()
    assert "free some space" in caught.value.fix
    assert committed
    assert ids(store) == expected(*committed)
    assert not list(store.root.rglob(".tmp-*"))
    assert verify(store).open_count == 0
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    commit(store, 100_000)
    assert ids(store) == expected(*committed, 100_000)


def test_a_store_that_may_only_be_read_answers_through_an_index_in_the_cache(open_folder):
    store = create_store(open_folder / "store")
    commit(store, 0)
    store.root.chmod(0o555)
    with as_somebody_else():
        assert ids(store) == expected(0)
        assert store.spare_index_path.exists()
        assert verify(store).open_count == 0
        with pytest.raises(StoreNotWritable, match="Permission denied") as caught:
            commit(store, 1)
        assert "right to write" in caught.value.fix
    assert not store.index_path.exists()


def test_without_any_place_for_an_index_a_query_answers_all_the_same(open_folder):
    store = create_store(open_folder / "store")
    commit(store, 0)
    store.root.chmod(0o555)
    (open_folder / "cache").chmod(0o555)
    with as_somebody_else():
        assert ids(store) == expected(0)


def test_a_repair_that_may_not_write_says_so_and_changes_nothing(open_folder):
    store = create_store(open_folder / "store")
    path = commit(store, 0)
    path.write_bytes(b"damaged")
    with as_somebody_else():
        report = repair(store, verify(store))
    assert report.open_count == 1
    assert "right to write" in report.findings[0].fix
    assert path.exists()


def test_a_shard_that_this_user_may_not_read_is_named_and_stays(open_folder):
    store = create_store(open_folder / "store")
    path = commit(store, 0)
    path.chmod(0)
    with as_somebody_else():
        with pytest.raises(ShardDamaged, match="Permission denied") as caught:
            ids(store)
        assert "right to read" in caught.value.fix
        report = repair(store, verify(store))
    assert report.open_count == 1
    assert path.exists()


def test_a_folder_that_this_user_may_not_list_hides_no_rows(open_folder):
    store = create_store(open_folder / "store")
    folder = commit(store, 0).parent
    folder.chmod(0)
    with as_somebody_else():
        for ask in (ids, verify):
            with pytest.raises(StoreUnreachable, match="Permission denied"):
                ask(store)


def test_a_place_where_this_user_may_not_look_is_no_store_for_them(open_folder):
    store = create_store(open_folder / "closed" / "store")
    (open_folder / "closed").chmod(0)
    with as_somebody_else():
        for opened in (open_store, create_store):
            with pytest.raises(StoreUnreachable, match="Permission denied"):
                opened(store.root)


def test_no_new_store_where_this_user_may_not_write(open_folder):
    with as_somebody_else(), pytest.raises(StoreNotWritable, match="right to write"):
        create_store(open_folder / "new")


LONG = [("x" * 250), ("ü" * 120), ("日" * 80), ("y" * 255), ("z" * 255)]


@pytest.mark.parametrize(
    "parts",
    [
        ["with spaces and ' quotes \""],
        ["ünïcödé 写真 🖼"],
        ["[a-z]*?{b} $HOME %20 #1;--"],
        ["line\nbreak"],
        LONG,
    ],
    ids=["spaces", "unicode", "wildcards", "line break", "long"],
)
def test_any_path_holds_a_store(tmp_path, parts, cli):
    folder = tmp_path.joinpath(*parts)
    assert parts is not LONG or len(os.fsencode(folder)) > 1000
    store = create_store(folder)
    commit(store, 0)
    path = commit(store, 1)
    assert ids(store) == expected(0, 1)
    found = cli("store", "sql", "select count(*) as n from points", "--json", "--store", folder)
    assert json.loads(found.stdout) == [{"n": 2}]
    path.write_bytes(b"damaged")
    assert repair(store, verify(store)).open_count == 0
    assert ids(store) == expected(0)


def test_a_path_that_looks_like_a_pattern_reads_no_other_store(tmp_path):
    for number, name in enumerate(["[ab]", "a", "x*", "xy", "w?", "wz", "[!c]", "{q,r}", "q"]):
        store = create_store(tmp_path / name)
        commit(store, number)
        shutil.copytree(store.root, tmp_path / f"{name} copy")
        assert ids(store) == expected(number)


@pytest.mark.parametrize(
    "address",
    [
        "x" * 256,
        "a/" * 3000,
        "~nobody-has-this-name/store",
        "loop/store",
        "null\0byte",
        "back\\slash",
    ],
)
def test_an_impossible_path_is_an_error_with_a_fix(tmp_path, monkeypatch, address):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    for opened in (open_store, create_store):
        with pytest.raises(LeafError):
            opened(address)


def test_links_in_circles_inside_a_store_are_passed_over(store):
    path = commit(store, 0)
    (path.parent / "up").symlink_to(store.root, target_is_directory=True)
    (store.root / "points" / "loop").symlink_to("loop")
    (store.root / "loop").symlink_to("loop")
    (store.root / "here").symlink_to(".", target_is_directory=True)
    assert ids(store) == expected(0)
    report = verify(store)
    assert report.open_count == 0
    assert len(report.findings) >= 4
    repair(store, report)
    assert ids(store) == expected(0)


@pytest.mark.parametrize("target", ["itself", "nowhere"])
def test_a_shard_that_is_a_link_to_nothing_is_damage(store, target):
    commit(store, 0)
    path = store.root / shard_name("points", "ab" * 32, TEACHER)
    path.symlink_to(path.name if target == "itself" else "nowhere")
    with pytest.raises(ShardDamaged, match=path.stem):
        ids(store)
    report = verify(store)
    assert report.open_count == 1
    assert repair(store, report).open_count == 0
    assert ids(store) == expected(0)


def test_a_link_out_of_the_store_is_named_and_stays(store, tmp_path):
    path = commit(store, 0)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ShardDamaged, match="a link out of the store"):
        ids(store)
    assert repair(store, verify(store)).open_count == 1
    assert path.is_symlink()


def test_a_whole_table_behind_a_link_is_named_and_stays(store, tmp_path):
    commit(store, 0)
    (store.root / "points").rename(tmp_path / "elsewhere")
    (store.root / "points").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    with pytest.raises(ShardDamaged, match="a link out of the store"):
        ids(store)
    assert repair(store, verify(store)).open_count == 1


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format_version": "one"}', "\0\0\0"])
def test_a_damaged_store_json_stops_every_command_with_a_fix(store, cli, text):
    commit(store, 0)
    (store.root / "store.json").write_text(text)
    with pytest.raises(StoreFormatError) as caught:
        open_store(store.root)
    assert "store.json" in caught.value.where
    if text == "{":
        done = cli("store", "verify", "--store", store.root, code=2)
        assert "format_version" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_store_json_that_is_gone_is_not_made_anew_over_the_shards(store):
    commit(store, 0)
    (store.root / "store.json").unlink()
    for opened in (open_store, create_store):
        with pytest.raises(StoreMissing):
            opened(store.root)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": 1}', "\0"])
def test_a_damaged_teacher_file_is_named_and_stops_no_query(store, cli, text):
    commit(store, 0)
    path = store.root / "teachers" / f"{TEACHER}.json"
    path.parent.mkdir()
    path.write_text(text)
    assert ids(store) == expected(0)
    with pytest.raises(StoreFormatError, match="describes a teacher") as caught:
        queries.teachers(store)
    assert caught.value.where == str(path)
    if text == "{":
        assert "Traceback" not in cli("store", "status", "--store", store.root, code=2).stderr
    repair(store, verify(store))
    assert queries.teachers(store).num_rows == 1


def other_database(path):
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table shards as select 1 as mine")


def half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def zeros_inside(path):
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:12_288] + bytes(size - 12_288))


INDEX_DAMAGES = {
    "junk": lambda path: path.write_bytes(b"junk" * 10_000),
    "empty": lambda path: path.write_bytes(b""),
    "folder": Path.mkdir,
    "folder with files": lambda path: shutil.copytree(path.parent / "points", path),
    "another database": other_database,
    "link to nothing": lambda path: path.symlink_to("nowhere"),
    "link to itself": lambda path: path.symlink_to(path.name),
}


@pytest.mark.parametrize("damage", INDEX_DAMAGES)
def test_an_index_that_is_none_changes_no_answer(store, damage, tmp_path, monkeypatch):
    monkeypatch.setenv("LEAF_CACHE", str(tmp_path / "cache"))
    commit(store, 0)
    refresh(store)
    store.index_path.unlink()
    INDEX_DAMAGES[damage](store.index_path)
    assert ids(store) == expected(0)
    commit(store, 1)
    assert ids(store) == expected(0, 1)
    assert verify(store).open_count == 0


@pytest.mark.parametrize("damage", [half, zeros_inside])
def test_a_damaged_index_changes_no_answer(store, damage):
    commit(store, 0)
    refresh(store)
    damage(store.index_path)
    assert ids(store) == expected(0)
    commit(store, 1)
    assert ids(store) == expected(0, 1)


def test_the_index_of_another_store_changes_no_answer(store, tmp_path):
    other = create_store(tmp_path / "other")
    commit(other, 5)
    refresh(other)
    commit(store, 0)
    shutil.copy(other.index_path, store.index_path)
    assert ids(store) == expected(0)


def flipped(store, step):
    """A shard of a hundred rows that the index knows, with one bit changed afterwards."""
    path = commit(store, *range(100))
    refresh(store)
    data = bytearray(path.read_bytes())
    data[len(data) * step // 6] ^= 16
    path.write_bytes(bytes(data))
    return path


@pytest.mark.parametrize("step", range(6))
def test_a_shard_with_a_flipped_bit_never_gets_into_an_index(store, step):
    path = flipped(store, step)
    store.index_path.unlink()
    with pytest.raises(ShardDamaged, match=path.stem):
        query(store, "select * from points")


@pytest.mark.parametrize("step", range(6))
def test_a_query_that_fails_because_a_bit_flipped_since_says_so(store, step):
    path = flipped(store, step)
    # Where the query does not fail, only `verify` knows: it alone reads every byte again.
    with suppress(ShardDamaged):
        query(store, "select * from points")
    assert verify(store).findings[0].name.endswith(path.name)
