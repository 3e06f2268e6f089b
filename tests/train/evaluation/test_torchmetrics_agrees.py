"""torchmetrics as a second oracle; slow, for its import takes ten seconds and more."""

import numpy as np
import pytest

from data_store.agreement.reliability import pair_reliability
from train.evaluation.metrics import agreement

pytestmark = pytest.mark.slow


def test_on_correlations_and_errors_ties_included():
    functional = pytest.importorskip("torchmetrics.functional")
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(5)
    mos = rng.integers(0, 30, 80) / 30
    scores = np.round(mos + rng.normal(0, 0.3, 80), 1)
    first, second = (torch.tensor(values, dtype=torch.float64) for values in (scores, mos))
    found = agreement(scores, mos)
    for ours, theirs in (
        (found.srcc, functional.spearman_corrcoef(first, second)),
        (found.krcc, functional.kendall_rank_corrcoef(first, second)),
        (found.plcc, functional.pearson_corrcoef(first, second)),
        (found.rmse, functional.mean_squared_error(first, second, squared=False)),
        (found.mae, functional.mean_absolute_error(first, second)),
    ):
        assert ours == pytest.approx(float(theirs), abs=1e-6)


def test_on_the_calibration_error_of_preferences():
    classification = pytest.importorskip("torchmetrics.functional.classification")
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    logit = rng.normal(0, 2, 2000)
    prob = 1 / (1 + np.exp(-2 * logit))
    difference = np.where(rng.random(2000) < 1 / (1 + np.exp(-logit)), 0.3, -0.3)
    right = np.sign(prob - 0.5) == np.sign(difference)
    theirs = classification.binary_calibration_error(
        torch.tensor(np.maximum(prob, 1 - prob)),
        torch.tensor(right.astype(int)),
        n_bins=20,  # of [0, 1]: ten of them are our ten of [0.5, 1]
        norm="l1",
    )
    ours = pair_reliability(prob, np.abs(2 * prob - 1), difference).ece
    assert ours == pytest.approx(float(theirs), abs=1e-6)
