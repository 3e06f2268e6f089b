"""The whole story on ninety pictures with SIMULATED answers of a teacher."""

import json

import pyarrow.parquet as pq
import pytest
import torch

from data_store.index import query
from schemas.errors import NotEnoughData, RunMismatch
from train.run import train_run

NAMES = ["teacher", "label_free", "leaf_25", "leaf_50", "cft_only_25", "cft_only_50"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory, simulated_store, settings):
    """A run that went through, and the rows it returned."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    rows = train_run(simulated_store, folder, settings())
    return folder, {row.name: row.agreement for row in rows}


def _weights(folder):
    return {path.parent.name: path.read_bytes() for path in folder.glob("stages/*/*.safetensors")}


def test_every_scorer_is_compared_on_the_same_held_out_images(finished):
    rows = finished[1]
    assert list(rows) == NAMES
    assert len({agreement.n for agreement in rows.values()}) == 1


def test_the_student_learns_blur_from_the_simulated_teacher_alone(finished):
    assert finished[1]["label_free"].srcc > 0.5


def test_calibration_leaves_little_bias(finished):
    assert abs(finished[1]["leaf_50"].bias) < 0.1


def test_the_summary_is_written_for_people_and_programs(finished):
    folder, rows = finished
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert [row["name"] for row in summary] == NAMES
    assert {"srcc", "plcc", "rmse", "bias", "n"} <= summary[0].keys()
    assert summary[1]["srcc"] == rows["label_free"].srcc
    assert pq.read_table(folder / "summary.parquet").to_pylist() == summary


def test_the_run_says_what_it_is(finished):
    record = json.loads((finished[0] / "run.json").read_text(encoding="utf-8"))
    assert record["settings"]["distil"]["epochs"] == 20
    assert record["settings"]["distil"]["min_confidence"] == 0.1
    assert record["counts"] == {
        "images": 90,
        "teacher_points": 90,
        "teacher_pairs": record["counts"]["teacher_pairs"],
        "mos": 90,
    }
    assert record["versions"]["torch"]
    assert set(record["evidence"]) == {"images", "teacher points", "teacher pairs", "mos"}


def test_every_epoch_and_stage_is_an_event(finished):
    lines = (finished[0] / "events.jsonl").read_text(encoding="utf-8").splitlines()
    events = [json.loads(line) for line in lines]
    assert [e["stage"] for e in events if e["event"] == "stage finished"] == NAMES[1:]
    assert len([e for e in events if e["event"] == "epoch"]) == 20 + 4 * 3


def test_all_scores_are_in_the_store(finished, simulated_store):
    run_id = json.loads((finished[0] / "run.json").read_text(encoding="utf-8"))["run_id"]
    found = query(
        simulated_store,
        "select student, count(*) as n from predictions where run_id = $run_id group by 1",
        {"run_id": run_id},
    ).to_pylist()
    assert {row["student"]: row["n"] for row in found} == dict.fromkeys(NAMES[1:], 90)


def test_the_same_seed_gives_the_same_weights_to_the_byte(
    finished, tmp_path, simulated_store, settings
):
    train_run(simulated_store, tmp_path / "again", settings())
    assert _weights(tmp_path / "again") == _weights(finished[0])


def test_a_run_goes_on_after_its_last_finished_stage(finished, tmp_path, simulated_store, settings):
    from shutil import copytree, rmtree

    folder = tmp_path / "run"
    copytree(finished[0], folder)
    for name in ("leaf_50", "cft_only_25"):
        rmtree(folder / "stages" / name)
    kept = folder / "stages" / "label_free" / "model.safetensors"
    before = kept.stat().st_mtime_ns
    rows = train_run(simulated_store, folder, settings())
    assert _weights(folder) == _weights(finished[0])
    assert {row.name: row.agreement for row in rows} == finished[1]
    assert kept.stat().st_mtime_ns == before


def test_a_run_killed_while_it_wrote_down_a_stage_s_end_notes_it_later(
    finished, tmp_path, simulated_store, settings
):
    from shutil import copytree

    folder = tmp_path / "run"
    copytree(finished[0], folder)
    events = folder / "events.jsonl"
    whole = events.read_text(encoding="utf-8").splitlines(keepends=True)
    events.write_text("".join(whole[:-1]) + whole[-1][:30], encoding="utf-8")
    (folder / ".tmp-0123456789abcdef-summary.json").write_text("half")
    train_run(simulated_store, folder, settings())
    again = [json.loads(line) for line in events.read_text(encoding="utf-8").splitlines()]
    assert [e["event"] for e in again] == [json.loads(line)["event"] for line in whole]
    assert {p.name for p in folder.iterdir()} == {p.name for p in finished[0].iterdir()}


def test_checkpoints_are_gone_when_a_run_has_ended(finished):
    assert not (finished[0] / "checkpoints").exists()


def test_a_folder_in_which_a_run_was_killed_at_its_very_start_is_that_run_s(
    tmp_path, build_store, settings
):
    store = build_store(tmp_path, 24, mos=False)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".tmp-0123456789abcdef-run.json").write_text("half")
    train_run(store, tmp_path / "run", settings("label_fractions=[]", "distil.epochs=1"))
    assert (tmp_path / "run" / "summary.json").exists()


def test_settings_that_change_no_result_may_change_between_calls(
    finished, simulated_store, settings
):
    rows = train_run(simulated_store, finished[0], settings("images.threads=1", "checkpoint_s=1"))
    assert {row.name: row.agreement for row in rows} == finished[1]


def test_other_settings_are_refused_and_named(finished, simulated_store, settings):
    with pytest.raises(RunMismatch, match=r"distil\.epochs was 20, is 7"):
        train_run(simulated_store, finished[0], settings("distil.epochs=7"))


def test_other_evidence_is_refused_and_named(finished, tmp_path, build_store, settings):
    other = build_store(tmp_path, 84)
    with pytest.raises(RunMismatch, match="the store's teacher points"):
        train_run(other, finished[0], settings())


def test_a_folder_with_other_things_is_no_run(tmp_path, simulated_store, settings):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(RunMismatch, match="holds no run"):
        train_run(simulated_store, tmp_path, settings())


@pytest.mark.parametrize(
    ("missing", "overrides", "message"),
    [
        ({"points": False}, (), "annotate points"),
        ({"pairs": False}, (), "annotate pairs"),
        ({"points": False, "pairs": False}, (), "annotate points"),
        ({"mos": False}, (), "store add-mos"),
        ({}, ("label_fractions=[0.05]",), "store add-mos"),
        ({}, ("split.test_fraction=0.001",), "no held-out image"),
    ],
)
def test_too_little_to_learn_from_is_refused_before_anything_is_written(
    tmp_path, build_store, settings, missing, overrides, message
):
    store = build_store(tmp_path, 48, **missing)
    with pytest.raises(NotEnoughData, match=message):
        train_run(store, tmp_path / "run", settings(*overrides))
    assert not (tmp_path / "run").exists()


def test_without_any_opinion_a_student_can_still_be_distilled(tmp_path, build_store, settings):
    store = build_store(tmp_path, 24, mos=False)
    quick = settings("label_fractions=[]", "distil.epochs=1")
    rows = train_run(store, tmp_path / "run", quick)
    assert [(row.name, row.agreement.n) for row in rows] == [("teacher", 0), ("label_free", 0)]


@pytest.mark.parametrize("part", ["point", "pair"])
def test_scores_alone_or_pairs_alone_train_a_student(tmp_path, build_store, settings, part):
    store = build_store(tmp_path, 48, **{f"{part}s": False})
    quick = settings("label_fractions=[]", "distil.epochs=1", f"distil.{part}_weight=0")
    rows = train_run(store, tmp_path / "run", quick)
    assert rows[-1].agreement.n > 0


def test_unreadable_pictures_are_left_out_and_counted(
    tmp_path, build_store, settings, capsys, monkeypatch
):
    # A cache of its own: what was decoded for another test could be seen without the file.
    monkeypatch.setenv("LEAF_CACHE", str(tmp_path / "cache"))
    store = build_store(tmp_path, 30)
    damaged = sorted((tmp_path / "images").glob("*.png"))[:2]
    damaged[0].write_bytes(damaged[0].read_bytes()[:200])
    damaged[1].unlink()
    quick = settings("label_fractions=[]", "distil.epochs=1")
    train_run(store, tmp_path / "run", quick)
    assert "2 of 30 images cannot be decoded" in capsys.readouterr().err
    rows = query(store, "select count(*) as n from predictions").to_pylist()
    assert rows == [{"n": 28}]


def test_the_ladder_chooses_among_the_rungs_and_says_what_it_saw(
    finished, tmp_path, simulated_store, settings
):
    from shutil import copytree

    from train.stages import load_stage

    rungs = '["none", "shift_and_scale", "isotonic", "residual", "head"]'
    climbing = settings("label_fractions=[0.5]", f"ladder.rungs={rungs}", "ladder.folds=3")
    folder = tmp_path / "run"
    rows = {row.name: row.agreement for row in train_run(simulated_store, folder, climbing)}
    stage = load_stage(folder, "leaf_50", device=torch.device("cpu"))
    errors = {tried["rung"]: tried["rmse"] for tried in stage.facts["ladder"]}
    assert set(errors) == {"none", "shift_and_scale", "isotonic", "residual", "head"}
    assert stage.facts["chosen"] == min(errors, key=errors.get)
    assert stage.facts["labelled_count"] == 33
    assert 0 < stage.interval < 1
    assert rows["leaf_50"].rmse <= rows["label_free"].rmse + 0.05
    # Finished once, it is loaded with its mapping.
    again = tmp_path / "again"
    copytree(folder, again)
    loaded = {row.name: row.agreement for row in train_run(simulated_store, again, climbing)}
    assert loaded == rows
