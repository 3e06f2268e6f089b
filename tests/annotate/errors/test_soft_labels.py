"""Soft labels keep the opinion as their mean, by one of three ways."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from annotate.errors.soft_labels import OFF, soft_labels, two_levels

LEVELS = np.arange(1, 6)


def soft(mos, std):
    """Of one opinion and deviation on [1, 5]."""
    return soft_labels(np.array([(mos - 1) / 4]), np.array([std / 4]))[0]


def test_a_mos_of_3_4_becomes_a_distribution_of_that_mean():
    label = soft(3.4, 0.7)
    assert label.sum() == pytest.approx(1)
    assert label @ LEVELS == pytest.approx(3.4)
    assert (label > 0).all()
    assert np.argmax(label) == 2


def test_a_middling_opinion_keeps_the_shape_of_the_normal_distribution():
    label = soft(3.0, 0.8)
    edges = stats.norm.cdf(np.arange(0.5, 6), 3.0, 0.8)
    mass = np.diff(edges)
    assert label == pytest.approx(mass + (1 - mass.sum()) / 5)


@pytest.mark.parametrize("std", [0.1, np.nan])
def test_narrow_or_unknown_ratings_fall_to_the_two_levels_beside_the_opinion(std):
    assert soft(3.4, std) == pytest.approx([0, 0, 0.6, 0.4, 0])


def test_an_opinion_whose_distribution_cannot_keep_its_mean_falls_to_two_levels_too():
    # Wide ratings of a nearly perfect image: the levels end before the distribution does.
    assert soft(4.9, 3.0) == pytest.approx([0, 0, 0, 0.1, 0.9])


@given(mos=st.floats(1, 5), std=st.floats(0, 4))
def test_every_soft_label_is_a_distribution_whose_mean_is_near_the_opinion(mos, std):
    label = soft(mos, std)
    assert label.min() >= 0
    assert label.sum() == pytest.approx(1)
    assert abs(label @ LEVELS - mos) <= OFF + 1e-9


@given(mos=st.floats(0, 1))
def test_two_levels_have_the_opinion_as_their_mean_to_the_last(mos):
    label = two_levels(np.array([mos]))[0]
    assert (label > 0).sum() <= 2
    assert label @ LEVELS == pytest.approx(1 + 4 * mos)
