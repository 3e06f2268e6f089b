import math

import pytest

from train.evaluation.label_curve import Measured, label_curves, labels_needed


def rows(method, values):
    return [
        Measured(method, fraction, seed, value)
        for fraction, given in values.items()
        for seed, value in enumerate(given)
    ]


def test_a_point_is_the_spread_over_splits_failures_counted():
    points = label_curves(rows("leaf", {0.1: [0.6, 0.8, None, math.nan], 0: [0.5]}))
    assert [point.fraction for point in points] == [0, 0.1]
    last = points[1]
    assert (last.runs, last.failed) == (2, 2)
    assert (last.median, last.mean, last.low, last.high) == pytest.approx((0.7, 0.7, 0.6, 0.8))
    assert last.sd == pytest.approx(math.sqrt(0.02))
    assert points[0].sd is None


def test_labels_needed_are_interpolated_over_their_logarithm():
    curve = {0.01: [0.75], 0.1: [0.95], 1.0: [1.0]}
    (found,) = labels_needed(label_curves(rows("leaf", curve)))
    assert found.fraction == pytest.approx(0.1)
    curve = {0.01: [0.90], 0.1: [1.0], 1.0: [1.0]}
    (found,) = labels_needed(label_curves(rows("leaf", curve)))
    assert found.fraction == pytest.approx(10**-1.5)
    assert (found.target, found.full_fraction, found.at_most) == (0.95, 1.0, False)


def test_a_curve_that_crosses_before_the_first_labels_gives_a_bound():
    points = label_curves(rows("leaf", {0: [0.8], 0.05: [0.97], 1: [1.0]}))
    assert labels_needed(points)[0][1:3] == (0.05, True)
    points = label_curves(rows("leaf", {0: [0.96], 0.05: [0.97], 1: [1.0]}))
    assert labels_needed(points)[0][1:3] == (0, False)


def test_without_all_labels_the_largest_share_stands_for_them_and_is_named():
    points = label_curves(rows("a", {0.1: [0.8], 0.3: [0.9]}) + rows("b", {0.1: [-0.1]}))
    a, b = labels_needed(points)
    assert (a.full_fraction, a.at_most) == (0.3, False)
    assert 0.1 < a.fraction < 0.3
    assert (b.fraction, b.target) == (None, None)
    assert labels_needed(label_curves(rows("c", {0.1: [None]})))[0].fraction is None
    assert labels_needed(label_curves(rows("d", {0.1: [0.7]})))[0][1:3] == (0.1, True)
