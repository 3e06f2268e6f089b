import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from train.losses import (
    LEVEL_VARIANCE_FLOOR,
    absolute_loss,
    calibration_loss,
    correlation,
    fidelity_loss,
    level_log_probs,
    level_loss,
    margin_loss,
    preference_loss,
    ranking_loss,
    smooth_l1_loss,
    square_loss,
)

gaps = st.lists(st.floats(-1, 1), min_size=1, max_size=8)
POINT_LOSSES = {
    "smooth_l1": lambda f, y: smooth_l1_loss(f, y, beta=0.1),
    "mse": square_loss,
    "mae": absolute_loss,
}
PAIR_LOSSES = {
    "ranking": lambda d, p, w: ranking_loss(d, p, w, temperature=0.2),
    "preference": lambda d, p, w: preference_loss(d, p, w, temperature=0.2),
    "margin": lambda d, p, w: margin_loss(d, p, w, margin=0.3),
    "fidelity": lambda d, p, w: fidelity_loss(d, p, w, temperature=0.2),
}
point_losses = pytest.mark.parametrize("loss", POINT_LOSSES.values(), ids=POINT_LOSSES)
pair_losses = pytest.mark.parametrize("loss", PAIR_LOSSES.values(), ids=PAIR_LOSSES)


def random_levels(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.softmax(2 * torch.randn(count, 5, generator=generator, dtype=torch.float64), -1)


def test_smooth_l1_is_quadratic_inside_beta_and_linear_beyond():
    scores, teacher = torch.tensor([0.55, 0.9]), torch.tensor([0.5, 0.5])
    by_hand = (0.05**2 / (2 * 0.1) + (0.4 - 0.1 / 2)) / 2
    assert smooth_l1_loss(scores, teacher, beta=0.1).item() == pytest.approx(by_hand, rel=1e-5)


def test_square_and_absolute_loss_by_hand():
    scores, teacher = torch.tensor([0.55, 0.9]), torch.tensor([0.5, 0.5])
    assert square_loss(scores, teacher).item() == pytest.approx((0.05**2 + 0.4**2) / 2)
    assert absolute_loss(scores, teacher).item() == pytest.approx((0.05 + 0.4) / 2)


@point_losses
def test_point_losses_leave_out_images_without_a_teacher_score(loss):
    scores = torch.tensor([0.55, 0.9], requires_grad=True)
    found = loss(scores, torch.tensor([0.5, math.nan]))
    found.backward()
    assert found.item() == pytest.approx(loss(scores[:1], torch.tensor([0.5])).item())
    assert scores.grad is not None
    assert scores.grad[1] == 0


@pytest.mark.parametrize(
    ("loss", "nothing"),
    [
        *((loss, torch.full((2,), math.nan)) for loss in POINT_LOSSES.values()),
        (level_loss, torch.full((2, 5), math.nan)),
    ],
    ids=[*POINT_LOSSES, "level_kl"],
)
def test_point_losses_of_nothing_known_are_zero(loss, nothing):
    scores = torch.tensor([0.2, 0.7], requires_grad=True)
    found = loss(scores, nothing)
    found.backward()
    assert found.item() == 0
    assert scores.grad is not None
    assert scores.grad.eq(0).all()


def assert_gradient_is_that_of_central_differences(loss, at):
    # torch.autograd.gradcheck does the same, and takes four seconds to import.
    (slope,) = torch.autograd.grad(loss(at), at)
    steps = 1e-6 * torch.eye(len(at), dtype=at.dtype)
    with torch.no_grad():
        by_steps = torch.stack([(loss(at + h) - loss(at - h)) / 2e-6 for h in steps])
    assert slope.tolist() == pytest.approx(by_steps.tolist(), abs=1e-7)


def test_every_loss_has_the_gradient_of_finite_differences():
    scores = torch.tensor([0.13, 0.42, 0.88], dtype=torch.float64, requires_grad=True)
    teacher = torch.tensor([0.3, math.nan, 0.85], dtype=torch.float64)
    levels = random_levels(3)
    levels[1] = torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0])
    mos = torch.tensor([0.2, 0.5, 0.7], dtype=torch.float64)
    for loss in (
        *(lambda f, loss=loss: loss(f, teacher) for loss in POINT_LOSSES.values()),
        lambda f: level_loss(f, levels),
        lambda f: calibration_loss(f, mos, plcc_weight=1.0),
    ):
        assert_gradient_is_that_of_central_differences(loss, scores)
    gap = torch.tensor([0.11, -0.4, 0.7], dtype=torch.float64, requires_grad=True)
    prob = torch.tensor([0.9, 0.6, 0.02], dtype=torch.float64)
    weight = torch.tensor([0.5, 0.0, 1.0], dtype=torch.float64)
    for loss in PAIR_LOSSES.values():
        assert_gradient_is_that_of_central_differences(
            lambda d, loss=loss: loss(d, prob, weight), gap
        )


def test_level_loss_is_zero_where_the_student_has_the_teachers_distribution():
    scores = torch.tensor([0.1, 0.5, 0.83], dtype=torch.float64)
    # Not the variance that was asked for: the cut-off tails are missing.
    teacher = level_log_probs(scores, torch.tensor([0.9, 0.5, 0.3]).double()).exp()
    assert teacher.sum(dim=1).tolist() == pytest.approx([1, 1, 1])
    assert level_loss(scores, teacher).item() == pytest.approx(0, abs=0.02)
    certain = torch.tensor([[0.0, 0.0, 1.0, 0.0, 0.0]], dtype=torch.float64)
    least = -level_log_probs(torch.tensor([0.5]), torch.tensor([LEVEL_VARIANCE_FLOOR]))[0, 2]
    assert level_loss(torch.tensor([0.5]).double(), certain).item() == pytest.approx(least.item())


def test_level_loss_pulls_the_mean_level_of_the_student_to_the_teachers():
    levels, values = random_levels(6), torch.arange(1.0, 6.0, dtype=torch.float64)
    scores = torch.linspace(0.1, 0.9, 6, dtype=torch.float64).requires_grad_()
    variance = (levels @ values**2 - (levels @ values) ** 2).clamp(min=LEVEL_VARIANCE_FLOOR)
    student = level_log_probs(scores.detach(), variance).exp()
    (slope,) = torch.autograd.grad(level_loss(scores, levels), scores)
    by_hand = 4 * (student - levels) @ values / variance / len(levels)
    assert slope.tolist() == pytest.approx(by_hand.tolist())


def test_level_loss_is_convex_and_finite_far_off_the_scale():
    scores = torch.linspace(-20, 20, 401, dtype=torch.float64)
    for levels in (*random_levels(3), torch.tensor([0.0, 0.0, 0.0, 0.0, 1.0]).double()):
        losses = torch.stack([level_loss(f[None], levels[None]) for f in scores])
        assert torch.isfinite(losses).all()
        assert (losses[2:] - 2 * losses[1:-1] + losses[:-2]).min() > -1e-9


@pytest.mark.parametrize(("mean", "tolerance"), [(3.0, 1e-9), (2.6, 0.01), (3.4, 0.01)])
def test_the_mean_of_the_students_levels_is_its_score_in_the_middle(mean, tolerance):
    probs = level_log_probs(torch.tensor([(mean - 1) / 4]).double(), torch.tensor([0.4])).exp()
    assert (probs @ torch.arange(1.0, 6.0).double()).item() == pytest.approx(mean, abs=tolerance)


def test_ranking_loss_is_the_weighted_mean_of_softplus():
    gap, prob = torch.tensor([0.2, 0.1]), torch.tensor([0.9, 0.3])
    confidence = torch.tensor([0.531, 0.119])
    agreeing, opposing = math.log1p(math.exp(-2.0)), math.log1p(math.exp(1.0))
    by_hand = (0.531 * agreeing + 0.119 * opposing) / (0.531 + 0.119)
    found = ranking_loss(gap, prob, confidence, temperature=0.1)
    assert found.item() == pytest.approx(by_hand, rel=1e-5)


def test_each_pair_may_have_a_temperature_of_its_own():
    gap, prob, ones = torch.tensor([0.2, 0.1]), torch.tensor([0.9, 0.3]), torch.ones(2)
    for loss in (ranking_loss, preference_loss, fidelity_loss):
        one, other = (
            loss(gap[k : k + 1], prob[k : k + 1], ones[:1], temperature=tau).item()
            for k, tau in enumerate((0.1, 0.4))
        )
        both = loss(gap, prob, ones, temperature=torch.tensor([0.1, 0.4])).item()
        assert both == pytest.approx((one + other) / 2)


def test_margin_loss_asks_for_no_more_than_the_margin():
    gap, prob = torch.tensor([0.2, 0.04, -0.1, 0.3]), torch.tensor([0.9, 0.9, 0.9, 0.1])
    by_hand = (0 + 0.01 + 0.15 + 0.35) / 4
    assert margin_loss(gap, prob, torch.ones(4), margin=0.05).item() == pytest.approx(by_hand)


@pair_losses
@settings(max_examples=25)
@given(values=gaps)
def test_pair_losses_ignore_pairs_of_weight_zero(loss, values):
    gap = torch.tensor(values, requires_grad=True)
    found = loss(gap, torch.full_like(gap, 0.7), torch.zeros_like(gap))
    found.backward()
    assert found.item() == 0
    assert gap.grad is not None
    assert gap.grad.eq(0).all()


@pair_losses
@settings(max_examples=25)
@given(values=gaps, prob=st.floats(0.05, 0.95))
def test_pair_losses_do_not_depend_on_which_image_comes_first(loss, values, prob):
    gap = torch.tensor(values, dtype=torch.float64)
    probs, ones = torch.full_like(gap, prob), torch.ones_like(gap)
    assert loss(gap, probs, ones).item() == pytest.approx(loss(-gap, 1 - probs, ones).item())


@pytest.mark.parametrize("name", ["ranking", "margin"])
def test_losses_on_the_sign_leave_out_pairs_without_one(name):
    gap, prob = torch.tensor([0.1, 0.3]), torch.tensor([0.8, 0.5])
    alone = PAIR_LOSSES[name](gap[:1], prob[:1], torch.ones(1))
    assert PAIR_LOSSES[name](gap, prob, torch.ones(2)).item() == pytest.approx(alone.item())


def test_preference_loss_is_least_where_the_student_shares_the_preference():
    prob = torch.tensor([0.8])
    gap = torch.tensor([0.1 * math.log(0.8 / 0.2)], requires_grad=True)
    loss = preference_loss(gap, prob, torch.ones(1), temperature=0.1)
    loss.backward()
    entropy = -(0.8 * math.log(0.8) + 0.2 * math.log(0.2))
    assert loss.item() == pytest.approx(entropy, rel=1e-5)
    assert gap.grad is not None
    assert gap.grad.item() == pytest.approx(0, abs=1e-5)


def test_fidelity_has_the_slope_of_the_logistic_preference_at_zero():
    gap = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    prob = torch.special.ndtr(gap / 0.2 * math.sqrt(math.pi / 8))
    (slope,) = torch.autograd.grad(prob.sum(), gap)
    assert slope.item() == pytest.approx(1 / (4 * 0.2))


def test_fidelity_loss_is_bounded_and_finite_for_certain_and_wrong_students():
    gap = torch.tensor([1e3, -1e3, 0.0, 0.4], requires_grad=True)
    prob = torch.tensor([0.0, 1.0, 1.0, 0.0])
    loss = fidelity_loss(gap, prob, torch.ones(4), temperature=0.1)
    loss.backward()
    assert 0 < loss.item() <= 1
    assert gap.grad is not None
    assert torch.isfinite(gap.grad).all()


@pair_losses
def test_pair_losses_of_no_pair_are_zero(loss):
    none = torch.empty(0, requires_grad=True)
    assert loss(none, none, none).item() == 0


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
