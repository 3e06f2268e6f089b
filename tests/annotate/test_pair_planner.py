"""Pairs are chosen once, exactly as many as asked, join all images and lie along a line."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from annotate.pair_doubt import BAND_PAIRS, PointAnswers, certainty
from annotate.pair_line import chain
from annotate.pair_planner import part_of, plan_along, plan_listed, plan_uncertain, possible_pairs
from schemas.errors import PairBudgetError

NONE = np.empty((0, 2), dtype=np.int32)
GROUPS = st.lists(st.integers(0, 6), min_size=2, max_size=30).map(np.array)


def points_of(count):
    """Scores of a line; a few are equal, and a few answers are certain."""
    rng = np.random.default_rng(count)
    scores = np.sort(rng.integers(0, count, count) / count)
    return PointAnswers(scores, rng.choice([0.0, 0.01, 0.04], count))


def random_line(groups, wanted, answered):
    return plan_along(groups, wanted, answered=answered)


def near(groups, wanted, answered):
    return plan_along(groups, wanted, answered=answered, first_offsets=())


def uncertain(groups, wanted, answered):
    return plan_uncertain(groups, points_of(len(groups)), wanted, answered=answered)


PLANS = pytest.mark.parametrize("plan", [random_line, near, uncertain])


def as_set(pairs):
    return {tuple(pair) for pair in pairs.tolist()}


def components(pairs, count):
    graph = coo_array((np.ones(len(pairs)), tuple(pairs.T)), shape=(count, count))
    return connected_components(graph, directed=False)[0]


@PLANS
@settings(deadline=None)
@given(groups=GROUPS, data=st.data())
def test_a_plan_has_exactly_the_pairs_asked_for_and_none_twice(plan, groups, data):
    wanted = data.draw(st.integers(0, possible_pairs(groups)))
    pairs = plan(groups, wanted, NONE)
    assert len(pairs) == len(as_set(pairs)) == wanted
    assert all(u < v and groups[u] != groups[v] for u, v in pairs.tolist())


@PLANS
@settings(deadline=None)
@given(groups=GROUPS, data=st.data())
def test_a_run_cut_short_anywhere_and_resumed_has_the_pairs_of_an_unbroken_one(plan, groups, data):
    wanted = data.draw(st.integers(0, possible_pairs(groups)))
    whole = plan(groups, wanted, NONE)
    shuffled = np.array(data.draw(st.permutations(range(wanted))), dtype=np.int64)
    done = whole[shuffled[: data.draw(st.integers(0, wanted))]]
    rest = plan(groups, wanted, done)
    assert as_set(done) | as_set(rest) == as_set(whole)
    assert not as_set(done) & as_set(rest)


@PLANS
@settings(deadline=None)
@given(groups=GROUPS, data=st.data())
def test_a_larger_budget_holds_the_smaller_one(plan, groups, data):
    large = data.draw(st.integers(0, possible_pairs(groups)))
    small = data.draw(st.integers(0, large))
    assert as_set(plan(groups, small, NONE)) <= as_set(plan(groups, large, NONE))


@PLANS
@settings(deadline=None)
@given(groups=GROUPS)
def test_one_pair_less_than_images_joins_them_all_if_there_are_two_groups(plan, groups):
    wanted = min(len(groups) - 1, possible_pairs(groups))
    pairs = plan(groups, wanted, NONE)
    assert wanted == 0 or components(pairs, len(groups)) == 1


@PLANS
@settings(deadline=None)
@given(groups=GROUPS, data=st.data())
def test_pairs_answered_for_another_reason_count_and_are_not_asked_again(plan, groups, data):
    every = plan(groups, possible_pairs(groups), NONE)
    known = data.draw(st.permutations(range(len(every)))) if len(every) else []
    answered = every[np.array(known[: len(known) // 3], dtype=np.int64)]
    wanted = data.draw(st.integers(len(answered), len(every)))
    pairs = plan(groups, wanted, answered)
    assert len(as_set(pairs)) == wanted - len(answered)
    assert not as_set(pairs) & as_set(answered)


@PLANS
def test_a_budget_that_is_met_asks_nothing(plan):
    answered = np.array([[0, 1], [2, 3]], dtype=np.int32)
    assert len(plan(np.arange(4), 2, answered)) == len(plan(np.arange(4), 1, answered)) == 0


@PLANS
def test_more_pairs_than_possible_are_refused_with_the_number(plan):
    with pytest.raises(PairBudgetError, match="4 images in 2 groups form 3"):
        plan(np.array([0, 0, 0, 1]), 4, NONE)


def test_pairs_within_a_group_that_were_once_allowed_stay_paid_for():
    groups, answered = np.array([0, 0, 0, 1]), np.array([[0, 1]], dtype=np.int32)
    assert len(plan_along(groups, 4, answered=answered)) == 3
    with pytest.raises(PairBudgetError, match="form 4"):
        plan_along(groups, 5, answered=answered)


@pytest.mark.parametrize("matchings", [1, 2, 3, 4, 5, 10])
def test_k_matchings_give_each_image_about_k_pairs(matchings):
    pairs = plan_along(np.arange(1000), 500 * matchings, answered=NONE)
    counts = np.bincount(pairs.ravel(), minlength=1000)
    assert np.median(counts) == matchings
    assert np.mean(np.abs(counts - matchings) <= 1) > 0.95


def test_five_pairs_per_image_stay_within_eight_places():
    pairs = plan_along(np.arange(1000), 2480, answered=NONE)
    assert np.diff(pairs, axis=1).max() <= 8


def test_a_part_of_a_matching_is_taken_from_all_over_the_line():
    pairs = plan_along(np.arange(1000), 999 + 100, answered=NONE)[999:]
    assert np.histogram(pairs[:, 0], bins=10, range=(0, 1000))[0].min() >= 8


def test_near_pairs_are_the_closest_in_rank():
    gaps = np.diff(near(np.arange(100), 99 + 98 + 97, NONE), axis=1)
    assert np.bincount(gaps.ravel()).tolist() == [0, 99, 98, 97]


def test_after_the_neighbours_the_least_certain_pairs_come_first():
    points = points_of(60)
    pairs = plan_uncertain(np.arange(60), points, 400, answered=NONE).astype(np.int64)
    chosen = certainty(points, *pairs[59:].T)
    assert np.all(np.diff(chosen) >= 0)
    every = np.stack(np.triu_indices(60, k=2), axis=1)
    others = np.array(sorted(as_set(every) - as_set(pairs)))
    assert certainty(points, *others.T).min() >= chosen.max()


def test_implied_preference_is_one_half_where_scores_are_equal():
    points = PointAnswers(np.array([0.1, 0.5, 0.5, 0.9]), np.array([0.09, 0.0, 0.0, 0.16]))
    assert certainty(points, np.array([1, 0]), np.array([2, 3])).tolist() == pytest.approx([0, 1.6])


def test_each_image_has_a_neighbour_although_all_of_its_group_stand_together():
    even, odd = chain(np.array([0, 0, 1, 2, 2]))
    assert even.tolist() == [[0, 2], [2, 3], [2, 4]]
    assert odd.tolist() == [[1, 2]]


@settings(deadline=None)
@given(st.data())
def test_the_first_pairs_of_a_list_are_asked_about_if_they_are_not_answered(data):
    every = np.stack(np.triu_indices(8, k=1), axis=1).astype(np.int32)
    listed = every[data.draw(st.permutations(range(len(every))))][: data.draw(st.integers(0, 28))]
    answered = every[:: data.draw(st.integers(1, 9))]
    wanted = data.draw(st.none() | st.integers(0, len(listed)))
    todo, done = plan_listed(listed, wanted, answered=answered)
    new = [tuple(pair) for pair in listed.tolist() if tuple(pair) not in as_set(answered)]
    assert done == len(listed) - len(new)
    asked = len(new) if wanted is None else max(wanted - done, 0)
    assert [tuple(pair) for pair in todo.tolist()] == new[:asked]


def test_a_list_shorter_than_the_budget_is_refused_with_its_length():
    with pytest.raises(PairBudgetError, match="lists 2 different"):
        plan_listed(np.array([[0, 1], [1, 2]], dtype=np.int32), 3, answered=NONE)


@settings(deadline=None)
@given(st.integers(2, 60), st.integers(1, 5), st.data())
def test_parts_are_disjoint_and_whole_also_when_one_worker_starts_later(count, parts, data):
    keys = np.sort(np.random.default_rng(count).random(count))
    wanted = data.draw(st.integers(0, count * (count - 1) // 2))
    whole = plan_along(np.arange(count), wanted, answered=NONE)
    asked: set = set()
    answered = NONE
    for part in data.draw(st.permutations(range(parts))):
        todo = plan_along(np.arange(count), wanted, answered=answered)
        mine = part_of(todo, keys, part=part, parts=parts)
        assert not asked & as_set(mine)
        asked |= as_set(mine)
        answered = np.concatenate([answered, mine[: len(mine) // 2]])
    assert asked == as_set(whole)


def test_five_pairs_of_each_of_a_million_images_are_planned_in_seconds():
    wanted = 2_500_000
    pairs = plan_along(np.arange(1_000_000), wanted, answered=NONE)
    rest = plan_along(np.arange(1_000_000), wanted, answered=pairs[::2])
    assert (len(pairs), len(rest)) == (wanted, wanted // 2)


def test_uncertain_pairs_of_many_images_need_no_list_of_all():
    count = 100_000
    assert BAND_PAIRS // count < count // 10
    assert len(plan_uncertain(np.arange(count), points_of(count), 5 * count, answered=NONE)) == (
        5 * count
    )
