"""The screening of BT.500, with each step written out by hand."""

import itertools
import math

import numpy as np

from data_store.mos.screening import screen

NAN = math.nan


def test_a_rating_two_deviations_away_is_far_where_the_kurtosis_is_normal():
    # Ratings 1 1 1 1 2 2 4 of one image. Mean 12 / 7 = 1.714; squared deviations
    # 4 * 0.5102 + 2 * 0.0816 + 5.2245 = 7.4286; s = sqrt(7.4286 / 6) = 1.1127;
    # m2 = 1.0612, m4 = (4 * 0.2603 + 2 * 0.0067 + 27.295) / 7 = 4.0499; m4 / m2^2 = 3.596.
    # Bound: 1.714 + 2 * 1.1127 = 3.940 <= 4. Below: 1.714 - 2.225 < 1.
    found = screen(np.array([[1.0], [1], [1], [1], [2], [2], [4]]))
    assert found.above.tolist() == [0, 0, 0, 0, 0, 0, 1]
    assert found.below.tolist() == [0] * 7
    assert found.share.tolist() == [0, 0, 0, 0, 0, 0, 1.0]
    assert found.bias[6] == 1.0
    assert not found.rejected.any()  # far above, but never far below: biased, not erratic


def test_of_other_images_it_must_lie_beyond_the_root_of_twenty_deviations():
    # Twenty ratings of 3 and one of 5: m4 / m2^2 = (n^2 - 3n + 3) / (n - 1) = 19.05 for n = 21, so
    # the bound is sqrt(20) = 4.47 deviations, and the outlier lies (n - 1) / sqrt(n) = 4.36 off.
    image = np.full((21, 1), 3.0)
    image[0] = 5
    assert screen(image).above[0] == 0
    # With n = 22 it lies 4.477 off, beyond 4.472.
    image = np.full((22, 1), 3.0)
    image[0] = 5
    assert screen(image).above[0] == 1


def test_who_is_far_off_above_and_below_alike_is_rejected():
    calm = np.array([1, 1, 1, 1, 2, 2], dtype=float)
    images = [np.append(calm, 4), 6 - np.append(calm, 4)] * 2 + [np.array([2, 3, 3, 3, 4, 3, 3.0])]
    found = screen(np.stack(images, axis=1))
    assert (found.above[6], found.below[6]) == (2, 2)
    assert found.share[6] == 4 / 5
    assert found.bias[6] == 0.0
    assert found.rejected.tolist() == [False] * 6 + [True]


def test_the_share_is_of_the_images_that_the_rater_rated():
    calm = np.array([1, 1, 1, 1, 2, 2], dtype=float)
    far = [np.append(calm, 4), 6 - np.append(calm, 4)]
    plain = np.append(np.array([2, 3, 3, 3, 4, 3], dtype=float), 3)
    unseen = np.append(plain[:6], NAN)
    seen_all = screen(np.stack([*far, *[plain] * 38], axis=1))
    seen_few = screen(np.stack([*far, *[unseen] * 38], axis=1))
    assert seen_all.share[6] == 2 / 40
    assert not seen_all.rejected[6]  # 0.05 is not above 0.05
    assert seen_few.share[6] == 1.0
    assert seen_few.rejected[6]


def test_images_on_which_all_agree_tell_nothing():
    found = screen(np.full((8, 5), 3.0))
    assert not found.above.any()
    assert not found.below.any()
    assert not found.rejected.any()


def test_with_fewer_than_seven_ratings_of_an_image_nobody_can_be_far_off():
    for count in range(1, 7):
        for ratings in itertools.combinations_with_replacement(range(1, 6), count):
            found = screen(np.array(ratings, dtype=float)[:, None])
            assert not (found.above + found.below).any(), ratings


def test_the_unit_and_the_order_do_not_matter():
    rng = np.random.default_rng(1)
    ratings = rng.integers(1, 6, (12, 40)).astype(float)
    ratings[rng.random(ratings.shape) < 0.3] = NAN
    order = rng.permutation(12)
    first, other = screen(ratings), screen(25 * ratings[order] - 25)
    assert first.above[order].tolist() == other.above.tolist()
    assert first.below[order].tolist() == other.below.tolist()
    assert (first.above + first.below).sum() > 0


def test_of_honest_raters_few_are_rejected_and_of_random_ones_most():
    rng = np.random.default_rng(2)
    honest, random = 0, 0
    for _ in range(20):
        quality = rng.uniform(1.3, 4.7, 100)
        shift = rng.normal(0, 0.3, (20, 1))
        ratings = np.clip(np.round(quality + shift + rng.normal(0, 0.7, (20, 100))), 1, 5)
        ratings[0] = rng.integers(1, 6, 100)
        found = screen(ratings)
        random += int(found.rejected[0])
        honest += int(found.rejected[1:].sum())
    assert random >= 12
    assert honest <= 4  # of 380
