import numpy as np
import pytest

from train.calibration.conformal import half_width
from train.calibration.rungs import Seen, fit_closed_form


def test_the_half_width_is_the_order_statistic_of_the_definition():
    residuals = np.array([0.3, -0.1, 0.2, -0.5, 0.4, 0.6, -0.7, 0.8, 0.9])
    assert half_width(residuals, coverage=0.9) == pytest.approx(0.9)  # ceil(10 * 0.9) = 9
    assert half_width(residuals, coverage=0.8) == pytest.approx(0.8)
    assert half_width(residuals, coverage=0.75) == pytest.approx(0.8)


def test_too_few_errors_for_the_coverage_give_no_interval():
    assert half_width(np.zeros(8), coverage=0.9) is None
    assert half_width(np.zeros(9), coverage=0.9) == 0.0
    assert half_width(np.zeros(0), coverage=0.5) is None


@pytest.mark.parametrize("count", [9, 20, 200])
def test_errors_of_a_fixed_predictor_cover_what_was_asked_for(count):
    rng = np.random.default_rng(0)
    covered = [
        np.mean(
            np.fabs(rng.standard_t(3, 200)) <= half_width(rng.standard_t(3, count), coverage=0.9)
        )
        for _ in range(400)
    ]
    # Exactly ceil(0.9 (n + 1)) / (n + 1) on average; 400 draws leave an error of about 0.01.
    expected = np.ceil(0.9 * (count + 1)) / (count + 1)
    assert np.mean(covered) == pytest.approx(expected, abs=0.015)


@pytest.mark.parametrize("rung", ["shift_and_scale", "residual"])
def test_errors_out_of_fold_cover_nearly_what_was_asked_for(rung):
    rng = np.random.default_rng(1)
    covered = []
    for _ in range(100):
        features = rng.standard_normal((1000, 20))
        scores = features[:, 0] + rng.standard_normal(1000)
        seen = Seen(features, scores, 0.5 + 0.1 * features[:, 0] + 0.1 * rng.standard_normal(1000))
        labelled, rest = seen.of(np.arange(40)), seen.of(np.arange(40, 1000))
        errors = np.zeros(40)
        for fold in range(5):
            held = np.arange(40) % 5 == fold
            fitted = fit_closed_form(rung, labelled.of(~held))
            errors[held] = fitted.predicted(labelled.of(held)) - labelled.mos[held]
        error = fit_closed_form(rung, labelled).predicted(rest) - rest.mos
        covered.append(np.mean(np.fabs(error) <= half_width(errors, coverage=0.9)))
    assert 0.88 < np.mean(covered) < 0.95
