"""The command `store`, as people and programs use it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture
def filled(tmp_path, image_folder, cli_here):
    folder = tmp_path / "store"
    cli_here("store", "add-images", image_folder, "--store", folder)
    names = "".join(f"image_{number:02d}.png,{1 + number / 3:.2f}\n" for number in range(12))
    (tmp_path / "mos.csv").write_text("image,mos\n" + names)
    cli_here("store", "add-mos", tmp_path / "mos.csv", "--scale", "1", "5", "--store", folder)
    return folder


def test_a_query_prints_a_table_or_json_on_stdout_and_nothing_else(filled, cli):
    query = "select name, mos from mos join images using (image_id) order by mos limit 2"
    table = cli("store", "sql", query, "--store", filled)
    assert "image_00.png" in table.stdout
    assert table.stderr == ""
    rows = json.loads(cli("store", "sql", query, "--store", filled, "--json").stdout)
    assert rows == [{"name": "image_00.png", "mos": 1.0}, {"name": "image_01.png", "mos": 1.33}]


def test_a_hash_is_never_folded_in_a_pipe(filled, cli):
    found = cli("store", "sql", "select image_id, path, group_id from images", "--store", filled,
                env={"COLUMNS": "80"}).stdout  # fmt: skip
    identifiers = json.loads(
        cli("store", "sql", "select image_id from images", "--store", filled, "--json").stdout
    )
    assert all(row["image_id"] in found for row in identifiers)


def test_the_store_can_be_named_in_the_environment(filled, cli):
    done = cli(
        "store", "sql", "select count(*) as n from mos", "--json", env={"LEAF_STORE": str(filled)}
    )
    assert json.loads(done.stdout) == [{"n": 12}]


def test_a_wrong_query_exits_2_with_what_where_and_fix_and_no_trace(filled, cli):
    done = cli("store", "sql", "select scor from points", "--store", filled, code=2)
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert '"score"' in done.stderr
    assert "where: select scor from points" in done.stderr
    assert "fix:" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_query_comes_from_a_file_or_from_stdin_with_its_parameters(filled, tmp_path, cli):
    (tmp_path / "query.sql").write_text("select name from images where name = $name")
    words = ("--store", filled, "--json", "--param", "name=image_03.png")
    found = cli("store", "sql", "--file", tmp_path / "query.sql", *words).stdout
    assert json.loads(found) == [{"name": "image_03.png"}]
    store = Path(sys.executable).parent / "store"
    done = subprocess.run(
        [store, "sql", "-", "--store", filled, "--csv"],
        input="select 'ä' as letter",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == '"letter"\n"ä"\n'


def test_a_long_table_is_cut_and_says_so_on_stderr(filled, cli_here):
    done = cli_here("store", "sql", "from range(1500)", "--store", filled)
    assert "999" in done.stdout
    assert "1000" not in done.stdout
    assert done.stderr.startswith("500 more rows; ")
    rows = cli_here("store", "sql", "from range(1500)", "--store", filled, "--json").stdout
    assert len(json.loads(rows)) == 1500


def test_deleting_the_index_changes_nothing_that_a_command_says(filled, tmp_path, cli, cli_here):
    target = tmp_path / "out.parquet"
    query = ("sql", "from images join mos using (image_id) order by name")
    commands = [
        ("status",),
        ("status", "--json"),
        query,
        (*query, "--json"),
        (*query, "--csv"),
        (*query, "--parquet", target),
    ]

    def said(run, words):
        target.unlink(missing_ok=True)
        done = run("store", *words, "--store", filled)
        return done.stdout, done.stderr, target.read_bytes() if target in words else b""

    for words in commands:
        before = said(cli_here, words)
        (filled / "index.duckdb").unlink()
        assert said(cli, words) == before, words


def test_status_says_what_is_there_and_what_is_missing(filled, cli_here):
    found = json.loads(cli_here("store", "status", "--store", filled, "--json").stdout)
    assert {row["table_name"]: row["rows"] for row in found["tables"]} == {"images": 12, "mos": 12}
    assert "images" in cli_here("store", "status", "--store", filled).stdout


def test_the_index_comes_back(filled, cli_here):
    (filled / "index.duckdb").unlink()
    assert "2 shards indexed" in cli_here("store", "index", "--store", filled).stderr
    assert (filled / "index.duckdb").exists()


def test_bad_files_are_counted_and_listed(tmp_path, image_folder, cli_here):
    (image_folder / "empty.jpg").touch()
    Image.new("1", (20_000, 20_000)).save(image_folder / "bomb.png")
    done = cli_here("store", "add-images", image_folder, "--store", tmp_path / "store", "--json")
    found = json.loads(done.stdout)
    assert (found["added"], found["unchanged"], found["rejected"]) == (12, 0, 2)
    rows = cli_here("store", "sql", "select reason from rejections order by reason",
               "--store", tmp_path / "store", "--json").stdout  # fmt: skip
    assert [row["reason"] for row in json.loads(rows)] == ["empty", "too_large"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("sql", "select 1", "--store", "nowhere"), "there is no store here"),
        (("add-images", "nowhere", "--store", "new"), "no such folder"),
        (("add-mos", "nowhere.csv", "--scale", "1", "5", "--store", "STORE"), "cannot be read"),
        (("add-mos", "mos.csv", "--store", "STORE"), "--scale"),
    ],
)
def test_wrong_words_exit_2_and_say_so(filled, cli_here, words, said, monkeypatch):
    monkeypatch.chdir(filled.parent)
    done = cli_here("store", *(word.replace("STORE", str(filled)) for word in words), code=2)
    assert said in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "no query was given"),
        (("select 1", "--file", "query.sql"), "a query and a file were given"),
        (("--file", "nowhere.sql"), "the query cannot be read"),
        (("--file", "picture.sql"), "the query cannot be read"),
        (("select 1", "--json", "--csv"), "--json and --csv exclude each other"),
        (("select 1", "--parquet", "STORE/a.parquet"), "inside the store"),
        (("select 1", "--param", "x"), "'x' is not name=value"),
        (("select 1", "--limit", "0"), "--limit"),
    ],
)
def test_wrong_words_to_sql_exit_2_and_say_so(store, tmp_path, cli_here, words, said, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "picture.sql").write_bytes(b"\x89PNG\xff")
    words = (word.replace("STORE", str(store.root)) for word in words)
    done = cli_here("store", "sql", *words, "--store", store.root, code=2)
    assert said in done.stderr
    assert done.stdout == ""
