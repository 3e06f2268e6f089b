import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from train.losses import (
    calibration_loss,
    correlation,
    point_loss,
    preference_loss,
    ranking_loss,
)

gaps = st.lists(st.floats(-1, 1), min_size=1, max_size=8)


def test_point_loss_is_quadratic_inside_beta_and_linear_beyond():
    scores, teacher = torch.tensor([0.55, 0.9]), torch.tensor([0.5, 0.5])
    by_hand = (0.05**2 / (2 * 0.1) + (0.4 - 0.1 / 2)) / 2
    assert point_loss(scores, teacher, beta=0.1).item() == pytest.approx(by_hand, rel=1e-5)


def test_point_loss_leaves_out_images_without_a_teacher_score():
    scores = torch.tensor([0.55, 0.9], requires_grad=True)
    loss = point_loss(scores, torch.tensor([0.5, math.nan]), beta=0.1)
    loss.backward()
    assert loss.item() == pytest.approx(0.05**2 / 0.2, rel=1e-4)
    assert scores.grad is not None
    assert scores.grad[1] == 0


def test_point_loss_of_no_teacher_score_is_zero():
    scores = torch.tensor([0.2, 0.7], requires_grad=True)
    loss = point_loss(scores, torch.full((2,), math.nan), beta=0.1)
    loss.backward()
    assert loss.item() == 0
    assert scores.grad is not None
    assert scores.grad.eq(0).all()


def test_ranking_loss_is_the_confidence_weighted_mean_of_softplus():
    gap, prob = torch.tensor([0.2, 0.1]), torch.tensor([0.9, 0.3])
    confidence = torch.tensor([0.531, 0.119])
    agreeing, opposing = math.log1p(math.exp(-2.0)), math.log1p(math.exp(1.0))
    by_hand = (0.531 * agreeing + 0.119 * opposing) / (0.531 + 0.119)
    found = ranking_loss(gap, prob, confidence, temperature=0.1)
    assert found.item() == pytest.approx(by_hand, rel=1e-5)


@given(gaps)
def test_ranking_loss_ignores_pairs_without_confidence(values):
    gap = torch.tensor(values, requires_grad=True)
    loss = ranking_loss(gap, torch.full_like(gap, 0.5), torch.zeros_like(gap), temperature=0.1)
    loss.backward()
    assert loss.item() == 0
    assert gap.grad is not None
    assert gap.grad.eq(0).all()


@given(gaps, st.floats(0.05, 0.95))
def test_pair_losses_do_not_depend_on_which_image_comes_first(values, prob):
    gap = torch.tensor(values, dtype=torch.float64)
    probs, ones = torch.full_like(gap, prob), torch.ones_like(gap)
    for loss in (
        lambda g, p: ranking_loss(g, p, ones, temperature=0.2),
        lambda g, p: preference_loss(g, p, temperature=0.2),
    ):
        assert loss(gap, probs).item() == pytest.approx(loss(-gap, 1 - probs).item(), abs=1e-9)


def test_preference_loss_is_least_where_the_student_shares_the_preference():
    prob = torch.tensor([0.8])
    gap = torch.tensor([0.1 * math.log(0.8 / 0.2)], requires_grad=True)
    loss = preference_loss(gap, prob, temperature=0.1)
    loss.backward()
    entropy = -(0.8 * math.log(0.8) + 0.2 * math.log(0.2))
    assert loss.item() == pytest.approx(entropy, rel=1e-5)
    assert gap.grad is not None
    assert gap.grad.item() == pytest.approx(0, abs=1e-5)


def test_pair_losses_of_no_pair_are_zero():
    none = torch.empty(0, requires_grad=True)
    assert ranking_loss(none, none, none, temperature=0.1).item() == 0
    assert preference_loss(none, none, temperature=0.1).item() == 0


def test_correlation_agrees_with_torch():
    generator = torch.Generator().manual_seed(0)
    first, second = torch.rand(2, 32, generator=generator)
    oracle = torch.corrcoef(torch.stack([first, second]))[0, 1]
    assert correlation(first, second).item() == pytest.approx(oracle.item(), abs=1e-5)


def test_correlation_satisfies_the_identity_of_the_published_plcc_loss():
    # (MSE(zf, zm)/4 + MSE(rho zf, zm)/4) / 2 = (1 - rho)/4 + (1 - rho^2)/8
    generator = torch.Generator().manual_seed(1)
    scores, mos = torch.rand(2, 64, generator=generator, dtype=torch.float64)
    zf, zm = ((x - x.mean()) / x.std(correction=0) for x in (scores, mos))
    rho = correlation(scores, mos)
    published = ((zf - zm).square().mean() / 4 + (rho * zf - zm).square().mean() / 4) / 2
    assert published.item() == pytest.approx(((1 - rho) / 4 + (1 - rho**2) / 8).item(), abs=1e-6)


@pytest.mark.parametrize("scores", [[0.5, 0.5, 0.5], [0.1, 0.2, 0.9]])
@pytest.mark.parametrize("mos", [[0.4, 0.4, 0.4], [0.1, 0.6, 0.7]])
def test_calibration_loss_has_a_finite_gradient_on_constant_batches(scores, mos):
    student = torch.tensor(scores, requires_grad=True)
    loss = calibration_loss(student, torch.tensor(mos), plcc_weight=1.0)
    loss.backward()
    assert torch.isfinite(loss)
    assert student.grad is not None
    assert torch.isfinite(student.grad).all()


def test_correlation_part_of_the_calibration_loss_ignores_an_affine_map():
    generator = torch.Generator().manual_seed(2)
    scores, mos = torch.rand(2, 32, generator=generator, dtype=torch.float64)

    def correlation_part(values):
        square_error = (values - mos).square().mean()
        return (calibration_loss(values, mos, plcc_weight=1.0) - square_error).item()

    assert correlation_part(3 * scores - 1) == pytest.approx(correlation_part(scores), abs=1e-6)
