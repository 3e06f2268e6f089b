"""The numbers of the page are those of the commands, and pairs are compared fairly."""

import json
from dataclasses import replace

import numpy as np
import pytest

from data_store.layout import open_store
from data_store.pages.blocks import Note
from train.evaluation.comparison import compare_scores
from train.evaluation.finished_run import held_out_scores, open_run
from train.evaluation.judging import judge_held_out
from train.report.ablation import ablation
from train.report.calibration import calibration
from train.report.charts import sampled
from train.report.held_out_images import read_held_out
from train.report.intervals import interval_text
from train.report.label_efficiency import label_efficiency
from train.report.mistakes import mistakes
from train.report.overview import overview
from train.report.provenance import provenance
from train.report.read_run import distinct_names, read_runs
from train.report.read_sweep import read_sweep
from train.report.residuals import residuals
from train.report.stage_records import read_epochs, student_order
from train.report.story import report_page
from train.report.teacher_gap import teacher_gap
from train.report.training import training


def _block(blocks, title):
    (found,) = (block for block in blocks if getattr(block, "title", "").startswith(title))
    return found


def _rows(grid):
    return [dict(zip(grid.columns, row, strict=True)) for row in grid.rows]


@pytest.fixture(scope="module")
def read(reported):
    return read_runs([reported])


def test_the_table_says_what_train_evaluate_says(reported, simulated_store, read):
    judged = judge_held_out(open_run(reported), simulated_store)
    assert read[0].rows == [row.as_dict() for row in judged]
    shown = _rows(_block(overview(read), "Agreement with people"))
    assert [row["srcc"] for row in shown] == [row.agreement.srcc for row in judged]


def test_very_many_images_are_not_drawn_anew(reported, monkeypatch):
    monkeypatch.setattr("train.report.read_run.MOST_DRAWN_ANEW", 0)
    monkeypatch.setattr("train.report.read_run.evaluate", None)
    summary = json.loads((reported / "summary.json").read_text(encoding="utf-8"))
    assert read_runs([reported])[0].rows == summary


def test_the_images_are_those_that_evaluations_take(reported, simulated_store):
    run = open_run(reported)
    taken, found = held_out_scores(run, simulated_store), read_held_out(run, simulated_store)
    rated = found.as_held_out()
    assert rated.image_ids.equals(taken.image_ids)
    assert np.array_equal(rated.mos, taken.mos)
    assert rated.scores.keys() == taken.scores.keys()
    for name, scores in taken.scores.items():
        assert np.array_equal(rated.scores[name], scores, equal_nan=True)
    assert run.tested(found.group_ids).all()


def test_the_ladder_says_which_rung_was_chosen(read):
    ladder = _rows(_block(calibration(read), "The ladder"))
    of_half = [row for row in ladder if row["student"] == "leaf_50"]
    assert [row["rung"] for row in of_half] == ["none", "shift_and_scale", "isotonic"]
    (chosen,) = (row for row in of_half if row["chosen"])
    assert chosen["rmse"] == min(row["rmse"] for row in of_half)
    (used,) = (
        row
        for row in _rows(_block(calibration(read), "Labels used"))
        if row["student"] == "leaf_50"
    )
    assert used["chosen rung"] == chosen["rung"]
    bias = {row["name"]: row["bias"] for row in read[0].rows}
    assert (used["bias before"], used["bias after"]) == (bias["label_free"], bias["leaf_50"])


def test_coverage_is_the_share_of_opinions_within_the_interval(read):
    (run,) = read
    found = {row["student"]: row for row in _rows(_block(residuals(read), "Do the intervals"))}
    for stage in run.stages:
        if stage.interval is None:
            assert stage.name not in found
            continue
        known = run.images.known(stage.name)
        errors = np.abs(run.images.scores[stage.name][known] - run.images.mos[known])
        assert found[stage.name]["held"] == pytest.approx((errors <= stage.interval).mean())
    assert found


def test_errors_are_counted_once_each(read):
    rows = _block(residuals(read), "Errors by size").rows.to_pylist()
    for scorer in ("label_free", "leaf_50", "teacher"):
        own = [row["images"] for row in rows if row["scorer"] == scorer]
        assert sum(own) == read[0].images.known(scorer).sum()


def test_the_worst_mistakes_come_first(read):
    (run,) = read
    worst, apart, better = mistakes(read)
    errors = [abs(dict(card.evidence)["leaf_50 less people"]) for card in worst.cards]
    known = run.images.known("leaf_50")
    everywhere = np.abs(run.images.scores["leaf_50"] - run.images.mos)[known]
    assert errors == sorted(everywhere, reverse=True)[: len(errors)]
    for card in better.cards:
        told = dict(card.evidence)
        assert abs(told["leaf_50"] - told["people (MOS)"]) < abs(
            told["teacher"] - told["people (MOS)"]
        )
    gaps = [abs(dict(c.evidence)["leaf_50"] - dict(c.evidence)["teacher"]) for c in apart.cards]
    assert gaps == sorted(gaps, reverse=True)


def test_the_gap_to_the_teacher_is_a_paired_difference(read):
    (run,) = read
    row = _rows(_block(teacher_gap(read), "Agreement with the teacher"))[0]
    assert row["student"] == "label_free"
    rated = run.images.as_held_out()
    found = compare_scores(
        (rated.scores["label_free"], rated.scores["teacher"]), rated.mos, rated.group_ids
    )
    assert row["srcc with people less the teacher's"] == found[0].difference
    assert row["95 % interval"] == interval_text(found[0].low, found[0].high)


def test_every_epoch_is_on_the_learning_curves(read, reported):
    rows = _block(training(read), "Distillation").rows.to_pylist()
    assert [row["epoch"] for row in rows if row["series"] == "pairs"] == [0, 1, 2]
    epochs = read_epochs(reported)
    seconds = sum(e.numbers["duration_s"] for e in epochs if e.stage == "label_free")
    times = {row["stage"]: row for row in _rows(_block(training(read), "Time and speed"))}
    assert times["label_free"]["seconds"] == pytest.approx(seconds, abs=0.05)
    images = times["label_free"]["images per epoch"]
    assert images == read[0].stages[0].facts["image_count"]


def test_the_curve_has_the_bootstrap_band_of_one_run_and_the_range_of_several(read):
    one = _block(label_efficiency(read, []), "SRCC by share").rows.to_pylist()
    by_name = {row["name"]: row for row in read[0].rows}
    (half,) = (row for row in one if row["method"] == "leaf" and row["percent"] == 50)
    assert (half["low"], half["high"]) == (
        by_name["leaf_50"]["srcc_low"],
        by_name["leaf_50"]["srcc_high"],
    )
    twice = _block(label_efficiency([*read, *read], []), "SRCC by share")
    (half,) = (r for r in twice.rows.to_pylist() if r["method"] == "leaf" and r["percent"] == 50)
    assert half["runs"] == 2
    assert half["low"] == half["high"] == half["value"]


def test_a_sweep_s_differences_are_paired_and_its_failures_are_named(sweep_folder):
    sweep = read_sweep(sweep_folder)
    assert sweep.variants == ["with_labels", "without_labels", "lost"]
    blocks = ablation(sweep, 1)
    assert not [block for block in blocks if isinstance(block, Note)]
    found = _block(blocks, "choices: differences").rows.to_pylist()
    (row,) = (row for row in found if row["student"] == "label_free")
    runs = [
        read_held_out(run, open_store(run.store_address)).as_held_out()
        for run in (open_run(sweep_folder / "cells" / name) for name in sweep.variants[:2])
    ]
    reference = _block(blocks, "choices: differences").title.split("“")[1].rstrip("”")
    first, second = runs if reference == "without_labels" else reversed(runs)
    pair = (first.scores["label_free"], second.scores["label_free"])
    expected = compare_scores(pair, first.mos, first.group_ids)[0]
    assert row["difference"] == pytest.approx(expected.difference)
    assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high))
    failed = _block(blocks, "choices: 1 of 3 cells failed")
    assert failed.rows == [["lost", "too few"]]


def test_without_images_a_sweep_is_compared_by_its_table(sweep_folder, tmp_path):
    blocks = ablation(read_sweep(sweep_folder), 1, store=str(tmp_path / "none"))
    (note,) = (block for block in blocks if isinstance(block, Note))
    assert "without intervals" in note.text
    rows = _block(blocks, "choices: differences").rows.to_pylist()
    assert rows
    assert all(row["low"] is None and row["difference"] is not None for row in rows)


def test_settings_that_are_not_the_defaults_are_told_as_they_stand(read):
    rows = {row["setting"]: row for row in _rows(_block(provenance(read), "Settings that"))}
    assert rows["distil.learning_rate"]["calibrated"] == "0.001"
    assert rows["distil.learning_rate"]["default"] == "0.0001"
    assert "distil.margin" not in rows
    origin = {row["what"]: row["calibrated"] for row in _rows(_block(provenance(read), "Where"))}
    assert origin["run id"] == read[0].run.run_id
    assert len(origin["SHA-256 of the mos"]) == 64


def test_a_cloud_is_a_sample_that_is_always_the_same():
    assert sampled(10).tolist() == list(range(10))
    first, second = sampled(5000, 100), sampled(5000, 100)
    assert len(set(first.tolist())) == 100
    assert first.tolist() == sorted(second.tolist())


def test_runs_of_one_name_are_told_apart_by_their_parents(tmp_path):
    folders = [tmp_path / "a" / "run", tmp_path / "b" / "run"]
    assert distinct_names(folders) == ["a/run", "b/run"]
    assert distinct_names(folders[:1]) == ["run"]
    assert distinct_names([folders[0]] * 2) == ["run (1)", "run (2)"]


def test_students_stand_in_the_order_of_training():
    names = ["cft_only_10", "leaf_30", "label_free", "leaf_5", "teacher", "odd"]
    assert sorted(names, key=student_order) == [
        *("teacher", "label_free", "leaf_5", "leaf_30", "cft_only_10", "odd")
    ]


def test_a_teacher_without_confidence_has_no_figure_of_it(read):
    (run,) = read
    unsure = replace(run.images, confidence=np.full(len(run.images.mos), np.nan))
    titles = [block.title for block in residuals([replace(run, images=unsure)])]
    assert "Errors by the teacher's confidence" not in titles
    assert "Errors by size" in titles


def test_without_any_opinion_the_student_stands_beside_its_teacher(read):
    (run,) = read
    unrated = replace(run.images, mos=np.full(len(run.images.mos), np.nan))
    bare = replace(run, images=unrated, rows=[], compared={})
    assert residuals([bare]) == []
    figure, grid = teacher_gap([bare])
    assert figure.rows.num_rows == len(run.images.mos)
    row = _rows(grid)[0]
    assert row["images"] == len(run.images.mos)
    assert row["95 % interval"] is None
    names = [figure.name for figure in report_page([bare], []).figures()]
    assert "student-and-teacher" in names
    assert "srcc-of-students" not in names
