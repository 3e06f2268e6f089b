"""Figures of agreement against arithmetic written out by hand and against published examples."""

import math

import numpy as np
import pytest

from data_store.mos.rater_agreement import (
    agreement,
    intraclass,
    krippendorff_alpha,
    opinion,
    rater_figures,
)

NAN = math.nan

# Shrout and Fleiss 1979, the example of four judges and six targets; a row is a judge.
JUDGES = np.array(
    [[9, 6, 8, 7, 10, 6], [2, 1, 4, 1, 5, 2], [5, 3, 6, 2, 6, 4], [8, 2, 8, 6, 9, 7]], dtype=float
)
# Krippendorff 2011, the reliability data of four observers and twelve units, with gaps.
OBSERVERS = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
        [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
    ]
)


def test_an_opinion_is_mean_sample_deviation_and_number_of_the_ratings_there_are():
    found = opinion(np.array([[1, 4, NAN, 2], [3, NAN, NAN, 2], [5, 4, NAN, NAN]]))
    assert found.mean[:2].tolist() == [3.0, 4.0]
    assert found.std[0] == 2.0  # sqrt((4 + 0 + 4) / (3 - 1))
    assert found.std[1] == 0.0
    assert np.isnan(found.mean[2])
    assert found.rating_count.tolist() == [3, 2, 0, 2]
    assert np.isnan(opinion(np.array([[3.0]])).std[0])  # one rating has no deviation


def test_a_rater_is_compared_with_the_others_and_not_with_a_mean_that_holds_them():
    ratings = np.array([[1, 2, 3, NAN], [2, 3, 4, 5], [4, 5, 3, NAN]])
    found = rater_figures(ratings)
    assert found.image_count.tolist() == [3, 4, 3]
    assert found.mean.tolist() == [2.0, 3.5, 4.0]
    # Others of the first rater: 3, 4, 3.5. The fourth image was rated by the second alone.
    assert found.shift[0] == pytest.approx(((1 - 3) + (2 - 4) + (3 - 3.5)) / 3)
    assert found.shift[1] == pytest.approx(((2 - 2.5) + (3 - 3.5) + (4 - 3)) / 3)
    # Ranks of the first: 1, 2, 3; of the others: 1, 3, 2. 1 - 6 * (0 + 1 + 1) / (3 * 8) = 0.5
    assert found.srcc[0] == pytest.approx(0.5)


def test_a_rater_whom_nobody_shares_an_image_with_has_no_figures():
    found = rater_figures(np.array([[1, 2, NAN], [NAN, NAN, 3]]))
    assert np.isnan(found.shift).all()
    assert np.isnan(found.srcc).all()


def test_alpha_is_that_of_the_published_example():
    assert krippendorff_alpha(OBSERVERS) == pytest.approx(0.849, abs=5e-4)


def test_alpha_by_hand():
    # Images (1, 2) and (4, 4). Observed: 2 (2 - 1)^2 / (2 - 1) over 4 values = 0.5.
    # Expected: squared differences of the 12 ordered pairs of 1, 2, 4, 4, over 4 * 3:
    # 2 * (1 + 9 + 9 + 4 + 4 + 0) / 12 = 4.5.
    assert krippendorff_alpha(np.array([[1, 4, 3], [2, 4, NAN]])) == pytest.approx(1 - 0.5 / 4.5)


@pytest.mark.parametrize("ratings", [[[1, NAN], [NAN, 2]], [[3, 3], [3, 3]], [[1, 2, 3]]])
def test_alpha_is_undefined_where_nothing_can_disagree(ratings):
    assert np.isnan(krippendorff_alpha(np.array(ratings, dtype=float)))


def test_intraclass_correlations_are_those_of_the_published_example():
    single, mean = intraclass(JUDGES)
    assert (round(single, 2), round(mean, 2)) == (0.29, 0.62)


def test_intraclass_correlations_need_every_rating():
    assert all(np.isnan(intraclass(OBSERVERS)))
    assert all(np.isnan(intraclass(JUDGES[:1])))
    assert all(np.isnan(intraclass(np.full((3, 4), 2.0))))


def test_what_is_undefined_is_none_and_not_a_number():
    assert agreement(np.array([[1.0, 2.0]])) == (None, None, None, None)
    found = agreement(OBSERVERS)
    # Eight of the twelve images were rated by all.
    assert (found.icc_single, found.icc_mean) == intraclass(OBSERVERS[:, [1, 2, 3, 4, 5, 6, 7, 8]])
    assert found.mean_std == pytest.approx(np.nanmean(np.nanstd(OBSERVERS[:, :11], axis=0, ddof=1)))


def test_alpha_does_not_depend_on_the_order_of_raters_images_or_the_unit():
    rng = np.random.default_rng(0)
    shuffled = OBSERVERS[rng.permutation(4)][:, rng.permutation(12)] * 25 - 25
    assert krippendorff_alpha(shuffled) == pytest.approx(krippendorff_alpha(OBSERVERS))
