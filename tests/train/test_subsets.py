import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from train.subsets import held_out, labelled_subset

names = st.lists(st.text("abcdef", min_size=1, max_size=6), min_size=1, max_size=40)


@given(names, names, st.integers(0, 5))
def test_adding_images_moves_no_group(groups, more, seed):
    before = held_out(pa.array(groups), seed=seed, test_fraction=0.3)
    after = held_out(pa.array(groups + more), seed=seed, test_fraction=0.3)
    assert np.array_equal(before, after[: len(groups)])


@given(names, st.integers(0, 5))
def test_a_group_is_never_parted(groups, seed):
    marks = held_out(pa.array(groups * 2), seed=seed, test_fraction=0.5)
    assert np.array_equal(marks[: len(groups)], marks[len(groups) :])


def test_about_the_asked_share_of_groups_is_held_out():
    groups = pa.array([f"group {number}" for number in range(5000)])
    assert abs(held_out(groups, seed=0, test_fraction=0.2).mean() - 0.2) < 0.02


@given(st.integers(0, 200), st.floats(0.01, 1), st.floats(0.01, 1), st.integers(0, 5))
def test_a_smaller_share_of_labels_lies_within_every_larger_one(count, one, other, seed):
    ids = pa.array([f"image {number}" for number in range(count)], pa.string())
    small, large = (
        labelled_subset(np.arange(count), ids, fraction=fraction, seed=seed).tolist()
        for fraction in sorted((one, other))
    )
    assert large[: len(small)] == small
    assert len(small) == round(min(one, other) * count)


def test_another_seed_labels_other_images():
    ids = pa.array([f"image {number}" for number in range(100)])
    first, other = (
        set(labelled_subset(np.arange(100), ids, fraction=0.2, seed=seed).tolist())
        for seed in (0, 1)
    )
    assert first != other
