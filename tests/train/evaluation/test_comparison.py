import numpy as np
import pyarrow as pa
import pytest

from train.evaluation.comparison import compare_scores
from train.evaluation.metrics import agreement

SIDES = np.array([[0.05, 0.2], [0.2, 0.2]])


def compared(noise, seed, *, count=150, draws=200):
    rng = np.random.default_rng(seed)
    mos = rng.random(count)
    scores = tuple(mos + rng.normal(0, sd, count) for sd in noise)
    groups = pa.array([f"{row // 3}" for row in range(count)])
    return (
        scores,
        mos,
        {row.measure: row for row in compare_scores(scores, mos, groups, draws=draws)},
    )


def test_a_clearly_better_scorer_is_found_better_by_every_test():
    scores, mos, rows = compared(SIDES[0], seed=0)
    first, second = (agreement(given, mos) for given in scores)
    row = rows["srcc"]
    assert row.difference == pytest.approx(first.srcc - second.srcc)
    assert 0 < row.low < row.difference < row.high
    assert max(row.p_bootstrap, row.williams_p, row.meng_p) < 0.02
    assert rows["rmse"].high < 0
    assert rows["rmse"].williams_t is None


def test_equal_scorers_seldom_differ():
    found = [compared(SIDES[1], seed=seed, draws=100)[2]["plcc"].p_bootstrap for seed in range(60)]
    assert np.mean(np.array(found) < 0.05) < 0.15
    assert np.median(found) > 0.2


def test_a_scorer_that_knows_nothing_leaves_the_tests_undefined():
    rng = np.random.default_rng(0)
    mos = rng.random(20)
    groups = pa.array([str(row) for row in range(20)])
    rows = compare_scores((mos + rng.normal(0, 0.1, 20), np.full(20, 0.5)), mos, groups, draws=50)
    srcc = next(row for row in rows if row.measure == "srcc")
    assert srcc.first > 0.8
    assert srcc.second is srcc.difference is srcc.low is srcc.p_bootstrap is srcc.meng_z is None


def test_one_group_alone_gives_no_interval():
    mos = np.linspace(0, 1, 10)
    rows = compare_scores((mos, mos**2 + 0.1), mos, pa.array(["a"] * 10))
    assert all(row.low is None and row.p_bootstrap is None for row in rows)
