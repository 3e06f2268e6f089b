"""`store verify` finds every kind of damage, and `--repair` loses nothing on the way."""

import json
import os
import shutil
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_store import queries
from data_store.compact import compact
from data_store.health.findings import Severity
from data_store.health.repair import repair
from data_store.health.verify import verify
from data_store.index import query
from data_store.layout import create_store, open_store, shard_name
from data_store.shards import commit_rows
from schemas.ids import sha256_bytes, sha256_text
from schemas.rows import to_table
from schemas.tables import BY_TEACHER, TABLES
from schemas.teacher_spec import PromptSpec, TeacherSpec
from tests.data_store.rows import PROMPT, TEACHER, embedding, image, image_id, pair, point

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "shards"
SPEC = TeacherSpec(
    name="tiny",
    revision="",
    architecture="A",
    weights_sha256=sha256_text("weights"),
    preprocessing_sha256=sha256_text("preprocessing"),
    max_tiles=1,
    dtype="float32",
    quantization="none",
)
QUESTION = PromptSpec(kind="point", text="How good?", labels=("bad",), label_token_ids=((1,),))


def commit(store, table, rows, *, producer="test", teacher_id=TEACHER):
    """Commit rows as one shard; returns its path."""
    given = teacher_id if table in BY_TEACHER else ""
    made = to_table(rows, TABLES[table])
    return commit_rows(store, table, made, producer=producer, teacher_id=given)


def craft(store, rows, notes):
    """Put a Parquet file into TEACHER's points, under the hash of its bytes, with our footer."""
    footer = {
        "table": "points",
        "schema_version": "2",
        "row_count": str(rows.num_rows),
        "teacher_id": TEACHER,
        **notes,
    }
    sink = pa.BufferOutputStream()
    pq.write_table(rows.replace_schema_metadata(footer), sink, write_page_checksum=True)
    data = sink.getvalue().to_pybytes()
    path = store.root / shard_name("points", sha256_bytes(data), TEACHER)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def flip(path, place=0.1):
    data = bytearray(path.read_bytes())
    data[int(len(data) * place)] ^= 1
    path.write_bytes(bytes(data))


def found(report, name):
    """What the findings about a file or table say."""
    return [finding.what for finding in report.findings if finding.name == str(name)]


def below(store, path):
    return path.relative_to(store.root).as_posix()


def files(store):
    """Every file of a store but the index, with its bytes."""
    return {
        below(store, path): path.read_bytes()
        for path in store.root.rglob("*")
        if path.is_file() and "index.duckdb" not in path.name
    }


@pytest.fixture
def filled(store):
    """A whole store: ten images, and answers of one known teacher about eight of them."""
    store.write_teacher(SPEC)
    store.write_prompt(QUESTION)
    commit(store, "images", [image(n) for n in range(10)], producer="store add-images")
    for numbers in (range(4), range(4, 8)):
        rows = [
            {**point(n), "teacher_id": SPEC.teacher_id, "prompt_id": QUESTION.prompt_id}
            for n in numbers
        ]
        commit(store, "points", rows, producer="test 1.0", teacher_id=SPEC.teacher_id)
    return store


def points_of(store):
    return sorted((store.root / "points").rglob("*.parquet"))


def test_a_whole_store_has_no_finding(filled):
    report = verify(filled)
    assert report.findings == []
    assert (report.shard_count, report.row_count) == (3, 18)
    assert report.read_bytes == sum(path.stat().st_size for _, path in filled.shard_paths())


def test_an_empty_store_has_no_finding(store):
    assert verify(store).findings == []


@pytest.mark.parametrize("step", range(12))
def test_a_flipped_byte_is_found_wherever_it_is(filled, step):
    path = points_of(filled)[0]
    flip(path, step / 12)
    (finding,) = verify(filled).findings
    assert finding.severity is Severity.DAMAGE
    assert finding.name == below(filled, path)
    assert "hash to" in finding.what


def test_the_command_exits_2_for_damage_and_0_once_it_is_repaired(filled, cli):
    flip(points_of(filled)[0])
    done = cli("store", "verify", "--store", filled.root, code=2)
    assert points_of(filled)[0].name in done.stdout
    assert "damaged or out of place: 1" in done.stderr
    assert "Traceback" not in done.stderr
    cli("store", "verify", "--repair", "--store", filled.root)
    cli("store", "verify", "--store", filled.root)


def test_json_on_stdout_is_clean_also_where_there_is_damage(filled, cli_here):
    path = points_of(filled)[0]
    flip(path)
    told = json.loads(cli_here("store", "verify", "--json", "--store", filled.root, code=2).stdout)
    assert told["damage"] == 1
    assert told["findings"][0]["where"] == below(filled, path)
    told = json.loads(
        cli_here("store", "verify", "--repair", "--json", "--store", filled.root).stdout
    )
    assert told["damage"] == 0
    assert told["findings"][0]["repaired"].startswith("moved to quarantine/points/")


def test_after_a_repair_the_command_that_is_named_refills_exactly_the_lost_rows(filled):
    lost = points_of(filled)[0]
    lost_ids = pq.read_table(lost).column("image_id").to_pylist()
    flip(lost)
    mended = repair(filled, verify(filled))
    (finding,) = mended.findings
    assert (
        f"annotate points --model tiny --dtype float32 --max-tiles 1 --store {filled.root}"
        in finding.fix
    )
    assert finding.row_count == 4
    assert mended.open_count == 0
    todo = queries.images_without_point(
        filled, SPEC.teacher_id, QUESTION.prompt_id, folder=None
    ).column("image_id")
    never_asked = {image_id(8), image_id(9)}
    assert set(todo.to_pylist()) - never_asked == set(lost_ids)
    assert verify(filled).open_count == 0


def test_a_repair_keeps_every_byte(filled):
    flip(points_of(filled)[0])
    (filled.root / "points" / "notes.txt").write_text("mine")
    before = sorted(files(filled).values())
    repair(filled, verify(filled))
    assert sorted(files(filled).values()) == before


def test_damaged_twice_under_one_name_is_kept_twice(filled):
    path = points_of(filled)[0]
    good = path.read_bytes()
    for number in (1, 2):
        path.write_bytes(good[: 100 * number])
        repair(filled, verify(filled))
    kept = sorted((filled.root / "quarantine").rglob(f"{path.name}.*"))
    assert [len(one.read_bytes()) for one in kept] == [100, 200]


@pytest.mark.parametrize(
    ("table", "producer", "command"),
    [
        ("images", "store add-images", "store add-images FOLDER"),
        ("mos", "store add-mos", "store add-mos FILE"),
        ("predictions", "train run", "train run --run FOLDER"),
        ("pairs", "vllm 1", "annotate pairs --model MODEL --n-pairs N"),
        ("probes", "vllm 1", "annotate points --model MODEL"),
        ("embeddings", "vllm 1", "annotate embed --model MODEL"),
        ("rejections", "store add-images", "store add-images FOLDER"),
        ("rejections", "store add-mos", "store add-mos FILE"),
        ("rejections", "vllm 1", "annotate points --model MODEL"),
    ],
)
def test_each_table_names_the_command_that_refills_it(store, table, producer, command):
    row = {
        "images": image(0),
        "pairs": pair(0, 1),
        "embeddings": embedding(0),
        "probes": {
            "image_id": image_id(0), "teacher_id": TEACHER, "prompt_id": "p", "run_id": "r",
            "kind": "blank", "name": "grey", "engine": "e", "asked_at": datetime(2026, 11, 21),
            "level_logprobs": [-1.0] * 5, "prompt_tokens": 30, "cached_tokens": 0,
        },
        "mos": {
            "image_id": image_id(0), "source": "s", "mos": 1.0, "scale_min": 1.0,
            "scale_max": 5.0, "mos_std": None, "rating_count": None,
        },
        "predictions": {"image_id": image_id(0), "run_id": "r", "student": "s", "score": 0.5},
        "rejections": {
            "path": "/a.png", "stage": "s", "reason": "empty", "detail": "d",
            "image_id": None, "teacher_id": None,
        },
    }[table]  # fmt: skip
    flip(commit(store, table, [row], producer=producer), 0.1)
    (finding,) = verify(store).findings
    assert f"`{command} --store {store.root}` brings its 1 rows back" in finding.fix


def arrow(rows):
    return to_table(rows, TABLES["points"])


def with_column(name, values):
    table = arrow([point(0)])
    kind = table.schema.field(name)
    return table.set_column(table.schema.names.index(name), kind, pa.array(values, kind.type))


@pytest.mark.parametrize(
    ("rows", "notes", "said"),
    [
        (with_column("level_logprobs", [[0.0, 0.0, 0.0, 0.0, 7.0]]), {}, "holds 7.0"),
        (with_column("level_logprobs", [[0.0, 0.0, 0.0, 0.0, float("nan")]]), {}, "holds nan"),
        (with_column("prompt_tokens", [0]), {}, "prompt_tokens holds 0"),
        (with_column("teacher_id", [sha256_text("x")]), {}, "its folder is of"),
        (arrow([point(0)]), {"row_count": "2"}, "to hold 2 rows, not 1"),
        (arrow([point(0)]), {"teacher_id": "x" * 64}, "says that teacher xxxxxxxxxxxx… wrote it"),
        (arrow([point(0)]).drop_columns("cached_tokens"), {}, "columns are not those of points"),
        (arrow([point(0)]), {"schema_version": "0"}, "columns are not those of points version 0"),
        (arrow([point(0)]), {"schema_version": "?"}, "columns are not those of points version 0"),
        (arrow([point(0)]), {"table": "mos"}, "holds table 'mos'"),
        (pa.table({"a": [1]}), {"table": "theirs"}, "holds table 'theirs'"),
    ],
)
def test_a_shard_that_hashes_right_and_holds_wrong_rows_is_damage(store, rows, notes, said):
    path = craft(store, rows, notes)
    report = verify(store)
    assert said in found(report, below(store, path))[0]
    assert repair(store, report).open_count == 0
    assert not path.exists()


def test_a_column_that_may_hold_nulls_is_damage_where_ours_may_not(store):
    nullable = arrow([point(0)]).schema.field("prompt_id").with_nullable(nullable=True)
    rows = arrow([point(0)]).set_column(2, nullable, pa.array([None], pa.string()))
    path = craft(store, rows, {})
    assert "prompt_id: string, " in found(verify(store), below(store, path))[0]


def test_a_page_with_a_wrong_checksum_is_damage_even_under_its_own_hash(store):
    path = commit(store, "points", [point(n) for n in range(500)])
    flip(path, 0.3)
    data = path.read_bytes()
    renamed = path.with_name(f"{sha256_bytes(data)}.parquet")
    path.rename(renamed)
    (said,) = found(verify(store), below(store, renamed))
    assert "checksum" in said


def test_shards_of_every_older_version_are_sound(store):
    count = 0
    for golden in GOLDEN.glob("*.parquet"):
        table = golden.stem.split("-")[0]
        if table in BY_TEACHER:
            continue  # those hold several teachers, which no store's shard does
        target = store.root / table / f"{sha256_bytes(golden.read_bytes())}.parquet"
        target.parent.mkdir(exist_ok=True)
        shutil.copy(golden, target)
        count += 1
    report = verify(store)
    assert report.open_count == 0
    assert report.shard_count == count >= 4


def test_a_shard_of_a_newer_release_is_never_moved(store):
    path = craft(store, pa.table({"a": [1]}), {"schema_version": "99"})
    report = repair(store, verify(store))
    assert path.exists()
    assert report.open_count == 1
    assert "schema version 99" in found(report, below(store, path))[0]


def test_a_sound_shard_in_the_wrong_folder_is_moved_home(filled):
    path = points_of(filled)[0]
    for wrong in ("points", f"points/teacher={TEACHER}", "mos", "points/old"):
        strayed = filled.root / wrong / path.name
        strayed.parent.mkdir(exist_ok=True)
        path.rename(strayed)
        report = verify(filled)
        assert f"it belongs at {below(filled, path)}" in found(report, below(filled, strayed))[0]
        assert report.open_count == 1
        assert repair(filled, report).open_count == 0
        assert query(filled, "from points").num_rows == 8


def test_a_copy_of_a_shard_is_foreign_and_the_shard_stays(filled):
    path = points_of(filled)[0]
    copy = filled.root / "points" / path.name
    shutil.copy(path, copy)
    repair(filled, verify(filled))
    assert path.exists()
    assert not copy.exists()


def test_rows_that_stand_twice_are_noted_until_compaction(store):
    commit(store, "images", [image(n) for n in range(3)])
    commit(store, "points", [point(0), point(0), point(1)])
    commit(store, "points", [point(1), point(2)])
    report = verify(store)
    assert report.open_count == 0
    inside = next(one for one in report.findings if "an earlier row" in one.what)
    assert inside.row_count == 1
    assert found(report, "points") == ["1 keys lie in more than one shard"]
    compact(store)
    kinds = {finding.name.split("/")[0] for finding in verify(store).findings}
    assert kinds == {"teachers", "prompts"}


def test_images_that_nobody_added_are_noted(filled):
    commit(filled, "predictions", [
        {"image_id": image_id(n), "run_id": "r", "student": "s", "score": 0.5}
        for n in (9, 10, 11)
    ])  # fmt: skip
    (said,) = found(verify(filled), "predictions")
    assert said == "its rows name 2 images that are not in the store"


def test_teachers_and_prompts_without_a_file_are_noted(store):
    commit(store, "points", [point(0)])
    report = verify(store)
    assert report.open_count == 0
    assert found(report, f"teachers/{TEACHER}.json")
    assert found(report, f"prompts/{PROMPT}.json")


@pytest.mark.parametrize("kind", ["teachers", "prompts"])
@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "EOF"), ("[]", "dict"), ("{}", "required"), ("", "EOF")],
)
def test_a_damaged_description_is_moved_away(filled, kind, text, said):
    (path,) = (filled.root / kind).iterdir()
    path.write_text(text)
    report = verify(filled)
    assert report.open_count == 1
    assert repair(filled, report).open_count == 0
    assert not path.exists()
    assert verify(filled).open_count == 0
    filled.write_teacher(SPEC)
    filled.write_prompt(QUESTION)
    assert verify(filled).findings[0].name == "quarantine"


def test_a_description_that_hashes_to_something_else_is_damage(filled):
    path = filled.root / "teachers" / f"{SPEC.teacher_id}.json"
    path.write_text(path.read_text().replace("float32", "float16"))
    assert "hashes to" in found(verify(filled), below(filled, path))[0]


def test_a_description_of_a_newer_release_is_left_alone(filled):
    raw = {**SPEC.model_dump(), "colour_space": "rec2020"}
    identity = {key: value for key, value in raw.items() if key not in ("name", "revision")}
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    path = filled.root / "teachers" / f"{sha256_text(text)}.json"
    path.write_text(json.dumps(raw))
    assert repair(filled, verify(filled)).open_count == 1
    assert path.exists()


def test_foreign_files_are_moved_and_unknown_ones_at_the_top_stay(filled):
    foreign = [
        filled.root / "points" / "other.parquet",
        filled.root / "images" / ".DS_Store",
        filled.root / "teachers" / "readme.md",
        filled.root / "mos" / "deep" / "notes.txt",
    ]
    pq_file = pa.table({"a": [1, 2, 3]})
    for path in foreign:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("theirs")
    pq.write_table(pq_file, foreign[0])
    (filled.root / "runs").mkdir()
    (filled.root / "runs" / "log").write_text("mine")
    report = repair(filled, verify(filled))
    assert "Parquet with 3 rows" in found(report, "points/other.parquet")[0]
    assert not any(path.exists() for path in foreign)
    assert (filled.root / "runs" / "log").exists()
    assert {one.name for one in verify(filled).findings} == {"runs", "quarantine"}


def test_only_temporary_files_that_nobody_writes_any_more_are_deleted(filled):
    young, old = (filled.root / "points" / f".tmp-{age}-x.parquet" for age in ("young", "old"))
    for path in (young, old):
        path.write_text("half")
    two_hours_ago = time.time() - 7200
    os.utime(old, (two_hours_ago, two_hours_ago))
    report = repair(filled, verify(filled))
    assert "somebody may be writing" in found(report, below(filled, young))[0]
    assert "left behind 2 hours ago" in found(report, below(filled, old))[0]
    assert young.exists()
    assert not old.exists()


def test_what_a_killed_repair_did_not_say_is_said_by_the_next_verify(filled):
    flip(points_of(filled)[0])
    repair(filled, verify(filled))
    (finding,) = verify(filled).findings
    assert finding.name == "quarantine"
    assert "1 of them shards" in finding.what
    assert "annotate points --model tiny" in finding.fix


def test_a_link_to_a_folder_is_noted_because_nothing_behind_it_is_read(filled, tmp_path):
    (tmp_path / "other disk").mkdir()
    link = filled.root / "points" / f"teacher={TEACHER}"
    link.symlink_to(tmp_path / "other disk", target_is_directory=True)
    assert found(verify(filled), below(filled, link)) == [
        "a link to a folder; shards behind it are not read"
    ]


def test_the_longest_file_name_fits_into_quarantine(filled):
    foreign = filled.root / "points" / ("ö" * 127)
    foreign.write_text("theirs")
    repair(filled, verify(filled))
    (kept,) = (filled.root / "quarantine" / "points").iterdir()
    assert kept.read_text() == "theirs"


def test_a_file_name_that_is_no_text_can_be_shown_and_moved(filled, cli):
    foreign = filled.root / "points" / os.fsdecode(b"\xff\xfe.parquet")
    foreign.write_text("theirs")
    told = json.loads(cli("store", "verify", "--repair", "--json", "--store", filled.root).stdout)
    assert len(told["findings"]) == 1
    assert not foreign.exists()


def test_the_index_is_brought_up_to_date(filled):
    assert verify(filled).index == "was made anew, lists 3 shards"
    assert verify(filled).index == "was up to date, lists 3 shards"
    flip(points_of(filled)[0])
    assert "not looked at" in verify(filled).index


@pytest.mark.crash
@pytest.mark.parametrize(
    ("fault", "deaths"), [("repair.begun", 1), ("repair.moved", 2), ("repair.done", 1)]
)
def test_a_repair_that_is_killed_loses_nothing_and_goes_on(filled, cli, fault, deaths):
    for path in points_of(filled):
        flip(path)
    before = sorted(files(filled).values())
    for _ in range(deaths):
        cli("store", "verify", "--repair", "--store", filled.root, code=-9,
            env={"LEAF_FAULT_POINT": fault})  # fmt: skip
        assert sorted(files(filled).values()) == before
    assert repair(filled, verify(filled)).open_count == 0
    assert sorted(files(filled).values()) == before
    assert verify(filled).open_count == 0
    assert query(filled, "from points").num_rows == 0


@pytest.mark.crash
def test_a_verify_beside_a_compaction_finds_no_damage(store, tmp_path):
    commit(store, "images", [image(n) for n in range(60)])
    for number in range(60):
        commit(store, "points", [point(number)])
    code = (
        "import sys; from data_store.layout import open_store;"
        "from data_store.compact import compact;"
        "print('begun', flush=True); compact(open_store(sys.argv[1]), rows_per_shard=4)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(store.root)], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "begun\n"
        while other.poll() is None:
            assert verify(store).open_count == 0
    assert other.returncode == 0
    report = verify(store)
    assert report.row_count == 120
    assert report.open_count == 0


@pytest.fixture
def far(monkeypatch, tmp_path):
    """A store on object storage, in this process's memory."""
    import fsspec

    monkeypatch.setenv("LEAF_CACHE", str(tmp_path / "cache"))
    store = create_store("memory://verify/store")
    commit(store, "images", [image(0), image(1)])
    commit(store, "points", [point(0), point(1)])
    yield store
    fsspec.filesystem("memory").rm("/verify", recursive=True)


def only_points(store):
    (shard,) = [one for one in store.shards() if one.table == "points"]
    return shard


def test_object_storage_is_read_as_it_is_and_not_as_the_mirror_has_it(far):
    assert query(far, "from points").num_rows == 2
    shard = only_points(far)
    data = far.folder.read(shard.name)
    far.folder.write(shard.name, data[:-20])
    assert verify(far).open_count == 1


def test_a_damaged_shard_of_object_storage_is_put_right_from_the_mirror(far):
    assert query(far, "from points").num_rows == 2
    shard = only_points(far)
    data = far.folder.read(shard.name)
    far.folder.write(shard.name, data[:-20])
    report = repair(far, verify(far))
    assert report.open_count == 0
    assert "put right from this machine's copy" in report.findings[0].repaired
    assert far.folder.read(shard.name) == data
    assert far.folder.read(f"quarantine/{shard.name}.1") == data[:-20]


def test_without_a_mirror_it_goes_into_quarantine_there(far):
    shard = only_points(far)
    data = far.folder.read(shard.name)
    far.folder.write(shard.name, data[:-20])
    assert repair(far, verify(far)).open_count == 0
    assert not far.folder.has(shard.name)
    assert far.folder.read(f"quarantine/{shard.name}.1") == data[:-20]
    assert verify(far).open_count == 0
    assert query(far, "from points").num_rows == 0


def test_a_damaged_copy_in_the_mirror_is_thrown_away(far):
    assert query(far, "from points").num_rows == 2
    copy = far.root / only_points(far).name
    flip(copy)
    report = verify(far)
    assert report.open_count == 0
    assert "the copy on this machine was damaged" in found(report, only_points(far).name)[0]
    assert query(far, "from points").num_rows == 2
    assert verify(far).index == "was up to date, lists 2 shards"


@pytest.mark.crash
def test_a_repair_of_object_storage_that_is_killed_leaves_one_copy_in_the_end(bucket, cli):
    address = f"s3://{bucket}/store"
    store = create_store(address)
    commit(store, "points", [point(0)])
    shard = only_points(store)
    store.folder.write(shard.name, b"damaged")
    for fault in ("repair.copied", "repair.moved"):
        cli("store", "verify", "--repair", "--store", address, code=-9,
            env={"LEAF_FAULT_POINT": fault})  # fmt: skip
        assert b"damaged" in (store.folder.read(name) for name in store.folder.files())
    cli("store", "verify", "--repair", "--store", address)
    assert open_store(address).folder.files("quarantine") == [f"quarantine/{shard.name}.1"]
    assert not store.folder.has(shard.name)
