"""Pairs are chosen once, exactly as many as asked, and a larger plan holds the smaller."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotate.pair_planner import for_prefix_cache, plan_pairs, possible_pairs
from schemas.errors import PairBudgetError

NONE = np.empty((0, 2), dtype=np.int64)
GROUPS = st.lists(st.integers(0, 6), min_size=2, max_size=30).map(np.array)


def as_set(pairs):
    return {tuple(pair) for pair in pairs.tolist()}


@settings(deadline=None)
@given(GROUPS, st.integers(0, 5), st.data())
def test_a_plan_has_exactly_the_pairs_asked_for_and_none_twice(groups, seed, data):
    wanted = data.draw(st.integers(0, possible_pairs(groups)))
    pairs = plan_pairs(groups, wanted, seed=seed, answered=NONE)
    assert len(pairs) == len(as_set(pairs)) == wanted
    assert all(a < b and groups[a] != groups[b] for a, b in pairs.tolist())


@settings(deadline=None)
@given(GROUPS, st.data())
def test_a_run_cut_short_anywhere_and_resumed_has_the_pairs_of_an_unbroken_one(groups, data):
    wanted = data.draw(st.integers(0, possible_pairs(groups)))
    whole = plan_pairs(groups, wanted, seed=0, answered=NONE)
    order = np.argsort(whole[:, 0], kind="stable") if wanted else []
    done = np.sort(whole, axis=1)[order][: data.draw(st.integers(0, wanted))]
    rest = plan_pairs(groups, wanted, seed=0, answered=done.reshape(-1, 2))
    assert as_set(done) | as_set(rest) == as_set(whole)
    assert not as_set(done) & as_set(rest)


def test_a_larger_budget_holds_the_smaller_one():
    groups = np.arange(50)
    small = plan_pairs(groups, 100, seed=1, answered=NONE)
    large = plan_pairs(groups, 400, seed=1, answered=NONE)
    assert as_set(small) <= as_set(large)


def test_after_k_rounds_every_image_is_in_about_k_pairs():
    pairs = plan_pairs(np.arange(1000), 2500, seed=0, answered=NONE)
    counts = np.bincount(pairs.ravel(), minlength=1000)
    assert counts.min() >= 4
    assert counts.max() <= 6


def test_another_seed_gives_other_pairs():
    plans = [plan_pairs(np.arange(100), 50, seed=s, answered=NONE) for s in (0, 1)]
    assert as_set(plans[0]) != as_set(plans[1])


def test_more_pairs_than_possible_are_refused_with_the_number():
    with pytest.raises(PairBudgetError, match="4 images in 2 groups form 3"):
        plan_pairs(np.array([0, 0, 0, 1]), 4, seed=0, answered=NONE)


def test_pairs_answered_already_count_towards_the_budget():
    answered = np.array([[0, 1], [2, 3]])
    pairs = plan_pairs(np.arange(4), 6, seed=0, answered=answered)
    assert as_set(pairs) | as_set(answered) == {(a, b) for a in range(4) for b in range(a + 1, 4)}
    assert len(plan_pairs(np.arange(4), 2, seed=0, answered=answered)) == 0


def test_sorting_for_the_cache_keeps_the_pairs_and_repeats_the_first_image():
    pairs = plan_pairs(np.arange(40), 100, seed=0, answered=NONE)
    ordered = for_prefix_cache(pairs)
    assert as_set(ordered) == as_set(pairs)
    assert np.all(np.diff(ordered[:, 0]) >= 0)


def test_a_million_pairs_of_a_hundred_thousand_images_are_planned_in_seconds():
    pairs = plan_pairs(np.arange(100_000), 500_000, seed=0, answered=NONE)
    assert len(pairs) == 500_000
