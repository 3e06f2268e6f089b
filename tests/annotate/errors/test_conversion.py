"""Errors of turning opinions into levels: the known constants, and that the parts add up."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from annotate.errors.conversion import conversion_errors, slope_within_levels
from annotate.errors.level_scale import LevelScale
from data_store.agreement.correlations import plcc, srcc
from schemas.errors import InputError
from schemas.scale import LEVEL_VALUES, unit_score

LENGTH = 4  # of the scale [1, 5]; a store's is 1 long


def test_integer_labels_are_the_values_of_the_level_words():
    assert LevelScale().values.tolist() == unit_score(np.array(LEVEL_VALUES)).tolist()


def test_centres_are_the_middles_of_equal_bins():
    assert LevelScale(labels="centres").values * LENGTH + 1 == pytest.approx(
        [1.4, 2.2, 3, 3.8, 4.6]
    )


@pytest.mark.parametrize(
    ("labels", "l1", "rmse"),
    [("integers", 0.300, math.sqrt(2 / 15)), ("centres", 0.200, 0.8 / math.sqrt(12))],
)
def test_five_levels_of_a_uniform_opinion_on_1_to_5_cost_what_is_known(labels, l1, rmse):
    scale = LevelScale(labels=labels)
    assert scale.uniform_l1() * LENGTH == pytest.approx(l1)
    assert scale.uniform_rmse() * LENGTH == pytest.approx(rmse)
    mos = (np.arange(100_000) + 0.5) / 100_000
    found = conversion_errors(mos, scale.label(mos), scale)
    assert found.label_l1 * LENGTH == pytest.approx(l1, abs=1e-4)
    assert found.label_square**0.5 * LENGTH == pytest.approx(rmse, abs=1e-4)
    assert (found.restoration_square, found.cross) == (0, 0)


def test_those_constants_are_point_365_and_point_231():
    assert round(LevelScale().uniform_rmse() * LENGTH, 3) == 0.365
    assert round(LevelScale(labels="centres").uniform_rmse() * LENGTH, 3) == 0.231


@given(count=st.integers(2, 12), labels=st.sampled_from(["integers", "centres"]))
def test_the_analytic_errors_are_those_of_a_fine_grid(count, labels):
    scale = LevelScale(count, labels)
    mos = (np.arange(20_000) + 0.5) / 20_000
    error = scale.label(mos) - mos
    assert np.abs(error).mean() == pytest.approx(scale.uniform_l1(), abs=1e-3)
    assert (error**2).mean() == pytest.approx(scale.uniform_rmse() ** 2, abs=1e-3)


def test_both_ends_of_the_scale_have_a_level_and_an_edge_belongs_to_the_bin_above():
    assert LevelScale().level(np.array([0.0, 0.19, 0.2, 0.5, 0.8, 1.0])).tolist() == [
        0, 0, 1, 2, 4, 4,
    ]  # fmt: skip


def test_one_level_is_refused():
    with pytest.raises(InputError, match="1 levels tells nothing apart"):
        LevelScale(1)


UNIT = st.floats(0, 1)
SCORES = st.floats(-1, 2)


@given(
    rows=st.lists(st.tuples(UNIT, SCORES), min_size=1, max_size=30),
    count=st.integers(2, 9),
    labels=st.sampled_from(["integers", "centres"]),
)
def test_label_restoration_and_cross_term_add_up_to_the_whole(rows, count, labels):
    mos, scores = (np.array(column) for column in zip(*rows, strict=True))
    found = conversion_errors(mos, scores, LevelScale(count, labels))
    parts = math.fsum((found.label_square, found.restoration_square, found.cross))
    assert parts == pytest.approx(found.total_square, abs=1e-12)
    assert found.total_l1 <= found.label_l1 + found.restoration_l1 + 1e-12
    assert found.rmse**2 == pytest.approx(found.total_square)


def test_a_score_that_is_the_opinion_takes_back_the_label_to_the_last():
    mos = np.linspace(0, 1, 101)
    found = conversion_errors(mos, mos, LevelScale())
    assert found.total_square == 0
    assert found.cross == pytest.approx(-2 * found.label_square)
    assert found.slope_within_levels == pytest.approx(1)


def test_a_score_that_is_the_label_knows_nothing_inside_a_level():
    mos = np.linspace(0, 1, 101)
    assert slope_within_levels(mos, LevelScale().label(mos), LevelScale()) == pytest.approx(0)
    # What the levels are called does not matter to it.
    called = LevelScale(labels="centres")
    assert slope_within_levels(mos, called.label(mos) + mos, called) == pytest.approx(1)


def test_no_images_have_no_error():
    found = conversion_errors(np.array([]), np.array([]), LevelScale())
    assert found.n == 0
    assert math.isnan(found.total_square)
    assert math.isnan(found.slope_within_levels)


@given(rows=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=20))
def test_correlations_are_those_of_scipy(rows):
    scores, mos = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    if np.ptp(scores) == 0 or np.ptp(mos) == 0:
        assert math.isnan(plcc(scores, mos))
        assert math.isnan(srcc(scores, mos))
        return
    assert plcc(scores, mos) == pytest.approx(stats.pearsonr(scores, mos).statistic)
    assert srcc(scores, mos) == pytest.approx(stats.spearmanr(scores, mos).statistic)
