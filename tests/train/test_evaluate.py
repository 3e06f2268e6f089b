import json

import numpy as np
import pytest

from train.evaluate import evaluate

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
