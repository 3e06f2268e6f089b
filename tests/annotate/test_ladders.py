"""Ladders get worse step by step and are the same every time; tau-b is Kendall's."""

import numpy as np
import pytest
from PIL import Image
from scipy.stats import kendalltau

from annotate.ladders import STRENGTHS, as_seen, degraded, kendall_tau_b
from tests.conftest import picture


def distance(image, other):
    pixels = (np.asarray(one, dtype=np.float64) for one in (image, other))
    return float(np.abs(np.subtract(*pixels)).mean())


@pytest.mark.parametrize("kind", STRENGTHS)
def test_each_step_is_further_from_the_image(kind):
    image = picture(3, size=112)
    steps = [degraded(image, kind, severity) for severity in range(len(STRENGTHS[kind]) + 1)]
    distances = [distance(image, step) for step in steps]
    assert distances[0] == 0
    assert np.all(np.diff(distances) > 0)
    assert {step.size for step in steps} == {image.size}


@pytest.mark.parametrize("kind", STRENGTHS)
def test_a_rung_is_the_same_every_time(kind):
    image = picture(4, size=112)
    assert degraded(image, kind, 2).tobytes() == degraded(image.copy(), kind, 2).tobytes()


def test_blur_grows_with_a_large_image_so_that_it_is_seen():
    small = picture(5, size=448)
    large = small.resize((896, 896), Image.Resampling.BICUBIC)
    blurred = degraded(large, "blur", 5).resize((448, 448), Image.Resampling.BICUBIC)
    assert distance(blurred, degraded(small, "blur", 5)) < 2


def test_an_image_is_made_as_small_as_the_teacher_sees_it_and_never_larger():
    assert as_seen(picture(1, size=200), (112, 224)).size == (112, 112)
    assert as_seen(picture(1, size=48), (112, 112)).size == (48, 48)


def test_tau_b_is_that_of_scipy_on_ties_and_without():
    rng = np.random.default_rng(0)
    for _ in range(200):
        x, y = rng.integers(0, 5, (2, 6))
        if len(set(x)) > 1 < len(set(y)):
            assert kendall_tau_b(x, y) == pytest.approx(kendalltau(x, y).statistic)


def test_scores_that_do_not_differ_are_in_no_order():
    assert kendall_tau_b(range(6), [0.5] * 6) == 0
    assert kendall_tau_b([], []) == 0
