import json
import resource

import pytest

from train.commands.learn import COLUMNS


def test_help_takes_less_than_a_second(cli):
    # Processor time, not the clock: a busy machine must not fail a claim about our imports.
    durations = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = cli("train", "--help")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        durations.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(durations) < 1.0
    assert "predict" in done.stdout


@pytest.mark.slow
def test_a_run_ends_with_its_table_on_stdout(cli, cli_here, tmp_path, simulated_store):
    words = ("train", "run", "--store", simulated_store.root, "--run", tmp_path / "run")
    quick = ("--config", "configs/quick_test.toml", "--set", "label_fractions=[0.25]")
    fewer = ("--set", "distil.epochs=1", "--set", "cft_only.epochs=1")
    done = cli(*words, *quick, *fewer)
    assert all(column in done.stdout for column in COLUMNS)
    assert all(name in done.stdout for name in ("teacher", "label_free", "cft_only_25"))
    again = cli_here(*words, *quick, *fewer, "--json")
    rows = json.loads(again.stdout)
    assert [row["name"] for row in rows] == ["teacher", "label_free", "leaf_25", "cft_only_25"]
    assert "finished before" in again.stderr
    scored = cli_here(
        *("train", "predict", "--run", tmp_path / "run", "--json"),
        *("--images", simulated_store.root.parent / "images", "--out", tmp_path / "scores.csv"),
    )
    assert json.loads(scored.stdout)["scored"] == 90


def test_a_missing_store_is_one_clear_message_and_exit_2(cli, tmp_path):
    done = cli("train", "run", "--store", tmp_path / "none", "--run", tmp_path / "run", code=2)
    assert done.stderr.startswith("error: there is no store here")
    assert "Traceback" not in done.stderr
