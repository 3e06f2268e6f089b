import math

import numpy as np
import pytest
from scipy import stats

from train.evaluation.dependent_correlations import meng_z, williams_t

NULL = np.array([[1, 0.6, 0.6], [0.6, 1, 0.7], [0.6, 0.7, 1]])


def correlations(covariance, count, repeats, seed):
    """(repeats, 3) of r12, r13, r23 of normal samples."""
    rng = np.random.default_rng(seed)
    drawn = rng.multivariate_normal(np.zeros(3), covariance, size=(repeats, count))
    drawn -= drawn.mean(axis=1, keepdims=True)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    product = np.einsum("rni,rnj->rij", drawn, drawn)
    return product[:, [0, 0, 1], [1, 2, 2]]


def test_williams_t_is_as_published():
    # bruceR, cor_diff(r1 = .20, r2 = .45, n = 100, rcov = .80): t(97) = -4.56, p = 1e-05.
    found = williams_t(0.20, 0.45, 0.80, 100)
    assert found.statistic == pytest.approx(-4.56, abs=0.005)
    assert found.p_value == pytest.approx(1e-5, abs=1e-5)


@pytest.mark.parametrize("test", [williams_t, meng_z])
def test_equal_scorers_are_told_apart_in_five_per_cent_of_the_samples(test):
    found = [test(*row, 60).p_value for row in correlations(NULL, 60, 2000, seed=0).tolist()]
    assert np.mean(np.array(found) < 0.05) == pytest.approx(0.05, abs=0.015)
    assert stats.kstest(found, "uniform").pvalue > 0.001


def test_the_variance_in_meng_s_z_is_that_of_samples():
    unequal = np.array([[1, 0.8, 0.6], [0.8, 1, 0.5], [0.6, 0.5, 1]])
    drawn = correlations(unequal, 100, 4000, seed=1)
    gaps = np.arctanh(drawn[:, 0]) - np.arctanh(drawn[:, 1])
    gap = math.atanh(0.8) - math.atanh(0.6)
    assert (gap / meng_z(0.8, 0.6, 0.5, 100).statistic) ** 2 == pytest.approx(gaps.var(), rel=0.1)


@pytest.mark.parametrize("test", [williams_t, meng_z])
def test_the_better_one_has_the_positive_sign_and_order_is_symmetric(test):
    forward, backward = test(0.8, 0.7, 0.75, 50), test(0.7, 0.8, 0.75, 50)
    assert forward.statistic == pytest.approx(-backward.statistic)
    assert forward.statistic > 0
    assert forward.p_value == pytest.approx(backward.p_value)


@pytest.mark.parametrize("test", [williams_t, meng_z])
@pytest.mark.parametrize(
    "given", [(0.5, 0.4, 0.3, 3), (math.nan, 0.4, 0.3, 50), (0.5, 0.5, 1.0, 50)]
)
def test_what_is_undefined_is_nan(test, given):
    assert math.isnan(test(*given).statistic)
    assert math.isnan(test(*given).p_value)
