"""The command `store report`: where it writes, what it refuses, what it prints."""

import signal

import pytest

from data_store.layout import create_store
from tests.data_store.report.small_stores import OUTSIDE, commit, given, numbers_of
from tests.data_store.rows import TEACHER, point


@pytest.fixture
def answered(store):
    commit(store, "points", [point(n) for n in range(4)])
    commit(store, "points", [given(n, n / 4) for n in range(3)], teacher=OUTSIDE)
    return store


def test_without_out_the_page_is_named_after_the_store(answered, cli_here, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = cli_here("store", "report", "--store", answered.address)
    assert (tmp_path / "store-report.html").read_text().startswith("<!doctype html>")
    assert done.stdout == ""
    assert "store-report.html" in done.stderr


def test_json_prints_the_numbers_and_nothing_else_on_stdout(answered, cli_here, tmp_path):
    out = tmp_path / "report.html"
    done = cli_here("store", "report", "--store", answered.address, "--out", out, "--json")
    numbers = numbers_of(done)
    assert numbers["bytes"] == out.stat().st_size
    assert numbers["report"] == str(out)
    assert {row["images"] for row in numbers["teachers"]} == {3, 4}


def test_one_teacher_can_be_asked_for_by_the_start_of_its_id(answered, cli_here, tmp_path):
    words = ("store", "report", "--store", answered.address, "--out", tmp_path / "report.html")
    numbers = numbers_of(cli_here(*words, "--teacher", TEACHER[:6], "--json"))
    assert [row["teacher_id"] for row in numbers["teachers"]] == [TEACHER]
    refused = cli_here(*words, "--teacher", "nobody", code=2)
    assert "0 teachers fit 'nobody'" in refused.stderr
    assert TEACHER[:8] in refused.stderr


def test_a_page_inside_a_store_is_refused_and_so_are_plots_there(answered, cli_here, tmp_path):
    words = ("store", "report", "--store", answered.address)
    inside = answered.root / "report.html"
    refused = cli_here(*words, "--out", inside, code=2)
    assert "would lie inside the store" in refused.stderr
    refused = cli_here(
        *words, "--out", tmp_path / "r.html", "--plots", answered.root / "points", code=2
    )
    assert "lies inside a store" in refused.stderr
    other = create_store(tmp_path / "other")
    refused = cli_here(*words, "--beside", other.address, "--out", other.root / "r.html", code=2)
    assert "would lie inside the store" in refused.stderr
    assert not inside.exists()
    assert not (tmp_path / "r.html").exists()


def test_a_kill_leaves_the_old_report_whole_and_the_next_one_replaces_it(
    answered, cli, cli_here, tmp_path
):
    out = tmp_path / "report.html"
    words = ("store", "report", "--store", answered.address, "--out", out)
    out.write_text("the old report")
    cli(*words, code=-signal.SIGKILL, env={"LEAF_FAULT_POINT": "write.half_written"})
    assert out.read_text() == "the old report"
    cli_here(*words)
    assert out.read_text().startswith("<!doctype html>")


def test_a_store_on_object_storage_is_reported_on(bucket, cli_here, tmp_path, monkeypatch):
    store = create_store(f"s3://{bucket}/answers")
    commit(store, "points", [point(n) for n in range(4)])
    monkeypatch.chdir(tmp_path)
    done = cli_here("store", "report", "--store", f"s3://{bucket}/answers", "--json")
    assert numbers_of(done)["stores"][0]["points"] == 4
    assert (tmp_path / "answers-report.html").exists()
