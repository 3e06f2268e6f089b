"""The rating scale's arithmetic, against numbers worked out by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from schemas.errors import RowRefused
from schemas.scale import confidence, level_probs, logit_expectation, preference_prob, unit_score

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
