import numpy as np
import pytest
from scipy import optimize, special

from train.evaluation.logistic import fit_rising_curve
from train.evaluation.metrics import fitted_plcc


def noisy(seed, count=120):
    rng = np.random.default_rng(seed)
    scores = rng.uniform(-3, 3, count)
    return scores, special.expit(2 * scores - 1) * 0.8 + 0.1 + rng.normal(0, 0.05, count)


@pytest.mark.parametrize("parameters", [4, 5])
@pytest.mark.parametrize("slope", [1.0, 0.2, -0.5])
def test_no_curve_ever_falls(parameters, slope):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        scores = rng.random(40)
        mos = slope * scores + rng.normal(0, 0.4, 40)
        curve = fit_rising_curve(scores, mos, parameters=parameters)
        if curve is not None:
            assert (np.diff(curve(np.linspace(-1, 2, 200))) >= -1e-9).all()


def test_the_curve_is_as_near_as_scipy_finds_without_bounds():
    for seed in range(3):
        scores, mos = noisy(seed)
        free = optimize.curve_fit(
            lambda x, low, span, centre, width: low + span * special.expit((x - centre) / width),
            scores,
            mos,
            p0=[0.1, 0.8, 0.5, 0.5],
        )[0]
        best = free[0] + free[1] * special.expit((scores - free[2]) / free[3])
        curve = fit_rising_curve(scores, mos, parameters=4)
        assert ((curve(scores) - mos) ** 2).sum() <= ((best - mos) ** 2).sum() * (1 + 1e-4)
        assert curve(scores) == pytest.approx(best, abs=2e-3)


def test_a_fifth_parameter_never_makes_a_fit_worse():
    for seed in range(5):
        scores, mos = noisy(seed, count=30)
        four, five = (fit_rising_curve(scores, mos, parameters=p) for p in (4, 5))
        assert four.slope == 0 <= five.slope
        losses = [((curve(scores) - mos) ** 2).sum() for curve in (four, five)]
        assert losses[1] <= losses[0] * (1 + 1e-5)
        plccs = [fitted_plcc(scores, mos, parameters=p)[0] for p in (4, 5)]
        assert plccs[1] >= plccs[0] - 1e-6


def test_scores_in_another_unit_give_the_same_curve():
    scores, mos = noisy(1)
    plain = fit_rising_curve(scores, mos, parameters=5)
    scaled = fit_rising_curve(40 * scores + 7, mos, parameters=5)
    assert scaled(40 * scores + 7) == pytest.approx(plain(scores), abs=1e-3)


@pytest.mark.parametrize("parameters", [4, 5])
def test_what_cannot_be_fitted_is_none(parameters):
    few = np.arange(float(parameters))
    line = np.linspace(0, 1, 30)
    assert fit_rising_curve(few, few, parameters=parameters) is None
    assert fit_rising_curve(np.full(30, 2.0), line, parameters=parameters) is None
    assert fit_rising_curve(line, np.full(30, 2.0), parameters=parameters) is None
    assert fit_rising_curve(line, 1 - line, parameters=parameters) is None
    assert fit_rising_curve(np.empty(0), np.empty(0), parameters=parameters) is None
