import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from train.calibration.folds import folds_by_group


@given(st.lists(st.integers(0, 12), min_size=2, max_size=60), st.integers(2, 12), st.integers(0, 9))
def test_a_group_lies_in_one_fold_and_every_fold_is_used(groups, fold_count, seed):
    groups = np.array(groups)
    folds = folds_by_group(groups, fold_count=fold_count, seed=seed)
    assert np.array_equal(np.unique(folds), np.arange(folds.max() + 1))
    assert folds.max() < fold_count
    if len(np.unique(groups)) > 1:
        assert all(len(np.unique(folds[groups == group])) == 1 for group in groups)


def test_more_folds_than_groups_become_one_per_group():
    folds = folds_by_group(np.array([3, 3, 8, 8, 8, 9]), fold_count=5, seed=0)
    assert folds.max() == 2


def test_images_of_a_single_group_are_cut_by_image():
    assert np.array_equal(
        np.bincount(folds_by_group(np.zeros(10, dtype=int), fold_count=5, seed=0)), np.full(5, 2)
    )


def test_groups_of_one_image_give_folds_of_equal_size():
    assert np.ptp(np.bincount(folds_by_group(np.arange(53), fold_count=5, seed=1))) == 1


def test_another_seed_gives_other_folds_and_the_same_seed_the_same():
    first, again, other = (
        folds_by_group(np.arange(40), fold_count=5, seed=seed) for seed in (0, 0, 1)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
