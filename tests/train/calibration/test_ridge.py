import numpy as np
import pytest

from train.calibration.ridge import SCORE_WEIGHTS, STRENGTHS, _eigen, _Problem, fit_ridge


def example(rows, features, *, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, features)) * rng.uniform(0.1, 10, features) + 3
    scores = rng.random(rows)
    mos = 0.4 * scores + 0.02 * x[:, 0] + 0.1 * rng.standard_normal(rows)
    return x, scores, mos


def by_definition(x, scores, mos, strength, weight):
    """The minimum found by solving the normal equations; its prediction function."""
    centre, spread = x.mean(0), x.std(0)
    own_centre, own_spread = scores.mean(), scores.std()

    def design(features, own):
        columns = (features - centre) / spread, (own - own_centre) / own_spread
        return np.column_stack([np.ones(len(own)), columns[1], columns[0]])

    penalty = np.full(x.shape[1] + 2, strength * x.shape[1])
    penalty[0] = 0
    penalty[1] = strength / weight if weight else 1e12
    a = design(x, scores)
    solved = np.linalg.solve(a.T @ a + np.diag(penalty), a.T @ mos)
    return lambda features, own: design(features, own) @ solved


@pytest.mark.parametrize(("rows", "features"), [(12, 30), (40, 8)])
def test_the_fit_is_the_minimum_of_what_the_docstring_says(rows, features):
    x, scores, mos = example(rows, features)
    ridge = fit_ridge(x, mos, scores=scores)
    expected = by_definition(x, scores, mos, ridge.strength, ridge.score_weight)
    others = example(5, features, seed=1)
    assert np.allclose(ridge(*others[:2]), expected(*others[:2]), atol=1e-8)


@pytest.mark.parametrize(("rows", "features"), [(12, 30), (40, 8)])
@pytest.mark.parametrize("weight", SCORE_WEIGHTS)
def test_left_out_errors_are_those_of_fits_without_the_row(rows, features, weight):
    x, scores, mos = example(rows, features)
    standard, own = (x - x.mean(0)) / x.std(0), (scores - scores.mean()) / scores.std()
    problem = _Problem(*_eigen(standard), mos - mos.mean(), own, features)
    penalty = np.full(features + 2, 3.0 * features)
    penalty[0], penalty[1] = 0, 3.0 / weight if weight else 1e12
    a = np.column_stack([np.ones(rows), own, standard])
    left_out = []
    for row in range(rows):
        kept = np.arange(rows) != row
        gram = a[kept].T @ a[kept] + np.diag(penalty)
        left_out.append(mos[row] - a[row] @ np.linalg.solve(gram, a[kept].T @ mos[kept]))
    errors = problem.errors(weight)
    place = np.searchsorted(STRENGTHS, 3.0)
    bracket = np.sort(errors[place - 1 : place + 1])
    assert bracket[0] * 0.999 <= np.mean(np.square(left_out)) <= bracket[1] * 1.001


def test_features_without_any_meaning_leave_a_line_through_the_score():
    rng = np.random.default_rng(0)
    scores = rng.random(60)
    mos = 0.5 * scores + 0.2 + 0.02 * rng.standard_normal(60)
    ridge = fit_ridge(rng.standard_normal((60, 200)), mos, scores=scores)
    others = rng.standard_normal((500, 200)), rng.random(500)
    error = ridge(*others) - (0.5 * others[1] + 0.2)
    assert np.sqrt(np.mean(error**2)) < 0.015


def test_a_score_without_any_meaning_leaves_a_regression_on_the_features():
    x, _, _ = example(80, 10)
    mos = 0.02 * x[:, 0]
    ridge = fit_ridge(x, mos, scores=np.random.default_rng(1).random(80))
    assert abs(ridge.scale) < 0.01
    assert np.allclose(ridge(x, np.zeros(80)), mos, atol=0.01)


def test_constant_features_predict_the_mean():
    mos = np.linspace(0, 1, 9)
    ridge = fit_ridge(np.full((9, 4), 2.5), mos)
    assert np.allclose(ridge(np.full((3, 4), 2.5), np.zeros(3)), 0.5)
    with_score = fit_ridge(np.full((9, 4), 2.5), mos, scores=np.full(9, 0.3))
    assert np.allclose(with_score(np.full((3, 4), 2.5), np.full(3, 0.3)), 0.5)


def test_it_is_the_ridge_of_scikit_learn_at_the_same_strength():
    linear_model = pytest.importorskip("sklearn.linear_model")
    x, _, mos = example(25, 60)
    ridge = fit_ridge(x, mos)
    standard = (x - x.mean(0)) / x.std(0)
    oracle = linear_model.Ridge(alpha=60 * ridge.strength).fit(standard, mos)
    assert np.allclose(ridge(x, np.zeros(25)), oracle.predict(standard), atol=1e-7)
