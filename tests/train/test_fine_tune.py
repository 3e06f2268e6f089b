import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from schemas.errors import NotEnoughData
from train.fine_tune import MIN_LABELLED, fit_shift_and_scale, require_labels

seeds = st.integers(0, 10_000)


@given(seeds, st.floats(-2, 2))
def test_shift_and_scale_never_changes_the_ranking(seed, slope):
    rng = np.random.default_rng(seed)
    scores = rng.random(30)
    mos = slope * scores + rng.random(30)
    scale, shift = fit_shift_and_scale(scores, mos)
    assert scale > 0
    assume(scale > 1e-6)
    assert np.array_equal(stats.rankdata(scale * scores + shift), stats.rankdata(scores))


@given(seeds)
def test_after_shift_and_scale_the_mean_error_is_zero(seed):
    rng = np.random.default_rng(seed)
    scores, mos = rng.random(30), rng.random(30)
    scale, shift = fit_shift_and_scale(scores, mos)
    assert np.mean(scale * scores + shift - mos) == pytest.approx(0, abs=1e-9)


def test_shift_and_scale_is_the_least_squares_line():
    rng = np.random.default_rng(0)
    scores = rng.random(50)
    mos = 0.3 * scores + 0.1 + 0.05 * rng.standard_normal(50)
    oracle = stats.linregress(scores, mos)
    assert fit_shift_and_scale(scores, mos) == pytest.approx((oracle.slope, oracle.intercept))


def test_constant_scores_are_only_shifted():
    scale, shift = fit_shift_and_scale(np.full(9, 0.5), np.linspace(0, 1, 9))
    assert (scale, shift) == (1.0, pytest.approx(0.0))


def test_fewer_opinions_than_needed_are_refused_with_what_to_do():
    require_labels(np.arange(MIN_LABELLED), fraction=0.1)
    with pytest.raises(NotEnoughData, match="10% of the training images with MOS are 7") as found:
        require_labels(np.arange(MIN_LABELLED - 1), fraction=0.1)
    assert "store add-mos" in str(found.value)
