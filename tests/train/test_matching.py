import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from train.matching import epoch_batches, random_matching

IMAGE_COUNT = 15
edges = st.sets(
    st.tuples(st.integers(0, 14), st.integers(0, 14)).filter(lambda e: e[0] < e[1]), max_size=60
).map(lambda found: np.array(sorted(found), dtype=np.int64).reshape(-1, 2))
seeds = st.integers(0, 2**32 - 1)


@given(edges, seeds)
def test_a_matching_uses_each_image_at_most_once(pairs, seed):
    matched = pairs[random_matching(pairs, IMAGE_COUNT, np.random.default_rng(seed))]
    assert len(np.unique(matched)) == matched.size


@given(edges, seeds)
def test_no_pair_could_be_added_to_a_matching(pairs, seed):
    matched = pairs[random_matching(pairs, IMAGE_COUNT, np.random.default_rng(seed))]
    assert np.isin(pairs, matched).any(axis=1).all()


@given(edges, seeds)
def test_a_matching_equals_taking_pairs_in_random_order(pairs, seed):
    place = np.random.default_rng(seed).permutation(len(pairs))
    used, greedy = set(), []
    for row in np.argsort(place):
        if not used & set(pairs[row].tolist()):
            used |= set(pairs[row].tolist())
            greedy.append(row)
    found = random_matching(pairs, IMAGE_COUNT, np.random.default_rng(seed))
    assert found.tolist() == sorted(greedy)


@given(edges, seeds, st.integers(2, 9))
def test_an_epoch_shows_every_image_once_in_batches_that_fit(pairs, seed, batch_size):
    rows = np.arange(IMAGE_COUNT)
    batches = list(_epoch(rows, pairs, batch_size, seed))
    assert sorted(np.concatenate([b.rows for b in batches]).tolist()) == rows.tolist()
    assert all(len(b.rows) <= batch_size for b in batches)
    assert all(len(b.rows) >= batch_size - 1 for b in batches[:-1])


@given(edges, seeds)
def test_positions_in_a_batch_point_at_the_images_of_their_pair(pairs, seed):
    for batch in _epoch(np.arange(IMAGE_COUNT), pairs, 6, seed):
        assert np.array_equal(batch.rows[batch.first], pairs[batch.pairs, 0])
        assert np.array_equal(batch.rows[batch.second], pairs[batch.pairs, 1])


def test_over_the_epochs_every_pair_takes_part():
    pairs = np.array([[0, 1], [1, 2], [2, 3], [3, 0], [0, 2]])
    seen = {
        pair
        for seed in range(60)
        for batch in _epoch(np.arange(4), pairs, 4, seed)
        for pair in batch.pairs.tolist()
    }
    assert seen == set(range(len(pairs)))


def _epoch(rows, pairs, batch_size, seed):
    return epoch_batches(
        rows,
        pairs,
        image_count=IMAGE_COUNT,
        batch_size=batch_size,
        rng=np.random.default_rng(seed),
    )
