"""A result comes out whole, in every form, and a file appears whole or not at all."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_store.sql.output import (
    parquet_target,
    print_csv,
    print_json_rows,
    show_table,
    write_parquet,
)
from data_store.sql.user_query import QueryResult, stream_query
from schemas.errors import InputError, QueryRefused

EVERY_TYPE = """
select 1 as whole, 0.5::double as number, 'nan'::double as nothing, null as missing,
    'it''s "quoted", [red] and ä' as text, '' as empty, null::varchar as no_text, true as truth,
    1.25::decimal(9, 2) as price, sum(2::hugeint) over () as total,
    date '2026-01-02' as day, timestamp '2026-01-02 03:04:05' as moment, time '03:04:05' as hour,
    timestamptz '2026-01-02 03:04:05+00' as instant, interval 1 day as duration,
    [0.5, null]::double[] as list, [1, 2]::integer[2] as pair, {'a': 1, 'b': 'x'} as struct,
    map {'k': 1} as map, 'low'::enum('low', 'high') as level, 'ab'::blob as bytes,
    uuid '00000000-0000-0000-0000-000000000001' as id, '101'::bit as bits,
    union_value(a := 1) as either, 18446744073709551615::ubigint as large
"""


def ask(store, sql, work):
    return stream_query(store, sql, None, work)


def result(*batches):
    """A result of these batches; an error among them is raised."""

    def give():
        for batch in batches:
            if isinstance(batch, Exception):
                raise batch
            yield batch

    return QueryResult(batches[0].schema, give())


def batch(*values):
    return pa.record_batch({"a": pa.array(values)})


def a_vanished_shard():
    error = QueryRefused("gone", where="x", fix="y")
    error.__cause__ = OSError("IO Error: gone")
    return error


def test_json_holds_every_type(store, capsys):
    ask(store, EVERY_TYPE, lambda found: print_json_rows(found, None))
    (row,) = json.loads(capsys.readouterr().out)
    assert row["nothing"] is None
    assert row["missing"] is None
    assert (row["price"], row["total"], row["large"]) == (1.25, 2, 18446744073709551615)
    assert (row["list"], row["struct"]) == ([0.5, None], {"a": 1, "b": "x"})
    assert (row["bytes"], row["level"], row["map"]) == ("6162", "low", [["k", 1]])
    assert (row["day"], row["moment"]) == ("2026-01-02", "2026-01-02 03:04:05")


def test_csv_holds_every_type_and_tells_empty_from_missing(store, capfd):
    ask(store, EVERY_TYPE, lambda found: print_csv(found, None))
    text = capfd.readouterr().out
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert (row["whole"], row["number"], row["nothing"]) == ("1", "0.5", "nan")
    assert row["text"] == 'it\'s "quoted", [red] and ä'
    assert (row["list"], row["pair"]) == ("[0.5, null]", "[1, 2]")
    assert json.loads(row["struct"]) == {"a": 1, "b": "x"}
    assert (row["bytes"], row["level"], row["total"]) == ("6162", "low", "2")
    assert ',"",,true' in text


def test_a_table_shows_text_as_it_is(store, capsys):
    ask(store, "select '[red]' as \"[b]\", ':cat:' as c", lambda found: show_table(found, 10))
    shown = capsys.readouterr().out
    assert "[red]" in shown
    assert "[b]" in shown
    assert ":cat:" in shown


def test_a_table_shows_the_first_bytes_of_a_blob_as_hex_and_how_many_there_are(store, capsys):
    ask(store, "select 'ab'::blob as few, repeat('ab', 100)::blob as many", _table)
    shown = capsys.readouterr().out
    assert " 6162 " in shown
    assert f"{'6162' * 8}… (200 bytes)" in shown


def _table(found):
    return show_table(found, 10)


@pytest.mark.parametrize("work", [show_table, print_json_rows, print_csv])
def test_rows_past_the_limit_are_counted(store, capfd, work):
    rows = ask(store, "select range as a from range(300000)", lambda found: work(found, 500))
    assert (rows.given, rows.dropped) == (500, 299_500)
    shown = capfd.readouterr().out
    assert "499" in shown
    assert "500" not in shown


def test_no_rows_are_an_empty_list_and_a_bare_header(store, capfd):
    ask(store, "select 1 as a where false", lambda found: print_json_rows(found, None))
    assert json.loads(capfd.readouterr().out) == []
    ask(store, "select 1 as a where false", lambda found: print_csv(found, None))
    assert capfd.readouterr().out == '"a"\n'


def test_what_was_printed_is_not_printed_again(capfd):
    for work in (print_json_rows, print_csv):
        with pytest.raises(QueryRefused) as refused:
            work(result(batch(1), a_vanished_shard()), None)
        assert refused.value.__cause__ is None
        assert "1" in capfd.readouterr().out
    with pytest.raises(QueryRefused) as refused:
        show_table(result(batch(1), a_vanished_shard()), 10)
    assert refused.value.__cause__ is not None


def test_a_query_that_fails_before_its_first_row_prints_nothing_and_may_start_over(capfd):
    for work in (print_json_rows, print_csv):
        failing = QueryResult(batch(1).schema, iter(_Failing()))
        with pytest.raises(QueryRefused) as refused:
            work(failing, None)
        assert refused.value.__cause__ is not None
        assert capfd.readouterr().out == ""


def test_parquet_gives_back_the_rows_and_replaces_a_file(store, tmp_path):
    path = tmp_path / "out.parquet"
    path.write_text("old")
    rows = ask(
        store,
        "select range as a, [range] as l from range(300000)",
        lambda found: write_parquet(found, None, path),
    )
    assert (rows.given, rows.dropped) == (300_000, 0)
    table = pq.read_table(path)
    assert table["a"].to_pylist() == list(range(300_000))
    assert table["l"][7].as_py() == [7]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["out.parquet", "store"]


@pytest.mark.parametrize(
    "sql",
    [
        "select 1 as a, interval 1 day as b",
        "select if(range < 200000, 1, error('boom')) as a from range(300000)",
    ],
)
def test_a_parquet_file_that_cannot_be_finished_leaves_the_old_one(store, tmp_path, sql):
    path = tmp_path / "out.parquet"
    path.write_text("old")
    with pytest.raises(QueryRefused):
        ask(store, sql, lambda found: write_parquet(found, None, path))
    assert path.read_text() == "old"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["out.parquet", "store"]


def test_parquet_is_never_written_into_the_store_or_over_a_folder(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(store.root)
    (tmp_path / "file").symlink_to(store.root / "store.json")
    for path, said in {
        store.root / "a.parquet": "inside the store",
        store.root / "points" / "a.parquet": "inside the store",
        Path("link/a.parquet"): "inside the store",
        Path("file"): "inside the store",
        Path("folder/../store/a.parquet"): "inside the store",
        Path("folder"): "a folder of that name",
        Path("nowhere/a.parquet"): "no such folder",
        Path("/dev/null"): "a device",
    }.items():
        with pytest.raises(InputError, match=said):
            parquet_target(path, store)
    assert parquet_target(Path("folder/a.parquet"), store) == tmp_path / "folder" / "a.parquet"


@pytest.mark.parametrize("form", ["--csv", "--json", "--parquet"])
def test_millions_of_rows_need_no_more_memory_than_one(store, tmp_path, form):
    output = (form, str(tmp_path / "out.parquet")) if form == "--parquet" else (form,)
    peaks = []
    for rows in (1, 1_000_000):
        command = [
            str(Path(sys.executable).parent / "store"), "sql", "--store", str(store.root), *output,
            f"select range as a, 'a text of some length ' || range as b from range({rows})",
        ]  # fmt: skip
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        peaks.append(usage.ru_maxrss * 1024)
    assert peaks[1] - peaks[0] < 200e6, peaks


class _Failing:
    def __iter__(self):
        return self

    def __next__(self):
        raise a_vanished_shard()
