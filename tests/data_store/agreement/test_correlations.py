import numpy as np
import pytest

from data_store.agreement.correlations import mean_ranks, srcc


def test_ties_share_their_mean_rank():
    assert mean_ranks(np.array([3.0, 1.0, 3.0, 2.0, 3.0])).tolist() == [4.0, 1.0, 4.0, 2.0, 4.0]


def test_a_rank_correlation_keeps_its_sign_and_is_undefined_for_a_constant():
    rising = np.arange(5.0)
    assert srcc(rising, np.exp(rising)) == pytest.approx(1)
    assert srcc(rising, -np.exp(rising)) == pytest.approx(-1)
    assert np.isnan(srcc(rising, np.ones(5)))
