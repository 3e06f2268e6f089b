"""A user's query reads the store and nothing else, and says clearly what is wrong with it."""

import json

import duckdb
import pyarrow as pa
import pytest

from data_store.index import reader, refresh
from data_store.layout import create_store
from data_store.shards import commit_rows
from data_store.sql.fence import refusal
from data_store.sql.user_query import read_parameters, stream_query, user_query
from schemas.errors import QueryRefused
from schemas.points import POINTS
from schemas.rows import to_table
from tests.data_store.rows import TEACHER, point

a_table_of_this_module = pa.table({"a": [1]})

COPY = "with x as (copy (select 1 as a) to 'STORE/stolen.csv') select * from x"

WRITING = {
    # statements that write, change settings or run others
    "copy": "copy points to 'stolen.parquet'",
    "copy to stdout": "copy (select 1) to stdout",
    "create": "create table mine (a int)",
    "create temp": "create temp table mine as select 1",
    "macro": "create macro mine() as 1",
    "insert": "insert into shards select * from shards",
    "update": "update shards set path = ''",
    "delete": "delete from shards",
    "drop": "drop view points",
    "attach": "attach 'other.duckdb'",
    "detach": "detach store",
    "use": "use memory",
    "export": "export database 'STORE/exported'",
    "import": "import database 'STORE'",
    "install": "install httpfs",
    "load": "load 'STORE/evil.duckdb_extension'",
    "set": "set enable_external_access = true",
    "set variable": "set variable x = 1",
    "pragma": "pragma enable_profiling",
    "call": "call enable_logging(storage = 'file', storage_path = 'STORE/logs')",
    "checkpoint": "checkpoint",
    "vacuum": "vacuum",
    "transaction": "begin",
    "prepare": "prepare p as select 1",
    "several": "select 1; select 2",
    "several with copy": "select 1; copy (select 1) to 'STORE/stolen.csv'",
    "pivot without in": "pivot points on teacher_id",
    # writing that hides in something that reads
    "explain analyze copy": "explain analyze copy (select 1) to 'STORE/stolen.csv'",
    "explain copy": "explain copy (select 1) to 'STORE/stolen.csv'",
    "explain with options": "explain (analyze) copy (select 1) to 'STORE/stolen.csv'",
    "explain behind comments": "/* select */ explain -- select 1\n analyze /* ä */ copy (select 1)"
    " to 'STORE/stolen.csv'",
    "explain analyze create": "explain analyze create temp table mine as select 1",
    "explain analyze insert": "explain analyze insert into shards select * from shards",
    "explain explain": "explain explain analyze copy (select 1) to 'STORE/stolen.csv'",
    "explain analyze with copy": f"explain analyze {COPY}",
    "with copy": COPY,
    "with copy of a view": "with x as (copy points to 'STORE/stolen.csv') from x",
    "with copy outside": "with x as (copy points to 'BESIDE/stolen.csv') from x",
    "with copy over a shard": "with x as (copy (select 1) to 'SHARD') from x",
    "with insert": "with x as (insert into shards from shards returning *) from x",
    "with update": "with x as (update shards set path = '' returning *) from x",
    "with delete": "with x as (delete from shards returning *) from x",
    "copy in a subquery": f"select * from ({COPY})",
    "copy in an expression": f"select 1 where exists ({COPY})",
    "copy in a limit": f"from points limit (select count(*) from ({COPY}))",
    "copy in an order": f"from points order by ({COPY})",
    "copy in a union": f"select 1 union ({COPY})",
    "copy in a recursion": f"with recursive r as (select 1 union all ({COPY})) from r",
    "copy in a lambda": f"select list_transform([1], lambda l: ({COPY}))",
    "copy in a pivot": f"pivot ({COPY}) on a in (1)",
    "describe copy": f"describe {COPY}",
    "summarize copy": f"summarize {COPY}",
    "copy as text": f"select * from query('{COPY.replace(chr(39), chr(39) * 2)}')",
    "copy as serialized text": "select * from json_execute_serialized_sql(json_serialize_sql("
    f"'{COPY.replace(chr(39), chr(39) * 2)}'))",
    "qualified function": "select * from system.main.query('select 1')",
    "quoted function": """select * from "QUERY"('select 1')""",
    "logging": "from enable_logging(storage = 'file', storage_path = 'STORE/logs')",
    "profiling": "from enable_profiling(save_location = 'STORE/profile.json')",
    "checkpoint function": "from checkpoint('store')",
    "external resource": "from create_external_resource('x')",
    "other database": "from read_duckdb('STORE/index.duckdb', table_name = 'shards')",
    "python pointers": "from arrow_scan(null, null, null)",
}

REACHING_OUT = {
    "file": "select * from read_text('BESIDE/secret.txt')",
    "file by dots": "select * from read_text('STORE/../secret.txt')",
    "file by more dots": "select * from read_text('STORE/points/../../secret.txt')",
    "file by a file address": "select * from read_text('file://BESIDE/secret.txt')",
    "relative file": "select * from read_text('secret.txt')",
    "home": "select * from read_text('~/secret.txt')",
    "file beside a good one": "select * from read_text(['STORE/store.json', 'BESIDE/secret.txt'])",
    "folder with the store's name": "select * from read_text('STOREs/secret.txt')",
    "link to a file": "select * from read_text('STORE/link.txt')",
    "link to a folder": "select * from read_text('STORE/link/secret.txt')",
    "pattern through a link": "select * from glob('STORE/link/*')",
    "pattern": "select * from glob('BESIDE/*')",
    "table of a file": "from 'BESIDE/secret.csv'",
    "csv": "select * from read_csv('BESIDE/secret.csv')",
    "sniffing": "select * from sniff_csv('BESIDE/secret.csv')",
    "parquet metadata": "select * from parquet_kv_metadata('BESIDE/secret.csv')",
    "blob": "select * from read_blob('/etc/hostname')",
    "stdin": "select * from read_csv('/dev/stdin')",
    "environment by file": "select * from read_text('/proc/self/environ')",
    "environment": "select getenv('HOME')",
    "http": "select * from 'https://example.invalid/a.parquet'",
    "s3": "select * from read_parquet('s3://bucket/a.parquet')",
    "hub": "select * from read_parquet('hf://datasets/a/b.parquet')",
    "extension": "select st_point(1, 2)",
    "secrets": "select * from duckdb_secrets()",
    "variable of a module": "from a_table_of_this_module",
    "variable of a function": "from a_table_of_this_function",
    "variable of ours": "from statements",
}

READING = [
    "select count(*) from points",
    "from points select score limit 1; -- the end",
    "/* ä */ with p as materialized (from points) select score from p where score > 0",
    "with recursive r as (select 1 as a union all select a + 1 from r where a < 5) from r",
    "values (1), (2)",
    "table points",
    "describe points",
    "summarize points",
    "show tables",
    "select * from (describe points)",
    "explain select score from points",
    "EXPLAIN /* ä */ ANALYZE (select score from points)",
    "pivot points on prompt_tokens in (30) using count(*) group by teacher_id",
    "unpivot (select 1 as a, 2 as b) on a, b",
    "select unnest(level_probs) from points",
    "select x from range(3) as r(x), lateral (select x + 1)",
    "from points asof join points as p using (image_id, score)",
    "select * from points positional join points as p",
    "select score, rank() over (order by score) from points qualify rank() over () = 1",
    "select 1 as a union select 2 intersect select 3 except select 4",
    "select 1 as a union all by name select 2 as b",
    "select is_test(image_id, 0, 0.5) from points",
    "select * from read_text('STORE/store.json')",
    "select * from parquet_schema('SHARD')",
    "select {'type': 'COPY_QUERY_NODE'}, 'copy (select 1) to ''x'''",
]


@pytest.fixture(scope="module")
def guarded_store(tmp_path_factory):
    """A store with an index, things to steal beside it, and links to them inside."""
    beside = tmp_path_factory.mktemp("guarded")
    store = create_store(beside / "store")
    for name in ("secret.txt", "secret.csv", "stores/secret.txt", "home/secret.txt"):
        (beside / name).parent.mkdir(exist_ok=True)
        (beside / name).write_text("a\nsecret\n")
    (store.root / "link.txt").symlink_to(beside / "secret.txt")
    (store.root / "link").symlink_to(beside / "stores")
    commit_rows(
        store, "points", to_table([point(n) for n in range(5)], POINTS),
        producer="test", teacher_id=TEACHER,
    )  # fmt: skip
    refresh(store)
    return store


@pytest.fixture
def guarded(guarded_store, monkeypatch):
    monkeypatch.setenv("HOME", str(guarded_store.root.parent / "home"))
    monkeypatch.chdir(guarded_store.root.parent)
    return guarded_store


def files_of(store):
    """Every file in and beside the store, with its bytes and when it was changed."""
    return {
        path: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in store.root.parent.rglob("*")
        if path.is_file()
    }


def ask(store, sql, parameters=None):
    (shard,) = (path for table, path in store.shard_paths() if table == "points")
    sql = sql.replace("SHARD", str(shard)).replace("STORE", str(store.root))
    return user_query(store, sql.replace("BESIDE", str(store.root.parent)), parameters)


@pytest.mark.parametrize("name", WRITING)
def test_a_query_that_would_write_is_refused_and_nothing_changes(guarded, name):
    before = files_of(guarded)
    with pytest.raises(QueryRefused, match=r"allowed|syntax error"):
        ask(guarded, WRITING[name])
    assert files_of(guarded) == before


@pytest.mark.parametrize("name", REACHING_OUT)
def test_a_query_that_reaches_out_of_the_store_finds_nothing(guarded, name):
    a_table_of_this_function = pa.table({"a": [1]})
    before = files_of(guarded)
    with pytest.raises(QueryRefused):
        ask(guarded, REACHING_OUT[name])
    assert files_of(guarded) == before
    assert a_table_of_this_function.num_rows == 1


def test_variables_of_the_program_are_no_tables_behind_the_fence(guarded):
    ours = pa.table({"a": [1]})
    with reader(guarded) as connection, pytest.raises(duckdb.CatalogException):
        connection.sql("from ours")
    with duckdb.connect() as connection:
        assert connection.sql("from ours").fetchall() == [(1,)]
    assert ours.num_rows == 1


@pytest.mark.parametrize("sql", READING)
def test_a_query_that_reads_is_answered_and_nothing_changes(guarded, sql):
    before = files_of(guarded)
    assert ask(guarded, sql).num_columns
    assert files_of(guarded) == before


def test_a_table_function_that_is_not_known_to_only_read_is_refused():
    with duckdb.connect() as connection:
        names = connection.sql(
            "select distinct function_name from duckdb_functions() where function_type = 'table'"
        ).fetchall()
        allowed = {
            name for (name,) in names if refusal(_tree(f'from "{name}"()', connection)) is None
        }
    assert {"read_parquet", "range", "glob"} < allowed
    assert not {name for name in allowed if name.startswith(("enable", "force", "create", "write"))}
    assert refusal(_tree("from a_function_of_a_later_release()")) is not None


def test_what_the_parser_may_say_one_day_is_refused():
    tree = _tree("with x as (select 1 as a) select * from x")
    assert refusal(tree) is None
    select = tree["statements"][0]["node"]
    table, select["from_table"] = select["from_table"], {"type": "NEW_WAY_TO_READ"}
    assert refusal(tree) == "reading from a new way to read is not allowed"
    select["from_table"] = table
    select["cte_map"]["map"][0]["value"] = {"query": {"node": {"type": "MERGE_QUERY_NODE"}}}
    assert "merge is not" in refusal(tree)
    assert refusal({"error": True}) is not None
    assert refusal({}) is not None


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("select scor from points", 'no column "scor" in points; the nearest is "score"'),
        ("select p.scor from points as p", 'no column "scor" in points; the nearest is "score"'),
        ("select * exclude (scor) from points", 'the nearest is "score"'),
        ("explain select scor from points", 'the nearest is "score"'),
        ("select confidens from points join images using (image_id)", '"confidence"'),
        ("with c as (select score as good from points) select gud from c", '"good"'),
        ("select qqqq from mos", 'there are "image_id", "source", "mos"'),
        ("select * from pionts", 'no view "pionts"; the nearest is "points"'),
        ("select * from main.imagefiles", '"image_files"'),
        ("select * from qqqq", 'there are "calibrated_points", "cycles", "drift", "embeddings"'),
        ("select p.score from points", '"points"'),
        ("select medain(score) from points", '"median"'),
        ("selct 1", 'syntax error at or near "selct"'),
        ("select avg(image_id) from points", "avg(VARCHAR)"),
        ("select error('boom') from points", "boom"),
        ("", "only one statement"),
        ("select '\udcff'", "not UTF-8"),
        ("select " + "+".join(["1"] * 700), "nested too deeply"),
    ],
)
def test_what_is_wrong_is_one_line_with_the_nearest_name(guarded, sql, said):
    with pytest.raises(QueryRefused) as refused:
        ask(guarded, sql)
    assert said in refused.value.what
    assert "\n" not in refused.value.what
    assert "Error:" not in refused.value.what


def test_the_line_of_a_long_query_is_named(guarded):
    with pytest.raises(QueryRefused) as refused:
        ask(guarded, "select 1,\n  2,\n  3 +\nfrom points")
    assert refused.value.where == "line 4: from points"


def test_parameters_take_their_places(guarded):
    sql = "select $text as text, $whole as whole, $number as number, $text || '!' as again"
    found = ask(guarded, sql, {"text": "it's", "whole": 7, "number": 0.5}).to_pylist()
    assert found == [{"text": "it's", "whole": 7, "number": 0.5, "again": "it's!"}]
    found = ask(guarded, "explain select $x", {"x": 1})
    assert found.num_rows


@pytest.mark.parametrize(
    ("sql", "parameters", "said"),
    [
        ("select $a + $b", {"a": 1}, "$b has no value"),
        ("select $a", {"a": 1, "b": 2, "c": 3}, "the query has no $b; the query has no $c"),
        ("select ?", {}, "$1 has no value"),
        ("select $a", {"b": 2}, "$a has no value; the query has no $b"),
        ("explain analyze select $a", {}, "$a has no value"),
    ],
)
def test_a_parameter_without_value_or_place_is_an_error(guarded, sql, parameters, said):
    with pytest.raises(QueryRefused) as refused:
        ask(guarded, sql, parameters)
    assert refused.value.what == said


def test_the_values_of_parameters_are_numbers_where_they_look_like_numbers():
    given = {
        "0": 0, "-12": -12, "+3": 3, "0.5": 0.5, "-.5": -0.5, "1e-3": 0.001, "1E5": 100000.0,
        "": "", "-": "-", "e5": "e5", "1e": "1e", "1_000": "1_000", "nan": "nan", "inf": "inf",
        "007": "007", "00e5": "00e5", "1.": "1.", "it's": "it's", "a=b": "a=b", " 1": " 1",
        "'7'": "7", '"0.5"': "0.5", "'": "'", "''": "",
    }  # fmt: skip
    for text, value in given.items():
        (read,) = read_parameters([f"x={text}"]).values()
        assert (read, type(read)) == (value, type(value)), text
    assert read_parameters(["a=1", "b_2=x"]) == {"a": 1, "b_2": "x"}
    with pytest.raises(QueryRefused) as refused:
        read_parameters(["a", "=1", "1a=2", "a=1", "a=2"])
    assert refused.value.what == (
        "'a' is not name=value; '=1' is not name=value; '1a=2' is not name=value; a is given twice"
    )


def test_columns_of_the_same_name_are_all_given(guarded):
    found = ask(guarded, "select 1 as a, 2 as a, 3 as a_1, 4 as a, 5 as A")
    assert found.to_pylist() == [{"a": 1, "a_2": 2, "a_1": 3, "a_3": 4, "A": 5}]


def test_a_query_whose_shards_are_compacted_meanwhile_starts_over(store):
    rows = to_table([point(n) for n in range(5)], POINTS)
    commit_rows(store, "points", rows, producer="test", teacher_id=TEACHER)
    attempts = []

    def work(found):
        attempts.append(0)
        if len(attempts) == 1:
            (old,) = (path for _, path in store.shard_paths())
            commit_rows(store, "points", rows, producer="test", teacher_id=TEACHER, generation=1)
            old.unlink()
            raise QueryRefused("gone", where="", fix="") from duckdb.IOException("gone")
        return sum(batch.num_rows for batch in found.batches)

    assert stream_query(store, "from points", None, work) == 5
    assert len(attempts) == 2


def _tree(sql, connection=duckdb):
    found = connection.execute("select json_serialize_sql($sql)", {"sql": sql}).fetchall()
    return json.loads(found[0][0])
