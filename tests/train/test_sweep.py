"""A sweep of small runs on SIMULATED answers: shared, resumable, and no failure stops it."""

import dataclasses
import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from data_store.sql.other_tables import read_tables
from data_store.sql.user_query import user_query
from schemas.errors import InputError, RunMismatch, SettingsError
from train.cli import app
from train.run import train_run
from train.shared_stages import StageShelf, stage_digests
from train.sweep import sweep
from train.sweep_settings import read_cells
from train.sweep_table import CellResult, table_rows
from train.training_data import read_training_data

SWEEP = """
base = "quick_test.toml"
[set]
label_fractions = [0.5]
distil.epochs = 1
cft_only.epochs = 1
calibrate.epochs = 1
[[cases]]
name = "points"
set = { "distil.pair_weight" = 0 }
[[cases]]
name = "head"
set = { "distil.pair_weight" = 0, "calibrate.trained" = "head" }
[[cases]]
name = "nothing-sure"
set = { "distil.min_confidence" = 1.0, "distil.point_weight" = 0 }
[[cases]]
name = "ladder"
set = { "distil.pair_weight" = 0, "ladder.rungs" = ["shift_and_scale"] }
"""


def write(folder, text, configs):
    shutil.copy(configs / "quick_test.toml", folder)
    path = folder / "sweep.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def configs():
    from tests.train.conftest import CONFIGS

    return CONFIGS


@pytest.fixture(scope="module")
def swept(tmp_path_factory, simulated_store, configs):
    """A finished sweep with one failed cell: its folder and the cells."""
    folder = tmp_path_factory.mktemp("swept")
    cells = read_cells(write(folder, SWEEP, configs))
    sweep(simulated_store, folder / "out", cells)
    return folder / "out", cells


def weights(run):
    return {path.parent.name: path.read_bytes() for path in run.glob("stages/*/*.safetensors")}


def test_every_cell_and_scorer_is_a_row(swept):
    rows = pq.read_table(swept[0] / "sweep.parquet").to_pylist()
    done = ["teacher", "label_free", "leaf_50", "cft_only_50"]
    assert [(row["cell"], row["name"]) for row in rows] == [
        *(("points", name) for name in done),
        *(("head", name) for name in done),
        ("nothing-sure", None),
        *(("ladder", name) for name in done),
    ]
    assert {row["fraction"] for row in rows if row["method"] in {"leaf", "cft_only"}} == {0.5}
    assert all(row["n"] > 0 and row["srcc"] is not None for row in rows if row["name"])
    assert {row["distil.pair_weight"] for row in rows} == {0.0, 1.0}


def test_a_failed_cell_is_a_row_with_its_error(swept):
    rows = pq.read_table(swept[0] / "sweep.parquet").to_pylist()
    (failed,) = [row for row in rows if row["error"]]
    assert failed["cell"] == "nothing-sure"
    assert "confidence of 1" in failed["error"]
    assert failed["srcc"] is None
    assert not list(swept[0].glob("errors/*"))  # the user's fault, not ours: no trace


def test_shared_stages_are_what_each_run_would_have_trained(swept, simulated_store, tmp_path):
    out, cells = swept
    notes = json.loads((out / "cells.json").read_text(encoding="utf-8"))
    assert notes["points"]["shared"] == []
    assert notes["head"]["shared"] == ["label_free", "cft_only_50"]
    for cell in (cells[1], cells[3]):
        train_run(simulated_store, tmp_path / cell.name, cell.settings)
        alone = weights(tmp_path / cell.name)
        assert len(alone) == 3
        assert weights(out / "cells" / cell.name) == alone
        summary = (tmp_path / cell.name / "summary.json").read_text(encoding="utf-8")
        assert json.loads(summary) == json.loads(
            (out / "cells" / cell.name / "summary.json").read_text(encoding="utf-8")
        )


def test_the_table_can_be_asked_beside_the_store(swept, simulated_store, capsys):
    from data_store.commands import ask

    ask.sql(
        str(simulated_store.root),
        "select count(*) as n from sweep join predictions on predictions.run_id = sweep.run_id"
        " and predictions.student = sweep.name where sweep.cell = 'head'",
        others=[f"sweep={swept[0] / 'sweep.parquet'}"],
        as_csv=True,
    )
    assert capsys.readouterr().out == '"n"\n270\n'
    with pytest.raises(InputError):
        read_tables(["sweep=nowhere"])
    assert user_query(simulated_store, "select 1 as a").to_pylist() == [{"a": 1}]


def test_a_sweep_goes_on_where_it_was_killed(swept, simulated_store, tmp_path):
    """As after a kill in cell "head": its summary and one stage are missing, and later cells."""
    out = tmp_path / "out"
    shutil.copytree(swept[0], out)
    for name in ("stages/leaf_50", "predictions.json", "summary.json"):
        path = out / "cells" / "head" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.rmtree(out / "cells" / "ladder")
    (out / "cells.json").unlink()
    kept = (out / "cells" / "points" / "summary.json").stat().st_mtime_ns
    results = sweep(simulated_store, out, swept[1])
    assert (out / "cells" / "points" / "summary.json").stat().st_mtime_ns == kept
    assert weights(out / "cells" / "head") == weights(swept[0] / "cells" / "head")
    assert weights(out / "cells" / "ladder") == weights(swept[0] / "cells" / "ladder")
    before = {row["cell"]: row["srcc"] for row in table_rows(results)}
    rows = pq.read_table(swept[0] / "sweep.parquet").to_pylist()
    assert before == {row["cell"]: row["srcc"] for row in rows}


def test_other_settings_in_the_same_folder_are_refused_before_any_training(
    swept, simulated_store, configs, tmp_path
):
    cells = read_cells(write(tmp_path, SWEEP.replace("distil.epochs = 1", ""), configs))
    before = (swept[0] / "sweep.parquet").read_bytes()
    with pytest.raises(RunMismatch, match=r"distil\.epochs was 1, is 20"):
        sweep(simulated_store, swept[0], cells)
    assert (swept[0] / "sweep.parquet").read_bytes() == before


def test_a_bug_in_one_cell_does_not_lose_the_others(swept, simulated_store, tmp_path, monkeypatch):
    def broken(*args, **kwargs):
        raise ZeroDivisionError("drawn by the test")

    monkeypatch.setattr("train.sweep.train_run", broken)
    results = sweep(simulated_store, tmp_path, swept[1][:2])
    assert [r.error for r in results] == ["ZeroDivisionError: drawn by the test"] * 2
    trace = (tmp_path / "errors" / "points.txt").read_text(encoding="utf-8")
    assert "in broken" in trace


def test_time_and_sharing_of_a_stopped_cell_are_remembered(
    swept, simulated_store, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    shutil.copytree(swept[0], out)
    shutil.rmtree(out / "cells" / "head")
    (out / "cells.json").unlink()

    def stopped(*args, **kwargs):
        raise SystemExit(130)

    monkeypatch.setattr("train.sweep.train_run", stopped)
    for _ in range(2):
        with pytest.raises(SystemExit):
            sweep(simulated_store, out, swept[1][:2])
    notes = json.loads((out / "cells.json").read_text(encoding="utf-8"))
    assert notes["head"]["shared"] == ["label_free", "cft_only_50"]
    assert notes["head"]["seconds"] > 0


def test_the_command_exits_2_and_still_leaves_the_table(simulated_store, tmp_path, configs):
    text = SWEEP[: SWEEP.index("[[cases]]")] + (
        '[grid]\nseed = [0, 1]\n"distil.min_confidence" = [1.0]\ndistil.point_weight = [0]\n'
    )
    path, out = write(tmp_path, text, configs), tmp_path / "out"
    options = ["--store", str(simulated_store.root), "--config", str(path), "--out", str(out)]
    done = CliRunner().invoke(app, ["sweep", *options, "--json"])
    assert "2 of 2 cells failed" in str(done.exception)
    rows = pq.read_table(out / "sweep.parquet").to_pylist()
    assert [row["seed"] for row in rows] == [0, 1]
    assert json.loads(done.stdout) == rows


def test_a_sweep_under_torchrun_is_refused(simulated_store, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="one process"):
        sweep(simulated_store, tmp_path, [])


def test_cells_are_cases_times_grid(tmp_path, configs):
    text = (
        'base = "quick_test.toml"\n[grid]\nseed = [0, 1]\ndistil.pair_loss = ["ranking", "margin"]'
        '\n[[cases]]\nname = "a"\n[[cases]]\nname = "b"\nset = { teacher = ["x", "y"] }\n'
    )
    cells = read_cells(write(tmp_path, text, configs), teachers=["z"])
    assert [cell.name for cell in cells][:3] == [
        "a,seed=0,distil.pair_loss=ranking",
        "a,seed=0,distil.pair_loss=margin",
        "a,seed=1,distil.pair_loss=ranking",
    ]
    assert len({cell.name for cell in cells}) == 8
    assert [cell.teachers for cell in cells] == [("z",)] * 4 + [("x", "y")] * 4
    assert cells[3].settings.seed == 1
    assert cells[3].settings.distil.pair_loss == "margin"
    assert cells[0].settings.distil.epochs == 20


def test_long_or_odd_values_make_names_of_folders_that_differ(tmp_path, configs):
    text = '[grid]\n"student.backbone" = ["a/b", "a b", "%s"]\n'
    cells = read_cells(write(tmp_path, text % ("x" * 300), configs))
    names = [cell.name for cell in cells]
    assert len(set(names)) == 3
    assert all(len(name) <= 120 and "/" not in name for name in names)


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("[grid]\nseed = 3\n", ["seed is no list"]),
        ("[grid]\nseed = []\n", ["seed is no list"]),
        ("[grid]\nsed = [1]\ndistil.epochs = [0]\n", ["sed", "distil.epochs"]),
        ("[set]\ndistil.epoch = 1\n", ["distil.epoch"]),
        ('[[cases]]\nname = "a"\n[[cases]]\nname = "a"\n', ["two cells are named a"]),
        ('[[cases]]\nname = "../a"\n', ["name"]),
        ("[grid]\nseed = [1, 1]\n", ["two cells are named seed=1"]),
        ('[grid]\nseed = [1]\n[[cases]]\nname = "a"\nset = { seed = 2 }\n', ["in the grid"]),
        ("gird = 1\n", ["gird"]),
        ('base = "nowhere.toml"\n', ["cannot be read"]),
        (f"[grid]\nseed = {list(range(101))}\nsplit.seed = {list(range(100))}\n", ["10100 cells"]),
    ],
)
def test_everything_wrong_in_a_sweep_is_named_before_any_training(
    tmp_path, configs, text, messages
):
    with pytest.raises(SettingsError) as refused:
        read_cells(write(tmp_path, text, configs))
    assert all(message in str(refused.value) for message in messages)


def test_what_decides_a_stage_decides_whether_it_is_shared(simulated_store, settings):
    (teacher,) = simulated_store.teachers()
    data = read_training_data(simulated_store, teacher)
    base = stage_digests(settings(), data)

    def changed(*overrides, evidence=data):
        now = stage_digests(settings(*overrides), evidence)
        return {name for name in base if now.get(name) != base[name]}

    leaf, baseline = {"leaf_25", "leaf_50"}, {"cft_only_25", "cft_only_50"}
    everything = {"label_free"} | leaf | baseline
    assert set(base) == everything
    assert changed("calibrate.epochs=4", "ladder.folds=3") == leaf
    assert changed("cft_only.epochs=4") == baseline
    assert changed("distil.margin=0.1") == {"label_free"} | leaf
    assert changed("label_fractions=[0.5]") == {"leaf_25", "cft_only_25"}
    for override in ("seed=1", "split.seed=1", "images.crop_px=64", "student.hidden=8"):
        assert changed(override) == everything
    assert changed("images.threads=1", "images.cache_bytes=0") == set()
    other = dataclasses.replace(data, mos=np.where(data.mos > 0.5, np.nan, data.mos))
    assert changed(evidence=other) == everything


def test_a_stage_that_is_there_is_not_replaced(tmp_path):
    shelf = StageShelf()
    for run in ("a", "b"):
        (tmp_path / run / "stages" / "leaf_10").mkdir(parents=True)
        (tmp_path / run / "stages" / "leaf_10" / "stage.json").write_text(run)
    shelf.note(tmp_path / "a", {"leaf_10": "x"})
    assert shelf.fill(tmp_path / "b", {"leaf_10": "x"}) == []
    assert shelf.fill(tmp_path / "c", {"leaf_10": "x", "leaf_30": "y"}) == ["leaf_10"]
    assert (tmp_path / "c" / "stages" / "leaf_10" / "stage.json").read_text() == "a"


def test_columns_hold_lists_as_json_and_mixed_numbers_as_floats(tmp_path, configs):
    text = '[grid]\n"label_fractions" = [[], [0.1]]\ndistil.margin = [1, 0.5]\n'
    cells = read_cells(write(tmp_path, text, configs))
    results = [CellResult(cell, None, [], "failed", 0.0, ()) for cell in cells]
    rows = table_rows(results)
    assert [row["label_fractions"] for row in rows] == ["[]", "[]", "[0.1]", "[0.1]"]
    assert pa.array([row["distil.margin"] for row in rows]).to_pylist() == [1.0, 0.5, 1.0, 0.5]
