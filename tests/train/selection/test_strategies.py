"""Which images are chosen, on drawn arrays."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import InputError, NotEnoughData
from train.selection.pool import Pool
from train.selection.strategies import NEED_FEATURES, STRATEGIES, choose, rank_pool
from train.selection.uncertainty import SIGNALS, rank_share, uncertainty


def drawn_pool(count: int, seed: int = 0, *, groups: int | None = None) -> Pool:
    rng = np.random.default_rng(seed)
    return Pool(
        group=rng.integers(groups, size=count) if groups else np.arange(count),
        teacher_score=rng.random(count),
        confidence=rng.random(count),
        inconsistency=rng.random(count),
        student_score=rng.normal(size=count),
        features=rng.normal(size=(count, 5)).astype(np.float32),
    )


@pytest.mark.parametrize("strategy", STRATEGIES)
@settings(max_examples=20)
@given(
    count=st.integers(1, 30),
    groups=st.integers(1, 9),
    seed=st.integers(0, 9),
    labelled=st.integers(0, 9),
)
def test_a_smaller_budget_is_the_beginning_of_a_larger_one(strategy, count, groups, seed, labelled):
    size = count + labelled
    pool = dataclasses.replace(
        drawn_pool(size, seed, groups=groups),
        labelled=np.random.default_rng(seed).permutation(size) < labelled,
    )
    whole = choose(strategy, pool, count, seed=seed)
    assert sorted(whole) == pool.candidates().tolist()
    for budget in {1, (count + 1) // 2, count}:
        assert choose(strategy, pool, budget, seed=seed).tolist() == whole[:budget].tolist()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_same_seed_gives_the_same_choice(strategy):
    pool = drawn_pool(50)
    assert np.array_equal(choose(strategy, pool, 20, seed=3), choose(strategy, pool, 20, seed=3))


@pytest.mark.parametrize("strategy", ["random", "stratified"])
def test_another_seed_gives_another_choice(strategy):
    pool = drawn_pool(50)
    assert set(choose(strategy, pool, 20, seed=3)) != set(choose(strategy, pool, 20, seed=4))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_no_group_gives_a_second_image_before_all_gave_one(strategy):
    pool = drawn_pool(60, groups=12)
    order = choose(strategy, pool, 60, seed=0)
    count = len(np.unique(pool.group))
    assert len(set(pool.group[order[:count]])) == count


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_group_with_a_labelled_image_comes_after_those_without(strategy):
    pool = dataclasses.replace(
        drawn_pool(6), group=np.array([0, 0, 1, 1, 2, 2]), labelled=np.arange(6) == 0
    )
    assert set(pool.group[choose(strategy, pool, 2, seed=0)]) == {1, 2}


def test_stratified_takes_one_of_each_stratum():
    pool = drawn_pool(64)
    rank = np.argsort(np.argsort(pool.teacher_score))
    order = choose("stratified", pool, 64, seed=5)
    for count in (2, 4, 8, 16, 32):
        assert sorted(rank[order[:count]] * count // 64) == list(range(count))


@given(count=st.integers(2, 200), share=st.floats(0.05, 1), seed=st.integers(0, 99))
def test_stratified_is_even_for_every_number_of_images(count, share, seed):
    pool = drawn_pool(count, seed)
    order = choose("stratified", pool, max(1, int(share * count)), seed=seed)
    below = np.argsort(np.argsort(pool.teacher_score))[order] < count / 2
    assert abs(2 * int(below.sum()) - len(order)) <= 2


def test_images_without_a_score_come_last_where_scores_decide():
    pool = drawn_pool(20)
    pool.teacher_score[:5] = np.nan
    assert set(choose("stratified", pool, 15, seed=0)) == set(range(5, 20))


def test_k_centre_reaches_every_cluster_before_it_comes_back():
    rng = np.random.default_rng(0)
    centres = 20.0 * rng.normal(size=(8, 4))
    cluster = np.repeat(np.arange(8), 10)
    features = (centres[cluster] + rng.normal(size=(80, 4))).astype(np.float32)
    for strategy in ("k_centre", "coverage", "design"):
        chosen = choose(strategy, Pool(np.arange(80), features=features), 8, seed=1)
        least = 8 if strategy != "design" else 4  # a linear head has 4 directions to learn
        assert len(set(cluster[chosen])) >= least


def test_k_centre_distances_never_grow_and_are_those_of_the_definition():
    pool = drawn_pool(40)
    order, distance = rank_pool("k_centre", pool, 20, seed=2)
    scaled = (pool.features - pool.features.mean(axis=0)) / pool.features.std(axis=0)
    for step in range(1, 20):
        apart = np.linalg.norm(scaled[order[step]] - scaled[order[:step]], axis=1).min()
        assert distance[step] == pytest.approx(apart, rel=1e-4)
    assert (np.diff(distance[1:]) <= 1e-5).all()


@pytest.mark.parametrize("strategy", sorted(NEED_FEATURES - {"diverse_uncertain"}))
def test_the_like_of_a_labelled_image_is_not_chosen_first(strategy):
    features = np.array([[0, 0], [0.01, 0], [5, 5], [5.1, 5]], dtype=np.float32)
    pool = Pool(np.arange(4), labelled=np.arange(4) == 0, features=features)
    assert choose(strategy, pool, 1, seed=0)[0] in {2, 3}


def test_design_gains_are_what_a_label_takes_off_the_variance_of_ridge():
    pool = drawn_pool(30)
    order, gain = rank_pool("design", pool, 6, seed=0)
    scaled = (pool.features - pool.features.mean(axis=0)) / pool.features.std(axis=0)
    prior = scaled @ scaled.T / np.einsum("nd,nd->n", scaled, scaled).mean()
    left = [np.trace(prior)]
    for step in range(6):
        known = order[: step + 1]
        inner = prior[np.ix_(known, known)] + 0.1 * np.eye(step + 1)
        explained = prior[:, known] @ np.linalg.solve(inner, prior[known])
        left.append(np.trace(prior - explained))
    assert gain == pytest.approx(-np.diff(left) / left[0], rel=1e-3)
    assert (np.diff(gain) <= 1e-6).all()


def test_a_sample_of_references_stands_for_a_large_pool(monkeypatch):
    pool = drawn_pool(300)
    monkeypatch.setattr("train.selection.strategies.MOST_REFERENCES", 40)
    for strategy in ("coverage", "design"):
        assert len(set(choose(strategy, pool, 10, seed=0))) == 10


def test_uncertainty_takes_what_the_teacher_is_least_sure_of():
    pool = drawn_pool(30)
    order, score = rank_pool("uncertainty", pool, 5, seed=0)
    assert order.tolist() == np.argsort(pool.confidence)[:5].tolist()
    assert score == pytest.approx(1 - pool.confidence[order])


def test_disagreement_is_of_ranks_so_that_scales_do_not_matter():
    pool = drawn_pool(30)
    stretched = dataclasses.replace(pool, student_score=np.exp(3 * pool.student_score))
    found = uncertainty(pool, "disagreement")
    assert found == pytest.approx(uncertainty(stretched, "disagreement"))
    agreed = dataclasses.replace(pool, student_score=2 * pool.teacher_score)
    assert uncertainty(agreed, "disagreement").max() == 0


def test_diverse_and_uncertain_passes_over_the_like_of_what_it_took():
    features = np.array([[0, 0], [0.01, 0], [5, 5], [9, 0]], dtype=np.float32)
    confidence = np.array([0.0, 0.01, 0.3, 0.9])
    pool = Pool(np.arange(4), features=features, confidence=confidence)
    assert choose("diverse_uncertain", pool, 2, seed=0).tolist() == [0, 2]
    assert choose("uncertainty", pool, 2, seed=0).tolist() == [0, 1]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30))
def test_rank_shares_lie_in_the_unit_interval_and_rise_with_the_values(values):
    share = rank_share(np.array(values))
    assert ((share >= 0) & (share <= 1)).all()
    assert (np.diff(share[np.argsort(values, kind="stable")]) >= 0).all()


@pytest.mark.parametrize("strategy", [s for s in STRATEGIES if s != "random"])
def test_what_a_strategy_lacks_is_named(strategy):
    with pytest.raises(NotEnoughData, match=r"fix: .*(annotate|--run)"):
        choose(strategy, Pool(np.arange(9)), 3, seed=0)


@pytest.mark.parametrize("signal", SIGNALS)
def test_a_signal_that_is_known_of_nothing_is_named(signal):
    with pytest.raises(NotEnoughData, match=signal):
        choose("uncertainty", Pool(np.arange(9)), 3, seed=0, signal=signal)


@pytest.mark.parametrize("count", [0, 10])
def test_more_images_than_there_are_cannot_be_chosen(count):
    with pytest.raises(InputError, match="cannot be chosen from 9"):
        choose("random", Pool(np.arange(9)), count, seed=0)


@pytest.mark.parametrize("strategy", sorted(NEED_FEATURES))
def test_constant_features_and_copies_are_no_obstacle(strategy):
    pool = dataclasses.replace(drawn_pool(12), features=np.ones((12, 3), dtype=np.float32))
    assert len(set(choose(strategy, pool, 12, seed=0))) == 12
