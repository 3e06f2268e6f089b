"""Temperatures of SIMULATED teachers, whose true ones are known because they were put in."""

import numpy as np
import pytest
from scipy.special import expit

from train.teacher_temperature import MIN_PAIRS, TEMPERATURE_RANGE, fit_teacher_temperature


def simulated_orders(temperature, *, bias=0.0, count=20_000, seed=0):
    """Answers that come back the other way round as often as they say, but `temperature` times.

    A teacher sure by x logits prefers the same image again with the probability sigmoid(x), which
    is what it would say if it knew itself; it says `temperature` times x.
    """
    rng = np.random.default_rng(seed)
    sure = rng.exponential(1.5, count)
    first = rng.choice([-1.0, 1.0], count)
    again = np.where(rng.random(count) < expit(sure), first, -first)
    return temperature * first * sure + bias, temperature * again * sure - bias


@pytest.mark.parametrize("bias", [0.0, -3.0])
@pytest.mark.parametrize("temperature", [1.5, 3.0, 6.0])
def test_the_factor_by_which_a_teacher_overstates_is_found(temperature, bias):
    ab, ba = simulated_orders(temperature, bias=bias)
    assert fit_teacher_temperature(ab, ba) == pytest.approx(temperature, rel=0.06)


def test_with_the_temperature_a_teacher_agrees_with_itself_as_often_as_it_says():
    # A percept, and noise of each asking that the teacher knows nothing of.
    rng = np.random.default_rng(1)
    percept = 6 * rng.standard_normal(40_000)
    ab, ba = (percept + 6 * rng.standard_normal(len(percept)) for _ in range(2))
    temperature = fit_teacher_temperature(ab, ba)
    assert temperature > 3
    for least, most in ((0.5, 0.6), (0.6, 0.7), (0.7, 0.8), (0.8, 0.9), (0.9, 1.0)):
        said = expit(np.abs(ab) / temperature)
        here = (said >= least) & (said < most)
        agreed = np.mean(np.sign(ab[here]) == np.sign(ba[here]))
        assert agreed == pytest.approx(said[here].mean(), abs=0.04)
        assert said[here].mean() < expit(np.abs(ab[here])).mean() - 0.02


def test_a_liking_for_the_first_place_that_changes_from_pair_to_pair_counts():
    rng = np.random.default_rng(2)
    percept, liking = rng.standard_normal((2, 5_000)) * [[2.0], [4.0]]
    steady = fit_teacher_temperature(percept + 4.0, percept - 4.0)
    fickle = fit_teacher_temperature(percept + liking, percept - liking)
    assert steady == 1
    assert fickle > 2


def test_a_teacher_that_never_contradicts_itself_is_taken_at_its_word():
    logits = np.random.default_rng(3).normal(0, 0.1, 100)
    assert fit_teacher_temperature(logits, logits) == TEMPERATURE_RANGE[0] == 1


def test_orders_that_agree_by_chance_alone_give_the_highest_temperature():
    logits = np.random.default_rng(4).normal(0, 3, 1000)
    assert fit_teacher_temperature(logits, -logits) == TEMPERATURE_RANGE[1]


def test_pairs_asked_in_one_order_and_a_handful_of_pairs_say_nothing():
    ab, ba = simulated_orders(5.0, count=MIN_PAIRS - 1)
    assert fit_teacher_temperature(ab, ba) == 1
    ab, ba = simulated_orders(5.0, count=500)
    assert fit_teacher_temperature(ab, np.full(500, np.nan)) == 1
    unanswered = np.full(200, np.nan)
    with_gaps = [np.concatenate(both) for both in ((ab, unanswered), (ba, unanswered + 1))]
    assert fit_teacher_temperature(*with_gaps) == fit_teacher_temperature(ab, ba)


def test_answers_without_a_doubt_do_not_outweigh_all_others():
    ab, ba = simulated_orders(3.0)
    ab[:20], ba[:20] = 1e4, 1e4
    assert fit_teacher_temperature(ab, ba) == pytest.approx(3.0, rel=0.1)
