import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import TrainingError
from train.optimiser import Optimiser, rate_factor
from train.settings import StudentSettings
from train.stage_settings import OptimiserSettings
from train.student import initial_student


@given(st.floats(0, 1), st.floats(0, 0.9))
def test_the_rate_stays_between_nothing_and_the_highest(progress, warmup):
    assert 0 <= rate_factor(progress, warmup_fraction=warmup) <= 1


def test_the_rate_rises_then_falls_to_nothing():
    assert rate_factor(0.05, warmup_fraction=0.1) == pytest.approx(0.5)
    assert rate_factor(0.1, warmup_fraction=0.1) == pytest.approx(1)
    assert rate_factor(0.55, warmup_fraction=0.1) == pytest.approx(0.5)
    assert rate_factor(1.0, warmup_fraction=0.1) == pytest.approx(0)


def test_a_loss_that_is_no_number_stops_before_the_weights_are_touched():
    student = initial_student(StudentSettings(backbone="test_convnext", init="dct"), seed=0)
    before = [parameter.clone() for parameter in student.parameters()]
    optimiser = Optimiser(student, OptimiserSettings(epochs=1, batch_size=2, learning_rate=1))
    with pytest.raises(TrainingError, match="no longer a number"):
        optimiser.step(torch.tensor(float("nan"), requires_grad=True), progress=0.5)
    assert all(torch.equal(a, b) for a, b in zip(before, student.parameters(), strict=True))


def test_the_head_learns_faster_and_biases_are_not_decayed():
    student = initial_student(StudentSettings(backbone="test_convnext", init="dct"), seed=0)
    for parameter in student.parameters():
        parameter.requires_grad_()
    before = {name: value.clone() for name, value in student.named_parameters()}
    settings = OptimiserSettings(
        epochs=1, batch_size=2, learning_rate=0.01, head_rate_factor=5, weight_decay=1
    )
    optimiser = Optimiser(student, settings)
    optimiser.step(0 * sum(p.sum() for p in student.parameters()), progress=0.05)
    after = dict(student.named_parameters())
    shrink = {name: 1 - (after[name].norm() / before[name].norm()).item() for name in before}
    assert shrink["network.stem.0.weight"] == pytest.approx(0.01, abs=1e-4)
    assert shrink["network.head.fc.weight"] == pytest.approx(0.05, abs=1e-4)
    assert torch.equal(after["network.head.fc.bias"], before["network.head.fc.bias"])
    assert torch.equal(after["network.stem.1.weight"], before["network.stem.1.weight"])
