import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from train.evaluate import evaluate
from train.results import write_summary

HELD_OUT = np.array([False, True, True, True, False, True])
MOS = np.array([0.1, 0.2, 0.5, 0.9, 0.3, np.nan])


def test_only_held_out_images_with_opinion_and_score_are_counted():
    scores = np.array([9.0, 0.2, 0.5, 0.9, -9.0, 0.4])
    row = evaluate({"student": scores}, MOS, HELD_OUT)[0].as_dict()
    assert row["n"] == 3
    assert row["srcc"] == pytest.approx(1)
    assert row["bias"] == pytest.approx(0)


def test_images_that_a_scorer_left_out_lower_its_count_alone():
    full = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 0.5])
    part = np.where(np.arange(6) == 2, np.nan, full)
    rows = evaluate({"full": full, "part": part}, MOS, HELD_OUT)
    assert [row.as_dict()["n"] for row in rows] == [3, 2]


def test_what_is_undefined_is_null_in_json():
    row = evaluate({"flat": np.full(6, 0.5)}, MOS, HELD_OUT)[0].as_dict()
    assert row["srcc"] is None
    json.dumps(row, allow_nan=False)


def test_intervals_come_from_groups_and_are_null_without_them():
    rng = np.random.default_rng(0)
    mos = rng.random(60)
    scores = {"student": mos + rng.normal(0, 0.2, 60)}
    held_out = np.arange(60) >= 20
    groups = pa.array([f"{row // 4}" for row in range(60)])
    row = evaluate(scores, mos, held_out, group_ids=groups)[0].as_dict()
    assert row["srcc_low"] < row["srcc"] < row["srcc_high"]
    assert row["rmse_low"] < row["rmse"] < row["rmse_high"]
    alone = evaluate(scores, mos, held_out)[0].as_dict()
    assert alone["srcc_low"] is alone["bias_high"] is None
    assert alone.keys() == row.keys()
    assert {"plcc_fitted5", "pair_accuracy", "plcc_fitted", "krcc", "n"} <= row.keys()


def test_the_summary_is_the_same_as_json_and_parquet_and_keeps_its_types(tmp_path):
    flat = evaluate({"flat": np.full(6, 0.5)}, MOS, HELD_OUT)
    write_summary(tmp_path, flat)
    found = pq.read_table(tmp_path / "summary.parquet")
    assert found.to_pylist() == json.loads((tmp_path / "summary.json").read_text("utf-8"))
    assert found.schema.field("srcc").type == found.schema.field("srcc_low").type == pa.float64()
