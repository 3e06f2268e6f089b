"""The arithmetic of the terms, by hand."""

import math

import numpy as np
import pytest
import torch

from annotate.tuning import losses
from annotate.tuning.score_tokens import score_bins
from annotate.tuning.steps import rate_factor


def test_a_soft_label_has_the_mos_as_its_mean_between_the_outer_middles():
    mos = torch.linspace(0.1, 0.9, 33, dtype=torch.float64)
    labels = losses.soft_labels(mos, 5)
    middles = (torch.arange(5, dtype=torch.float64) + 0.5) / 5
    assert torch.allclose(labels.sum(dim=1), torch.ones(33, dtype=torch.float64))
    assert torch.allclose(labels @ middles, mos)
    assert int((labels > 0).sum(dim=1).max()) == 2


def test_a_soft_label_beyond_the_outer_middles_is_the_outer_part():
    labels = losses.soft_labels(torch.tensor([0.0, 0.05, 0.95, 1.0]), 5)
    assert labels.tolist() == [[1, 0, 0, 0, 0]] * 2 + [[0, 0, 0, 0, 1]] * 2


def test_the_divergence_from_a_soft_label_is_nothing_where_it_is_met():
    mos = torch.tensor([0.2, 0.55])
    met = losses.soft_labels(mos, 5).clamp(min=1e-30).log()
    assert losses.soft_label_loss(met, mos).item() == pytest.approx(0.0, abs=1e-6)
    # Of a flat answer: half on each of two parts is ln 5 - ln 2 nats away.
    flat = losses.soft_label_loss(torch.zeros(1, 5), torch.tensor([0.2])).item()
    assert flat == pytest.approx(math.log(5) - math.log(2), abs=1e-6)


def test_fidelity_is_that_of_the_pairs_by_hand():
    score, mos = torch.tensor([0.9, 0.4, 0.5]), torch.tensor([0.8, 0.3, 0.3])
    # Pairs (0, 1) and (0, 2) count, (1, 2) has equal MOS.
    by_hand = [
        1
        - math.sqrt(0.5 * (1 + math.erf(gap / (0.25 * math.sqrt(2)) / math.sqrt(2))) + 1e-8)
        - math.sqrt(1e-8)
        for gap in (0.5, 0.4)
    ]
    assert losses.fidelity_loss(score, mos).item() == pytest.approx(np.mean(by_hand), abs=1e-6)
    assert losses.fidelity_loss(mos.flip(0) * 9, mos) > losses.fidelity_loss(mos, mos)


def test_fidelity_of_equal_opinions_is_nothing_and_has_a_gradient():
    score = torch.tensor([0.1, 0.7], requires_grad=True)
    loss = losses.fidelity_loss(score, torch.tensor([0.5, 0.5]))
    loss.backward()
    assert (loss.item(), score.grad.tolist()) == (0.0, [0.0, 0.0])


def test_norm_in_norm_sees_no_scale_and_no_offset():
    mos = torch.tensor([0.1, 0.4, 0.35, 0.8])
    assert losses.norm_in_norm_loss(7 * mos - 3, mos).item() == pytest.approx(0.0, abs=1e-6)
    # Two values, the wrong way round: unit vectors (1, -1) / sqrt(2) and their negatives.
    turned = losses.norm_in_norm_loss(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.0]))
    assert turned.item() == pytest.approx(4 / math.sqrt(2) / (2 * math.sqrt(2)), abs=1e-6)
    score = torch.full((3,), 0.5, requires_grad=True)
    losses.norm_in_norm_loss(score, mos[:3]).backward()
    assert torch.isfinite(score.grad).all()


def test_a_score_beyond_the_scale_is_still_pulled_back():
    score = torch.tensor([1.4, -0.6], requires_grad=True)
    losses.score_loss(score, torch.tensor([1.0, 0.0])).backward()
    assert score.grad.tolist() == pytest.approx([0.4, -0.6])


def test_the_parts_of_the_scale_are_equally_wide():
    mos = np.array([0.0, 0.199, 0.2, 0.5, 0.8, 1.0])
    assert score_bins(mos, 5).tolist() == [0, 0, 1, 2, 4, 4]
    assert score_bins(mos, 1).tolist() == [0] * 6


def test_the_rate_rises_and_falls():
    factors = [rate_factor(place, warmup_fraction=0.2) for place in (0.0, 0.1, 0.2, 0.6, 1.0)]
    assert factors == pytest.approx([0.0, 0.5, 1.0, 0.5, 0.0])
