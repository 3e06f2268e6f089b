import numpy as np
import pyarrow as pa
import pytest

from data_store.agreement.group_bootstrap import MEASURES, draw_groups, intervals, resampled
from train.evaluation.metrics import agreement


def groups_of(count, size):
    return pa.array([f"group {row // size}" for row in range(count)])


def test_a_draw_gives_the_measures_of_the_repeated_images_ties_included():
    rng = np.random.default_rng(0)
    mos = np.round(rng.random(40), 1)
    scores = np.round(mos + rng.normal(0, 0.3, 40), 1)
    draws = draw_groups(groups_of(40, 3), draws=20)
    found = resampled(scores, mos, draws)
    for draw, counts in enumerate(draws.group_counts):
        rows = np.repeat(np.arange(40), counts[draws.group_of].astype(int))
        expected = agreement(scores[rows], mos[rows])._asdict()
        for name in MEASURES:
            assert found[name][draw] == pytest.approx(expected[name], abs=1e-9), name


def test_images_of_one_group_are_drawn_together_and_the_seed_decides():
    ids = groups_of(30, 5)
    draws = draw_groups(ids, draws=50, seed=3)
    assert (draws.group_counts.sum(axis=1) == 6).all()
    weights = np.concatenate(list(draws.blocks(30)))
    assert (weights.reshape(50, 6, 5) == weights.reshape(50, 6, 5)[:, :, :1]).all()
    assert np.array_equal(draw_groups(ids, draws=50, seed=3).group_counts, draws.group_counts)
    assert not np.array_equal(draw_groups(ids, draws=50, seed=4).group_counts, draws.group_counts)


def test_an_interval_covers_the_truth_as_often_as_it_says():
    # Errors shared within groups: intervals by image would cover in about 60 % of the cases.
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(200):
        mos = rng.random(150)
        scores = mos + np.repeat(rng.normal(0, 0.1, 30), 5) + rng.normal(0, 0.05, 150)
        low, high = intervals(scores, mos, draw_groups(groups_of(150, 5), draws=200))["bias"]
        inside += low <= 0 <= high
    assert 0.88 < inside / 200 < 0.98


def test_one_group_alone_has_no_draws_and_a_constant_no_interval():
    assert draw_groups(pa.array(["a", "a"])) is None
    assert draw_groups(pa.array([], pa.string())) is None
    rng = np.random.default_rng(2)
    found = intervals(np.full(20, 0.5), rng.random(20), draw_groups(groups_of(20, 2), draws=50))
    assert found["srcc"] == found["plcc"] == found["krcc"] == (None, None)
    assert found["pair_accuracy"] == (0.5, 0.5)
    assert found["rmse"][0] is not None
