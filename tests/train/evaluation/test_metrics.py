import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from train.evaluation.metrics import agreement, fitted_plcc, krcc, pair_accuracy, plcc, srcc

pairs_of_numbers = st.lists(
    st.tuples(st.integers(-20, 20), st.integers(-20, 20)), min_size=3, max_size=40
)


@given(pairs_of_numbers)
def test_correlations_agree_with_scipy_ties_included(values):
    first, second = (np.array(column, dtype=float) for column in zip(*values, strict=True))
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        assert all(math.isnan(f(first, second)) for f in (srcc, krcc, plcc))
        return
    assert plcc(first, second) == pytest.approx(stats.pearsonr(first, second)[0], abs=1e-9)
    assert srcc(first, second) == pytest.approx(stats.spearmanr(first, second)[0], abs=1e-9)
    assert krcc(first, second) == pytest.approx(_tau_b_by_counting(first, second), abs=1e-9)


def _tau_b_by_counting(first, second):
    upper = np.triu_indices(len(first), 1)
    signs = [np.sign(x[:, None] - x[None])[upper] for x in (first, second)]
    return (signs[0] @ signs[1]) / math.sqrt((signs[0] != 0).sum() * (signs[1] != 0).sum())


def test_a_backward_ranking_stays_negative_everywhere():
    mos = np.linspace(0, 1, 40)
    found = agreement(1 - mos**2, mos)
    assert found.srcc == pytest.approx(-1)
    assert found.krcc == pytest.approx(-1)
    assert found.plcc < -0.9
    assert found.plcc_fitted < -0.9
    assert found.plcc_fitted5 < -0.9
    assert not found.fit_converged
    assert not found.fit5_converged
    assert found.pair_accuracy == 0


def test_fitted_plcc_straightens_a_logistic_relation():
    mos = np.linspace(0.02, 0.98, 60)
    scores = np.log(mos / (1 - mos)) * 0.3 + 5
    fitted, converged = fitted_plcc(scores, mos)
    assert converged
    assert fitted > 0.9999 > plcc(scores, mos)


@pytest.mark.parametrize("seed", range(10))
def test_fitted_plcc_is_never_clearly_below_the_raw_one(seed):
    rng = np.random.default_rng(seed)
    mos = rng.random(50)
    scores = mos + rng.normal(0, rng.uniform(0.01, 1), 50)
    assert fitted_plcc(scores, mos)[0] >= plcc(scores, mos) - 1e-3 - 1e-12


def test_too_few_values_for_a_fit_are_reported_as_not_converged():
    fitted, converged = fitted_plcc(np.array([0.1, 0.5, 0.9]), np.array([0.2, 0.4, 0.9]))
    assert not converged
    assert fitted == pytest.approx(plcc(np.array([0.1, 0.5, 0.9]), np.array([0.2, 0.4, 0.9])))


def test_constant_scores_have_no_correlation_but_an_error():
    found = agreement(np.full(10, 0.7), np.linspace(0, 1, 10))
    assert all(math.isnan(x) for x in (found.srcc, found.krcc, found.plcc, found.plcc_fitted))
    assert found.bias == pytest.approx(0.2)


def test_no_values_at_all_are_nan_and_counted_as_none():
    found = agreement(np.empty(0), np.empty(0))
    assert found.n == 0
    assert all(math.isnan(x) for x in (found.srcc, found.plcc, found.rmse, found.bias))


def test_errors_by_hand():
    found = agreement(np.array([0.1, 0.5, 0.9]), np.array([0.0, 0.5, 0.5]))
    assert found.bias == pytest.approx((0.1 + 0.0 + 0.4) / 3)
    assert found.mae == pytest.approx((0.1 + 0.0 + 0.4) / 3)
    assert found.rmse == pytest.approx(math.sqrt((0.01 + 0.16) / 3))


@given(st.floats(0.1, 10), st.floats(-5, 5))
def test_an_affine_map_leaves_plcc_and_srcc_unchanged(scale, shift):
    rng = np.random.default_rng(3)
    mos = rng.random(30)
    scores = mos + 0.2 * rng.standard_normal(30)
    assert plcc(scale * scores + shift, mos) == pytest.approx(plcc(scores, mos), abs=1e-9)
    assert srcc(scale * scores + shift, mos) == pytest.approx(srcc(scores, mos), abs=1e-9)


@given(pairs_of_numbers)
def test_pair_accuracy_is_what_counting_pairs_gives(values):
    scores, mos = (np.array(column, dtype=float) for column in zip(*values, strict=True))
    right, different = 0.0, 0
    for i in range(len(mos)):
        for j in range(i):
            if mos[i] != mos[j]:
                different += 1
                right += 0.5 + 0.5 * np.sign((mos[i] - mos[j]) * (scores[i] - scores[j]))
    if different:
        assert pair_accuracy(scores, mos) == pytest.approx(right / different, abs=1e-9)
    else:
        assert math.isnan(pair_accuracy(scores, mos))
