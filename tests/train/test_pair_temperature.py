import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit

from train.pair_temperature import (
    FALLBACK_TEMPERATURE,
    TEMPERATURE_RANGE,
    fit_pair_temperature,
    most_likely_temperature,
)


@pytest.mark.parametrize("true_temperature", [0.12, 0.2, 0.4])
def test_the_temperature_that_made_the_preferences_is_found(true_temperature):
    rng = np.random.default_rng(0)
    gap = rng.uniform(-1, 1, 50_000)
    prob = expit(gap / true_temperature)
    winners = (rng.random(len(gap)) < prob).astype(float)
    assert fit_pair_temperature(gap, winners) == pytest.approx(true_temperature, rel=0.05)
    # Probabilities say it without the noise of drawing winners.
    assert fit_pair_temperature(gap, prob) == pytest.approx(true_temperature, rel=1e-6)


def test_preferences_that_always_follow_the_scores_give_the_lowest_temperature():
    gap = np.linspace(-1, 1, 101)
    assert fit_pair_temperature(gap, (np.sign(gap) + 1) / 2) == TEMPERATURE_RANGE[0]


def test_preferences_that_hardly_follow_the_scores_give_the_highest():
    gap = np.linspace(-1, 1, 101)
    assert fit_pair_temperature(gap, 0.5 + 0.01 * gap) == TEMPERATURE_RANGE[1]


def test_preferences_against_the_scores_give_the_fallback():
    gap = np.linspace(-1, 1, 101)
    assert fit_pair_temperature(gap, (1 - np.sign(gap)) / 2) == FALLBACK_TEMPERATURE


@given(st.lists(st.floats(-1, 1), max_size=5))
def test_no_preference_at_all_gives_the_fallback(gaps):
    assert fit_pair_temperature(np.array(gaps), np.full(len(gaps), 0.5)) == FALLBACK_TEMPERATURE


def test_turning_pairs_round_changes_nothing():
    rng = np.random.default_rng(1)
    gap = rng.uniform(-1, 1, 200)
    prob = np.where(rng.random(200) < 0.7, gap > 0, gap < 0).astype(float)
    turned = rng.random(200) < 0.5
    other = fit_pair_temperature(np.where(turned, -gap, gap), np.where(turned, 1 - prob, prob))
    assert other == pytest.approx(fit_pair_temperature(gap, prob))


def test_the_root_of_the_slope_is_the_maximum_that_scipy_finds():
    rng = np.random.default_rng(2)
    logits, weight = rng.normal(0.4, 1.5, 300), rng.random(300)
    oracle = minimize_scalar(
        lambda t: -(weight @ log_expit(logits / t)),
        bounds=(0.1, 50),
        method="bounded",
        options={"xatol": 1e-9},
    )
    found = most_likely_temperature(logits, weight=weight, between=(0.1, 50.0))
    assert found == pytest.approx(oracle.x, rel=1e-4)
