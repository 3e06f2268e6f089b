import json

import numpy as np
import pyarrow as pa
import pytest

from data_store.splits import held_out
from train.evaluation.metrics import agreement
from train.evaluation.random_splits import Scored, over_splits

RNG = np.random.default_rng(0)
MOS = RNG.random(200)
GROUPS = pa.array([f"group {row // 4}" for row in range(200)])
SCORED = Scored("teacher", "people", 0.3 * MOS**3 + RNG.normal(0, 0.01, 200), MOS, GROUPS)


def test_each_split_judges_its_own_test_groups():
    found = over_splits(SCORED, splits=4, test_fraction=0.25)
    row = found.as_dict()
    expected = []
    for seed in range(4):
        tested = held_out(GROUPS, seed=seed, test_fraction=0.25)
        expected.append(agreement(SCORED.scores[tested], MOS[tested]).srcc)
    assert [part.srcc for part in found.parts] == expected
    assert row["srcc_median"] == pytest.approx(np.median(expected))
    assert row["srcc_mean"] == pytest.approx(np.mean(expected))
    assert row["srcc_sd"] == pytest.approx(np.std(expected, ddof=1))
    assert (row["images"], row["splits"]) == (200, 4)


def test_a_refit_mends_the_scale_from_other_images_and_keeps_the_order():
    raw, mended = (over_splits(SCORED, test_fraction=0.2, refit=refit) for refit in (False, True))
    assert raw.refits_failed is None
    assert mended.refits_failed == 0
    for before, after in zip(raw.parts, mended.parts, strict=True):
        assert after.srcc == pytest.approx(before.srcc, abs=1e-9)
        assert abs(after.bias) < 0.1 < abs(before.bias)
        assert after.rmse < before.rmse / 2


def test_what_is_undefined_in_a_part_is_counted_and_not_averaged():
    flat = SCORED._replace(scores=np.full(200, 0.5))
    row = over_splits(flat, splits=3, test_fraction=0.2, refit=True).as_dict()
    assert row["srcc_median"] is row["srcc_sd"] is None
    assert (row["srcc_undefined"], row["fits_failed"], row["refits_failed"]) == (3, 3, 3)
    assert row["rmse_mean"] > 0
    json.dumps(row, allow_nan=False)


def test_a_test_part_without_a_group_is_no_part():
    few = Scored("t", "p", np.arange(4.0), np.arange(4.0), pa.array(["a"] * 4))
    assert len(over_splits(few, splits=10, test_fraction=0.2).parts) < 10
