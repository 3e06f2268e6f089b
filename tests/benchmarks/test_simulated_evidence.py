"""The simulated teacher has the error that its name promises, and says honestly how large it is."""

from xml.dom import minidom

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.special import expit
from scipy.stats import spearmanr

from benchmarks.curve_plot import write_curves
from benchmarks.simulated_evidence import (
    belief,
    percept,
    smooth_biases,
    write_pairs,
    write_points,
)

COUNT = 400
NAMES = [f"{number:04d}" for number in range(COUNT)]


@pytest.fixture(scope="module")
def mos():
    return np.random.default_rng(0).beta(5, 2, COUNT)


@pytest.fixture(scope="module")
def bias():
    features = np.random.default_rng(1).standard_normal((COUNT, 8)).astype(np.float32)
    return smooth_biases(features, [3])[0]


def test_a_percept_has_the_srcc_that_was_asked_for(mos, bias):
    perceived = percept(mos, bias, srcc=0.6, seed=0)
    assert spearmanr(perceived, mos).statistic == pytest.approx(0.6, abs=2e-3)


def test_half_of_the_error_variance_is_the_fixed_function(mos, bias):
    standard = (mos - mos.mean()) / mos.std()
    error = percept(mos, bias, srcc=0.6, seed=0) - standard
    assert np.corrcoef(error, bias)[0, 1] ** 2 == pytest.approx(0.5, abs=0.05)


def test_a_belief_is_as_wide_as_it_is_wrong(mos, bias):
    believed = belief(percept(mos, bias, srcc=0.6, seed=0), mos)
    assert np.mean((mos - believed.mean) ** 2) == pytest.approx(believed.variance, rel=1e-6)


def test_levels_tell_the_belief(mos, bias, tmp_path):
    believed = belief(percept(mos, bias, srcc=0.6, seed=0), mos)
    write_points(tmp_path / "points.parquet", NAMES, believed)
    table = pq.read_table(tmp_path / "points.parquet").drop(["image"])
    probs = np.stack([column.to_numpy() for column in table.columns], axis=1)
    assert probs.sum(axis=1) == pytest.approx(1.0)
    inside = believed.mean < 0.9  # near the end of the scale the levels cut the belief off
    means = probs @ np.arange(5) / 4
    assert means[inside] == pytest.approx(believed.mean[inside], abs=0.02)


def test_pairs_are_in_both_orders_and_their_probabilities_are_honest(mos, bias, tmp_path):
    believed = belief(percept(mos, bias, srcc=0.6, seed=0), mos)
    write_pairs(tmp_path / "pairs.parquet", NAMES, believed, per_image=5, seed=0)
    rows = pq.read_table(tmp_path / "pairs.parquet").to_pylist()
    shown = {(row["image_a"], row["image_b"]): row["logit_a"] - row["logit_b"] for row in rows}
    assert all((second, first) in shown for first, second in shown)
    both = [(int(a), int(b), (z - shown[b, a]) / 2) for (a, b), z in shown.items() if a < b]
    right = np.mean([mos[a] > mos[b] for a, b, _ in both])
    said = np.mean([expit(z) for _, _, z in both])
    sure = [(mos[a] > mos[b]) == (z > 0) for a, b, z in both if abs(z) > 1]
    assert said == pytest.approx(right, abs=0.05)
    assert 0.7 < np.mean(sure) < 0.95


def test_curves_are_well_formed_svg(tmp_path):
    curve = [(0.0, [0.6, 0.7]), (0.1, [0.7, 0.8]), (1.0, [0.8, 0.85])]
    write_curves(tmp_path / "plot.svg", {"simulated": {"leaf": curve, "ridge": curve[1:]}})
    drawn = minidom.parse(str(tmp_path / "plot.svg"))
    assert len(drawn.getElementsByTagName("polyline")) == 2
