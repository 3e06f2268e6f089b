"""The commands on a small store of a SIMULATED teacher, and on runs whose scores are made up."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from data_store.index import query
from data_store.mos.importer import add_mos
from data_store.mos.scores import MosColumns
from schemas.errors import InputError, NotEnoughData
from train.cli import app
from train.evaluation.finished_run import held_out_scores, open_run, scores_elsewhere
from train.evaluation.judging import (
    SplitPlan,
    compare_students,
    judge_confidence,
    judge_elsewhere,
    judge_held_out,
    judge_teachers,
)
from train.evaluation.rated_images import rated_images
from train.evaluation.run_summaries import measured_of_runs, method_and_fraction
from train.results import commit_predictions, write_summary
from train.serving.predict import predict_folder
from train.stages import Stage, save_stage
from train.student import initial_student

PLAN = SplitPlan(5, 0.3)


def make_run(folder, store, noises, *, split_seed=0):
    """A finished run whose students say the known quality with so much noise."""
    folder.mkdir()
    teachers = query(store, "select distinct teacher_id from points")["teacher_id"].to_pylist()
    record = {
        "run_id": folder.name,
        "settings": {"split": {"seed": split_seed, "test_fraction": 0.4}},
        "teacher_ids": teachers,
        "store": store.address,
    }
    (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")
    rated = query(store, "select image_id, mos_unit from mos order by image_id").combine_chunks()
    rng = np.random.default_rng(0)
    quality = rated["mos_unit"].to_numpy()
    scores = {name: quality + rng.normal(0, sd, len(quality)) for name, sd in noises.items()}
    ids = rated["image_id"].combine_chunks()
    commit_predictions(folder, folder.name, store, ids, scores)
    return open_run(folder)


@pytest.fixture(scope="module")
def store(tmp_path_factory, build_store):
    return build_store(tmp_path_factory.mktemp("judged"), 60)


@pytest.fixture(scope="module")
def runs(tmp_path_factory, store):
    folder = tmp_path_factory.mktemp("runs")
    sharp = make_run(folder / "sharp", store, {"leaf_10": 0.02, "label_free": 0.5})
    vague = make_run(folder / "vague", store, {"leaf_10": 0.5})
    other = make_run(folder / "other", store, {"leaf_10": 0.1}, split_seed=1)
    return {"sharp": sharp, "vague": vague, "other": other}


def test_a_teacher_is_judged_over_random_parts(store):
    (found,) = judge_teachers(store, [], source="", plan=PLAN)
    row = found.as_dict()
    assert (row["name"], row["images"], row["splits"]) == ("simulated", 60, 5)
    assert row["srcc_median"] > 0.9
    with pytest.raises(InputError, match="no opinion of 'nobody'"):
        list(judge_teachers(store, [], source="nobody", plan=PLAN))


def test_students_are_judged_on_the_held_out_images_of_their_run(store, runs):
    rows = {row.name: row for row in judge_held_out(runs["sharp"], store)}
    assert list(rows) == ["teacher", "label_free", "leaf_10"]
    row = rows["leaf_10"].as_dict()
    tested = held_out_scores(runs["sharp"], store)
    assert row["n"] == len(tested.mos) < 60
    assert runs["sharp"].tested(tested.group_ids).all()
    assert row["srcc_low"] < row["srcc"] <= row["srcc_high"]
    assert row["srcc"] > rows["label_free"].agreement.srcc


def test_two_runs_are_compared_image_by_image(store, runs):
    pair = tuple(held_out_scores(runs[name], store) for name in ("sharp", "vague"))
    found = compare_students(pair, ("leaf_10", "leaf_10"), draws=200)
    rows = {row.measure: row for row in found.differences}
    assert (found.first, found.second) == ("sharp/leaf_10", "vague/leaf_10")
    assert found.image_count == len(pair[0].mos)
    assert rows["srcc"].low > 0
    assert rows["srcc"].williams_p < 0.01
    against = compare_students((pair[0], pair[0]), ("leaf_10", "teacher"), draws=200)
    assert against.second == "sharp/teacher"


def test_other_held_out_images_are_refused_and_counted(store, runs):
    pair = tuple(held_out_scores(runs[name], store) for name in ("sharp", "other"))
    with pytest.raises(InputError, match=r"of the first run alone.*split\.seed = 0.*seed = 1"):
        compare_students(pair, ("leaf_10", "leaf_10"), draws=100)
    with pytest.raises(InputError, match="no scorer 'leaf_99'"):
        compare_students((pair[0], pair[0]), ("leaf_10", "leaf_99"), draws=100)
    with pytest.raises(InputError, match="compared with itself"):
        compare_students((pair[0], pair[0]), ("leaf_10", "leaf_10"), draws=100)


def test_confidence_is_judged_where_there_are_opinions(store):
    (found,) = judge_confidence(store, [], source="")
    assert found.pairs.agreement > 0.8
    assert found.pairs.coverage_area > found.pairs.agreement
    assert found.points.n == 60


def test_without_opinions_there_is_nothing_to_judge(tmp_path, build_store):
    bare = build_store(tmp_path, 6, pairs=False, mos=False)
    with pytest.raises(NotEnoughData, match="store add-mos"):
        list(judge_teachers(bare, [], source="", plan=PLAN))


def test_an_unfinished_run_and_no_run_are_told_apart(tmp_path, store, runs):
    with pytest.raises(InputError, match="no run here"):
        open_run(tmp_path)
    (tmp_path / "run.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match="cannot be read"):
        open_run(tmp_path)
    unfinished = json.loads((runs["sharp"].folder / "run.json").read_text(encoding="utf-8"))
    (tmp_path / "run.json").write_text(json.dumps(unfinished | {"run_id": "x"}), encoding="utf-8")
    with pytest.raises(NotEnoughData, match="no scores of this run"):
        held_out_scores(open_run(tmp_path), store)


def test_another_store_is_scored_as_predict_does_but_for_what_was_trained_on(
    tmp_path, store, runs, build_store, settings
):
    elsewhere = build_store(tmp_path, 60)  # the same bytes again
    run, quick = runs["sharp"], settings("student.init=random")
    student = initial_student(quick.student, seed=0).to(torch.device("cpu"))
    save_stage(run.folder, Stage("leaf_10", student, quick.student, quick.images, {}))
    (images,) = rated_images(elsewhere)
    scored = scores_elsewhere(run, "", images)
    out = tmp_path / "scores.parquet"
    predict_folder(run.folder, tmp_path / "images", out)
    given = {row["image_id"]: row["score"] for row in pq.read_table(out).to_pylist()}
    untrained = held_out_scores(run, store)
    assert scored.scores.tolist() == [given[i] for i in untrained.image_ids.to_pylist()]
    assert scored.mos.tolist() == untrained.mos.tolist()
    raw, refitted = judge_elsewhere(run, "", elsewhere, source="", plan=PLAN)
    assert (raw.name, refitted.name) == ("sharp/leaf_10", "sharp/leaf_10 refitted")
    assert (raw.refits_failed, refitted.refits_failed is None) == (None, False)
    assert raw.image_count == refitted.image_count == len(scored.mos)


def test_sources_of_opinions_are_judged_apart(tmp_path, build_store):
    judged = build_store(tmp_path, 12, pairs=False)
    add_mos(
        judged,
        tmp_path / "images" / "mos.csv",
        columns=MosColumns(),
        scale=(0.0, 1.0),
        source="again",
    )
    found = [row.source for row in judge_teachers(judged, [], source="", plan=PLAN)]
    assert found == ["again", "known quality"]
    (again,) = judge_teachers(judged, [], source="again", plan=PLAN)
    assert again.image_count == 12


def test_a_curve_is_read_from_the_summaries_of_runs(store, runs):
    folder = runs["sharp"].folder
    write_summary(folder, judge_held_out(runs["sharp"], store))
    rows = measured_of_runs([folder], measure="srcc")
    assert [(row.method, row.fraction) for row in rows] == [("leaf", 0), ("leaf", 0.1)]
    with pytest.raises(InputError, match="no 'nonsense'"):
        measured_of_runs([folder], measure="nonsense")
    with pytest.raises(InputError, match="no finished run"):
        measured_of_runs([folder / "none"], measure="srcc")
    assert method_and_fraction("cft_only_2.5") == ("cft_only", 0.025)


def test_a_sweep_s_cells_are_told_apart_by_what_they_change_but_for_seeds(tmp_path):
    cell = {"cell": "a", "case": None, "distil.pair_weight": 1.0, "seed": 0, "name": "leaf_10"}
    rows = [
        cell | {"srcc": 0.7, "error": None},
        cell | {"seed": 1, "srcc": 0.8, "error": None},
        cell | {"distil.pair_weight": 0.0, "srcc": None, "error": None},
        cell | {"name": None, "srcc": None, "error": "it failed"},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "sweep.parquet")
    found = [(row.method, row.value) for row in measured_of_runs([tmp_path], measure="srcc")]
    assert found == [
        ("leaf distil.pair_weight=1.0", 0.7),
        ("leaf distil.pair_weight=1.0", 0.8),
        ("leaf distil.pair_weight=0.0", None),
    ]


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        (("evaluate", "--store", "STORE"), {"held_out", "over_splits"}),
        (("evaluate", "--run", "sharp"), {"held_out", "over_splits"}),
        (("compare", "sharp", "vague", "--student", "leaf_10"), {"first", "differences"}),
        (("confidence", "--store", "STORE"), {"teacher", "pairs", "points"}),
        (("curve", "sharp"), {"curve", "labels_needed"}),
    ],
)
def test_commands_print_tables_for_people_and_json_for_programs(store, runs, words, keys, capsys):
    places = {"STORE": store.address} | {name: str(run.folder) for name, run in runs.items()}
    write_summary(runs["sharp"].folder, judge_held_out(runs["sharp"], store))
    given = [places.get(word, word) for word in words]
    app(given, standalone_mode=False)
    assert "│" in capsys.readouterr().out
    app([*given, "--json"], standalone_mode=False)
    found = json.loads(capsys.readouterr().out)
    assert keys <= (found[0] if isinstance(found, list) else found).keys()
