"""Requests with one first image are neighbours, and few pairs are ever half asked."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotate.pair_order import laid_out, predicted_prefix_hits, request_order
from annotate.pair_planner import plan_along

NONE = np.empty((0, 2), dtype=np.int32)
PAIRS = st.sets(
    st.tuples(st.integers(0, 15), st.integers(0, 15)).filter(lambda pair: pair[0] < pair[1]),
    max_size=60,
).map(lambda pairs: np.array(sorted(pairs, key=hash), dtype=np.int32).reshape(-1, 2))


def on_a_line(count, per_image):
    return plan_along(np.arange(count), count * per_image // 2, answered=NONE)


@st.composite
def with_hub(draw):
    """Any pairs, and image 20 compared with most of 40 others."""
    partners = draw(st.sets(st.integers(0, 40).filter(lambda n: n != 20), min_size=20))
    hub = np.array([sorted((20, n)) for n in sorted(partners)], dtype=np.int32)
    return np.unique(np.concatenate([draw(PAIRS), hub]), axis=0)


def most_half_asked(order):
    half, most = set(), 0
    for row in order.rows.tolist():
        half ^= {row}
        most = max(most, len(half))
    assert not half
    return most


@settings(deadline=None)
@given(PAIRS | with_hub(), st.integers(1, 40))
def test_each_pair_is_asked_once_in_each_order(pairs, open_pairs):
    order = request_order(pairs, open_pairs=open_pairs)
    asked = Counter(zip(order.first.tolist(), order.second.tolist(), strict=True))
    assert asked == Counter(
        [(u, v) for u, v in pairs.tolist()] + [(v, u) for u, v in pairs.tolist()]
    )


@settings(deadline=None)
@given(PAIRS | with_hub(), st.integers(1, 40))
def test_never_more_pairs_are_half_asked_than_allowed(pairs, open_pairs):
    assert most_half_asked(request_order(pairs, open_pairs=open_pairs)) <= open_pairs


@settings(deadline=None)
@given(PAIRS)
def test_where_all_pairs_may_be_open_each_image_is_first_in_one_stretch(pairs):
    order = request_order(pairs, open_pairs=100)
    assert np.all(np.diff(order.first) >= 0)
    images = len(np.unique(pairs))
    expected = (len(order.rows) - images) / max(len(order.rows), 1)
    assert predicted_prefix_hits(order) == pytest.approx(expected)


def test_with_k_pairs_per_image_all_but_one_kth_of_the_requests_hit_the_prefix():
    order = request_order(on_a_line(2000, 5))
    assert predicted_prefix_hits(order) == pytest.approx(4 / 5, abs=0.005)
    assert most_half_asked(order) <= 14


def test_second_images_recur_within_few_others():
    order = request_order(on_a_line(500, 5))
    assert np.abs(order.first - order.second).max() <= 8
    assert np.all(np.diff(order.second)[np.diff(order.first) == 0] > 0)


def test_an_image_compared_with_all_others_is_asked_about_in_their_turns():
    others = np.arange(1, 5001)
    star = np.stack([np.zeros(5000, dtype=np.int64), others], axis=1).astype(np.int32)
    order = request_order(star)
    assert most_half_asked(order) == 1
    assert order.first[:4].tolist() == [1, 0, 2, 0]
    assert order.second[:4].tolist() == [0, 1, 0, 2]


def test_pairs_that_reach_far_cost_prefix_hits_only_where_they_are():
    pairs = on_a_line(3000, 4)
    ends = np.sort(np.random.default_rng(0).permutation(3000)[:400].reshape(-1, 2)).astype(np.int32)
    far = ends[ends[:, 1] - ends[:, 0] > 50]
    order = request_order(np.concatenate([pairs, far]), open_pairs=50)
    assert most_half_asked(order) <= 50
    near_only = predicted_prefix_hits(request_order(pairs))
    assert predicted_prefix_hits(order) > near_only - 0.1


def test_no_pairs_are_no_requests():
    order = request_order(NONE)
    assert len(order.rows) == 0
    assert predicted_prefix_hits(order) == 0


@settings(deadline=None)
@given(PAIRS)
def test_laying_out_names_each_image_once(pairs):
    assert sorted(laid_out(pairs, 16).tolist()) == list(range(16))


def test_laying_out_brings_the_images_of_a_shuffled_line_together():
    names = np.random.default_rng(0).permutation(1000)
    shuffled = names[on_a_line(1000, 5)]
    place = np.argsort(laid_out(shuffled, 1000))
    assert np.abs(np.diff(place[shuffled], axis=1)).max() <= 40


def test_the_requests_of_half_a_million_images_are_ordered_in_seconds():
    order = request_order(on_a_line(500_000, 5))
    assert len(order.rows) == pytest.approx(2_500_000, rel=0.01)
