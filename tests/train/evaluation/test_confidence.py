import numpy as np
import pytest

from data_store.agreement.reliability import pair_reliability, point_reliability, right_by_coverage


def calibrated_pairs(count, *, honest=1.0, seed=0):
    """Preferences that are right as often as they say; told as `honest` times their logit."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(0, 2, count)
    prob = 1 / (1 + np.exp(-logit))
    difference = np.where(rng.random(count) < prob, 1.0, -1.0) * rng.uniform(0.1, 1, count)
    told = 1 / (1 + np.exp(-logit / honest))
    return told, np.abs(2 * told - 1), difference


def test_honest_preferences_have_no_calibration_error_and_boasting_ones_do():
    honest = pair_reliability(*calibrated_pairs(20_000))
    assert honest.ece < 0.02
    assert honest.agreement == pytest.approx(honest.mean_prob, abs=0.01)
    boasting = pair_reliability(*calibrated_pairs(20_000, honest=0.3))
    assert boasting.ece > 0.1
    assert boasting.mean_prob > boasting.agreement + 0.1
    assert boasting.coverage_area == pytest.approx(honest.coverage_area, abs=1e-3)


def test_every_pair_is_in_one_bin_and_bins_are_means():
    prob, confidence, difference = calibrated_pairs(500)
    found = pair_reliability(prob, confidence, difference)
    assert sum(row.n for row in found.bins) == found.n == 500
    inside = (confidence >= 0.3) & (confidence < 0.4)
    row = found.bins[3]
    assert row.n == inside.sum()
    assert row.mean_confidence == pytest.approx(confidence[inside].mean())
    right = np.sign(prob - 0.5) == np.sign(difference)
    assert row.agreement == pytest.approx(right[inside].mean())


def test_coverage_starts_with_the_most_confident_and_ends_with_all():
    right = np.array([0.0, 1.0, 1.0, 0.0])
    confidence = np.array([0.1, 0.9, 0.5, 0.5])
    assert right_by_coverage(right, confidence) == pytest.approx([1, 0.75, 2 / 3, 0.5])
    found = pair_reliability(
        np.array([0.4, 0.9, 0.8, 0.8]), confidence, np.array([1.0, 1.0, 1.0, -1.0])
    )
    assert found.coverage[-1] == (1.0, pytest.approx(0.5))
    assert found.coverage_area == pytest.approx((1 + 0.75 + 2 / 3 + 0.5) / 4)
    assert found.best_coverage_area == pytest.approx((1 + 1 + 2 / 3 + 0.5) / 4)


def test_a_preference_of_one_half_is_half_right():
    found = pair_reliability(np.array([0.5, 0.5]), np.zeros(2), np.array([1.0, -1.0]))
    assert found.agreement == 0.5
    assert found.ece == 0


def test_no_pairs_leave_everything_undefined():
    found = pair_reliability(np.empty(0), np.empty(0), np.empty(0))
    assert found.n == 0
    assert found.agreement is found.ece is found.coverage_area is None
    assert found.coverage == ()


def test_points_with_smaller_errors_where_confidence_is_high_are_seen():
    rng = np.random.default_rng(0)
    mos = rng.random(2000)
    confidence = rng.random(2000)
    scores = mos + rng.normal(0, 1, 2000) * 0.3 * (1.05 - confidence)
    found = point_reliability(scores, confidence, mos)
    assert found.error_srcc > 0.3
    errors = [row.mean_absolute_error for row in found.bins]
    assert errors[0] > 3 * errors[-1]
    assert sum(row.n for row in found.bins) == 2000
    assert point_reliability(scores, np.full(2000, 0.4), mos).error_srcc is None
