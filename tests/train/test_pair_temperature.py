import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.pair_temperature import (
    FALLBACK_TEMPERATURE,
    TEMPERATURE_RANGE,
    fit_pair_temperature,
)


@pytest.mark.parametrize("true_temperature", [0.12, 0.2, 0.4])
def test_the_temperature_that_made_the_preferences_is_found(true_temperature):
    rng = np.random.default_rng(0)
    gap = rng.uniform(-1, 1, 50_000)
    prob = 1 / (1 + np.exp(-gap / true_temperature))
    sign = np.where(rng.random(len(gap)) < prob, 1.0, -1.0)
    assert fit_pair_temperature(gap, sign) == pytest.approx(true_temperature, rel=0.05)


def test_preferences_that_always_follow_the_scores_give_the_lowest_temperature():
    gap = np.linspace(-1, 1, 101)
    assert fit_pair_temperature(gap, np.sign(gap)) == pytest.approx(TEMPERATURE_RANGE[0], rel=0.01)


def test_preferences_against_the_scores_give_the_fallback():
    gap = np.linspace(-1, 1, 101)
    assert fit_pair_temperature(gap, -np.sign(gap)) == FALLBACK_TEMPERATURE


@given(st.lists(st.floats(-1, 1), max_size=5))
def test_no_preference_at_all_gives_the_fallback(gaps):
    assert fit_pair_temperature(np.array(gaps), np.zeros(len(gaps))) == FALLBACK_TEMPERATURE


def test_turning_pairs_round_changes_nothing():
    rng = np.random.default_rng(1)
    gap, sign = rng.uniform(-1, 1, 200), rng.choice([-1.0, 1.0], 200, p=[0.3, 0.7])
    sign = sign * np.sign(gap)
    turned = rng.choice([-1.0, 1.0], 200)
    assert fit_pair_temperature(gap * turned, sign * turned) == fit_pair_temperature(gap, sign)
