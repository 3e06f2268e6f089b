"""The rating scale's arithmetic, against numbers worked out by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from schemas.errors import RowRefused
from schemas.scale import (
    calibrated_logprobs,
    confidence,
    implied_prob,
    level_confidence,
    level_probs,
    level_variance,
    logit_expectation,
    preference_prob,
    preference_prob_mean,
    unit_score,
)

LOGPROBS = arrays(np.float64, (4, 5), elements=st.floats(-50, 0))
LETTERS = arrays(np.float64, (3, 2), elements=st.floats(-20, 0))


def test_certain_fair_and_complete_doubt_both_have_expectation_three():
    certain = np.array([[-1e3, -1e3, 0.0, -1e3, -1e3]])
    doubt = np.full((1, 5), -1.6)
    assert logit_expectation(np.vstack([certain, doubt])) == pytest.approx([3.0, 3.0])
    assert confidence(level_probs(certain)) == pytest.approx([1.0])
    assert confidence(level_probs(doubt)) == pytest.approx([0.0], abs=1e-12)


@given(LOGPROBS, st.floats(-30, 30))
def test_a_constant_changes_nothing_and_the_mean_stays_on_the_scale(logprobs, constant):
    expectation = logit_expectation(logprobs)
    assert np.all((expectation >= 1 - 1e-9) & (expectation <= 5 + 1e-9))
    assert logit_expectation(logprobs + constant) == pytest.approx(expectation)
    assert np.all((unit_score(expectation) >= -1e-9) & (unit_score(expectation) <= 1 + 1e-9))


def test_four_levels_are_refused():
    with pytest.raises(RowRefused, match="4 level log-probabilities instead of 5"):
        logit_expectation(np.zeros((2, 4)))


@pytest.mark.parametrize(("p", "expected"), [(0.9, 0.5310), (0.75, 0.1887), (0.5, 0.0)])
def test_confidence_of_a_preference(p, expected):
    assert confidence(np.array([p, 1 - p])) == pytest.approx(expected, abs=5e-5)


@given(LETTERS, LETTERS, st.floats(-5, 5))
def test_an_additive_position_bias_cancels_exactly(ab, ba, bias):
    biased_ab, biased_ba = ab.copy(), ba.copy()
    biased_ab[:, 0] += bias  # whichever image stands first gains `bias` logits
    biased_ba[:, 0] += bias
    assert preference_prob(biased_ab, biased_ba) == pytest.approx(preference_prob(ab, ba))


@given(LETTERS, LETTERS)
def test_exchanging_the_images_gives_the_other_probability(ab, ba):
    assert preference_prob(ab, ba) + preference_prob(ba, ab) == pytest.approx(np.ones(3))


def test_preference_of_two_answers_worked_out_by_hand():
    ab, ba = np.array([[-0.1, -2.1]]), np.array([[-1.5, -0.5]])
    z = ((-0.1 + 2.1) + (-0.5 + 1.5)) / 2
    assert preference_prob(ab, ba) == pytest.approx([1 / (1 + math.exp(-z))])


NAN = math.nan


def test_levels_that_were_not_offered_have_no_probability():
    two = np.array([[NAN, math.log(0.3), NAN, math.log(0.1), NAN]])
    assert level_probs(two) == pytest.approx(np.array([[0, 0.75, 0, 0.25, 0]]))
    assert logit_expectation(two) == pytest.approx([2.5])
    assert level_variance(level_probs(two)) == pytest.approx([0.75 * 0.25 + 0.25 * 2.25])


def test_confidence_is_of_the_levels_that_were_offered():
    doubt = np.array([[-1.0, NAN, NAN, NAN, -1.0], [-1.0, NAN, -1.0, NAN, -1.0], [-1.0] * 5])
    assert level_confidence(doubt) == pytest.approx([0, 0, 0], abs=1e-12)
    sure = np.array([[-1e3, NAN, NAN, NAN, 0.0]])
    assert level_confidence(sure) == pytest.approx([1])
    whole = np.array([[-3.0, -2.0, -1.0, -2.0, -3.0]])
    assert level_confidence(whole) == pytest.approx(confidence(level_probs(whole)))


@pytest.mark.parametrize("row", [[NAN] * 5, [NAN, -1.0, NAN, NAN, NAN]])
def test_nothing_follows_from_fewer_than_two_levels(row):
    rows = np.array([row])
    assert np.isnan(logit_expectation(rows)).all()
    assert np.isnan(level_confidence(rows)).all()


def test_calibration_takes_off_what_is_said_without_looking():
    blank = np.array([[-1.0, -2.0, -3.0, -4.0, -5.0], [-3.0, -2.0, -1.0, -4.0, -5.0]])
    same = calibrated_logprobs(blank.mean(axis=0, keepdims=True), blank)
    assert level_probs(same) == pytest.approx(np.full((1, 5), 0.2))


@given(LETTERS, LETTERS)
def test_the_mean_of_both_orders_is_never_surer_than_their_logits(ab, ba):
    logits, mean = preference_prob(ab, ba), preference_prob_mean(ab, ba)
    one, other = preference_prob(ab, ab[:, ::-1]), preference_prob(ba[:, ::-1], ba)
    assert mean == pytest.approx((one + other) / 2)
    # By the addition theorems of tanh: 2 cosh x cosh y >= cosh(x + y) + 1.
    assert np.all(np.abs(mean - 0.5) <= np.abs(logits - 0.5) + 1e-12)
    assert np.all((mean - 0.5) * (logits - 0.5) >= -1e-12)


def test_a_preference_is_implied_by_the_distance_of_two_levels():
    difference, variance = np.array([0.0, 1.0, -1.0, 2.0, 0.0, -1.0]), np.array([1, 1, 1, 4, 0, 0])
    assert implied_prob(difference, variance) == pytest.approx(
        [0.5, 0.841344746, 0.158655254, 0.841344746, 0.5, 0.0]
    )
