import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy import stats

from train.calibration.fit_mapping import (
    fit_isotonic,
    fit_linear,
    fit_logistic,
    fit_shift_and_scale,
)
from train.calibration.mapping import IDENTITY, Mapping, MappingLayer
from train.evaluation.metrics import srcc

FITS = {"linear": fit_linear, "logistic": fit_logistic, "isotonic": fit_isotonic}
every_fit = pytest.mark.parametrize("fit", FITS.values(), ids=FITS)

seeds = st.integers(0, 10_000)
few_examples = hypothesis_settings(max_examples=25)


def example(seed, count, *, scale=1.0):
    """Scores as a student gives them, float32 values, and opinions of any relation to them."""
    rng = np.random.default_rng(seed)
    scores = (scale * rng.standard_normal(count)).astype(np.float32).astype(np.float64)
    relation = rng.choice([-1.0, 0.0, 0.3, 2.0])
    mos = 1 / (1 + np.exp(-relation * scores / scale - rng.standard_normal(count)))
    return scores, mos


@every_fit
@given(seeds, st.integers(1, 60), st.sampled_from([1e-4, 0.1, 30.0]))
@few_examples
def test_a_mapping_never_changes_the_ranking(fit, seed, count, scale):
    scores, mos = example(seed, count, scale=scale)
    mapping = fit(scores, mos)
    rng = np.random.default_rng((seed, 1))
    # Far beyond the fitted range too, and as close together as float32 can be.
    others = np.concatenate([scores, 20 * scale * rng.standard_normal(40), [3 * scale]])
    others = others.astype(np.float32)
    others = np.append(others, np.nextafter(others, np.float32(np.inf))).astype(np.float64)
    distinct = others[np.fabs(others) > 1e-3 * scale]  # float32 is finer than that near 0
    mapped = mapping(distinct)
    assert np.array_equal(stats.rankdata(mapped), stats.rankdata(distinct))
    assert srcc(mapped, np.arange(len(mapped))) == srcc(distinct, np.arange(len(distinct)))


@every_fit
@given(seeds, st.integers(1, 60))
@few_examples
def test_after_a_mapping_the_mean_error_is_zero(fit, seed, count):
    scores, mos = example(seed, count)
    assert np.mean(fit(scores, mos)(scores) - mos) == pytest.approx(0, abs=1e-9)


@every_fit
@given(seeds, st.integers(1, 30))
@few_examples
def test_the_layer_does_the_same_as_the_mapping(fit, seed, count):
    scores, mos = example(seed, count)
    mapping = fit(scores, mos)
    values = np.concatenate([scores, np.linspace(-9, 9, 50)])
    found = MappingLayer(mapping)(torch.from_numpy(values)).numpy()
    assert np.allclose(found, mapping(values), rtol=0, atol=1e-12)
    single = MappingLayer(mapping)(torch.from_numpy(np.sort(values)).float())
    assert single.dtype == torch.float32
    assert (single.diff() >= 0).all()


@every_fit
def test_a_mapping_survives_json(fit):
    mapping = fit(*example(3, 40))
    assert Mapping.from_dict(json.loads(json.dumps(mapping.as_dict()))) == mapping


def test_the_identity_changes_nothing():
    scores = np.array([0.25, np.nan, -1.0])
    assert np.array_equal(IDENTITY(scores), scores, equal_nan=True)
    assert torch.equal(MappingLayer(IDENTITY)(torch.ones(2)), torch.ones(2))


def test_shift_and_scale_is_the_least_squares_line():
    rng = np.random.default_rng(0)
    scores = rng.random(50)
    mos = 0.3 * scores + 0.1 + 0.05 * rng.standard_normal(50)
    oracle = stats.linregress(scores, mos)
    assert fit_shift_and_scale(scores, mos) == pytest.approx((oracle.slope, oracle.intercept))


@every_fit
def test_constant_scores_are_only_shifted(fit):
    mapping = fit(np.full(9, 0.5), np.linspace(0, 1, 9))
    assert mapping == Mapping("linear", (1.0, 0.0))


@every_fit
def test_opinions_against_the_scores_give_an_almost_flat_curve(fit):
    scores = np.linspace(0, 1, 30)
    mapped = fit(scores, 1 - scores)(scores)
    assert np.ptp(mapped) < 0.01
    assert mapped.mean() == pytest.approx(0.5)


def test_a_bend_is_found_by_the_curves_and_not_by_the_line():
    rng = np.random.default_rng(0)
    scores = rng.uniform(-4, 4, 300)
    mos = 0.1 + 0.8 / (1 + np.exp(-2 * scores)) + 0.02 * rng.standard_normal(300)
    errors = {
        name: np.sqrt(np.mean((fit(scores, mos)(scores) - mos) ** 2)) for name, fit in FITS.items()
    }
    assert errors["linear"] > 0.08
    assert errors["logistic"] == pytest.approx(0.02, abs=0.003)
    assert errors["isotonic"] == pytest.approx(0.02, abs=0.004)


def test_a_bend_without_end_is_followed_and_not_continued():
    """An exponential is a logistic of endless span: what 12 scores say of a 13th has a bound."""
    rng = np.random.default_rng(0)
    scores = rng.uniform(0, 3, 200)
    mos = 0.04 * np.exp(scores) + 0.01 * rng.standard_normal(200)
    mapping = fit_logistic(scores, mos)
    assert mapping.kind == "piecewise"
    assert np.sqrt(np.mean((mapping(scores) - mos) ** 2)) == pytest.approx(0.01, abs=0.002)
    assert mapping(np.array([6.0]))[0] < mos.max() + 0.02


def test_isotonic_is_the_pool_adjacent_violators_fit_before_it_is_centred():
    isotonic = pytest.importorskip("sklearn.isotonic")
    scores, mos = example(1, 80)
    steps = isotonic.IsotonicRegression().fit(scores, mos).predict(np.sort(scores))
    mapping = fit_isotonic(scores, mos)
    _, heights, _ = mapping.pieces()
    assert np.allclose(np.unique(np.round(steps, 9)), heights[1:], atol=0.02)
    assert len(heights) - 1 == len(np.unique(np.round(steps, 9)))


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        ("cubic", ()),
        ("linear", (0.0, 1.0)),
        ("linear", (1.0,)),
        ("linear", (1.0, float("nan"))),
        ("logistic", (0.0, 1.0, 0.0, 1.0, 0.0)),
        ("logistic", (0.0, 1.0, 0.0, -1.0, 0.1)),
        ("logistic", (0.0, 1.0)),
        ("piecewise", (0.1, 0.1, 0.0, 1.0, 0.5, 0.5)),
        ("piecewise", (0.1, 0.1, 1.0, 0.0, 0.5, 0.6)),
        ("piecewise", (0.0, 0.1, 0.0, 0.5)),
        ("piecewise", (0.1, 0.1, 0.0)),
    ],
)
def test_a_curve_that_would_not_rise_is_refused(kind, parameters):
    with pytest.raises(ValueError, match=kind):
        Mapping(kind, parameters)
