"""What is fitted is what was to be fitted: ridge against scikit-learn, the MLP against curves."""

import numpy as np
import pytest
from sklearn.linear_model import RidgeCV

from annotate.readouts.evidence import LEAST_LOGPROB, level_features
from annotate.readouts.features import standard, turned
from annotate.readouts.fit_mlp import fit_mlp, require_labels
from annotate.readouts.fit_ridge import STRENGTHS, fit_ridge
from annotate.readouts.folds import folds_by_group
from annotate.readouts.readout import LabelSource, Readout
from schemas.errors import InputError

LABELS = LabelSource(8, "0" * 64, 1.0, 0, 0, 0.2)


def as_readout(kind, fitted):
    return Readout(
        kind,
        "a" * 64,
        "b" * 64,
        LABELS,
        mean=fitted.mean,
        deviation=fitted.deviation,
        layers=fitted.layers,
    )


def some_data(count, width, *, noise=0.1, seed=0):
    """Features as correlated as those of a language model, and opinions on a line of them."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((count, width)) @ rng.standard_normal((width, width)) + 3
    line = features @ rng.standard_normal(width)
    mos = 0.5 + 0.2 * (line - line.mean()) / line.std() + noise * rng.standard_normal(count)
    return features, mos


@pytest.mark.parametrize(("count", "width"), [(8, 40), (30, 5), (200, 40), (40, 40)])
def test_ridge_is_what_scikit_learn_finds_with_leave_one_out(count, width):
    features, mos = some_data(count, width)
    ours = fit_ridge(features, mos)
    deviation = features.std(axis=0)
    assert np.allclose(ours.deviation, deviation)
    standardised = (features - features.mean(axis=0)) / deviation
    # In the least of strengths the errors of more features than images are those of rounding.
    usual = STRENGTHS[STRENGTHS > 1e-6]
    theirs = RidgeCV(alphas=usual * count).fit(standardised, mos)
    assert ours.strength == pytest.approx(theirs.alpha_ / count)
    found = as_readout("ridge_state", ours)(features)
    assert np.abs(found - theirs.predict(standardised)).max() < 1e-6


def test_the_leave_one_out_error_is_that_of_really_leaving_one_out():
    features, mos = some_data(12, 4)
    ours = fit_ridge(features, mos)
    standardised = standard(features).of(features)
    errors = []
    for row in range(12):
        rest = np.arange(12) != row
        z, level = standardised[rest], mos[rest].mean()
        centre = z.mean(axis=0)
        square = (z - centre).T @ (z - centre) + ours.strength * 12 * np.eye(4)
        slopes = np.linalg.solve(square, (z - centre).T @ (mos[rest] - level))
        errors.append(mos[row] - level - (standardised[row] - centre) @ slopes)
    assert ours.loo_rmse == pytest.approx(np.sqrt(np.mean(np.square(errors))), rel=1e-9)


def test_noise_teaches_ridge_the_mean_alone():
    rng = np.random.default_rng(0)
    features, mos = rng.standard_normal((20, 60)), rng.uniform(size=20)
    scores = as_readout("ridge_state", fit_ridge(features, mos))(rng.standard_normal((50, 60)))
    assert np.ptp(scores) < 0.5 * np.ptp(mos)


def test_constant_features_and_their_unit_are_without_effect():
    features, mos = some_data(30, 5)
    wider = np.hstack([features * 1000, np.full((30, 2), 7.0)])
    plain = as_readout("ridge_state", fit_ridge(features, mos))(features)
    assert np.allclose(as_readout("ridge_state", fit_ridge(wider, mos))(wider), plain)


@pytest.mark.parametrize(("count", "width"), [(10, 30), (30, 10)])
def test_turned_features_are_the_same_points(count, width):
    values = np.random.default_rng(0).standard_normal((count, width))
    found = turned(values)
    assert np.allclose(found.values @ found.directions, values)
    assert np.allclose(found.directions @ found.directions.T, np.eye(len(found.directions)))
    assert np.allclose((found.values**2).sum(axis=0), found.squares)


def a_curve(count, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((count, 4))
    return features, np.clip(np.abs(features[:, 0]) / 3, 0, 1)


def test_an_mlp_learns_a_curve_that_a_line_cannot():
    features, mos = a_curve(120)
    new, truth = a_curve(200, seed=1)
    groups = np.arange(120)
    mlp = as_readout("mlp_state", fit_mlp(features, mos, groups=groups, hidden=(64,), seed=0))
    line = as_readout("ridge_state", fit_ridge(features, mos))
    assert np.corrcoef(line(new), truth)[0, 1] < 0.3
    assert np.corrcoef(mlp(new), truth)[0, 1] > 0.95


def test_the_same_seed_gives_the_same_mlp_to_the_last_bit_and_another_another():
    features, mos = some_data(24, 3)
    groups = np.arange(24) // 2

    def fitted(seed):
        found = fit_mlp(features, mos, groups=groups, hidden=(8,), seed=seed)
        return as_readout("mlp_state", found).readout_id

    assert fitted(0) == fitted(0) != fitted(1)


def test_noise_teaches_an_mlp_little_more_than_the_mean():
    rng = np.random.default_rng(0)
    features, mos = rng.standard_normal((60, 20)), rng.uniform(size=60)
    fitted = fit_mlp(features, mos, groups=np.arange(60), hidden=(16,), seed=0)
    scores = as_readout("mlp_state", fitted)(rng.standard_normal((200, 20)))
    assert np.sqrt(np.mean((scores - 0.5) ** 2)) < mos.std()


def test_an_mlp_refuses_fewer_labels_than_its_smallest_form_has_parameters():
    require_labels(128, 131)
    with pytest.raises(InputError, match=r"130 images are labelled.*131 parameters") as refused:
        require_labels(128, 130)
    assert "ridge_state" in refused.value.fix


def test_folds_never_part_a_group_and_are_about_as_large():
    groups = np.repeat(np.arange(20), np.random.default_rng(0).integers(1, 6, 20))
    fold = folds_by_group(groups, fold_count=5, seed=0)
    assert all(len(np.unique(fold[groups == one])) == 1 for one in range(20))
    assert np.ptp(np.bincount(fold)) <= 5
    assert len(np.unique(folds_by_group(np.zeros(6, dtype=int), fold_count=3, seed=0))) == 3


def test_levels_are_taken_among_themselves_and_no_logarithm_is_without_end():
    told = np.log(np.array([[0.1, 0.2, 0.1]]))
    assert np.allclose(np.exp(level_features(told)), [[0.25, 0.5, 0.25]])
    assert np.allclose(level_features(told + 3), level_features(told))
    assert level_features(np.array([[0.0, -10000.0]])).tolist() == [[0.0, LEAST_LOGPROB]]
