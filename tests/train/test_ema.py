import pytest
import torch
from torch import nn

from train.ema import WeightAverage


def _steps(module, weights):
    for weight in weights:
        with torch.no_grad():
            module.weight.fill_(weight)
        yield


def test_the_average_follows_its_formula():
    module = nn.Linear(1, 1)
    nn.init.constant_(module.weight, 1.0)
    average, wanted = WeightAverage(module, 0.3), 1.0
    for number, _ in enumerate(_steps(module, [2.0, 5.0, -1.0, 4.0]), start=1):
        average.update()
        decay = min(0.3, (1 + number) / (10 + number))
        wanted = decay * wanted + (1 - decay) * module.weight.item()
        assert average.values["weight"].item() == pytest.approx(wanted, rel=1e-6)


def test_the_student_has_the_averages_for_a_while_and_then_its_own_weights():
    module = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1))
    average = WeightAverage(module, 0.9)
    module(torch.rand(4, 1, 2, 2))
    with torch.no_grad():
        module[0].weight.add_(1.0)
    own = {name: value.clone() for name, value in module.state_dict().items()}
    average.update()
    with average.in_use():
        assert torch.equal(module[0].weight, average.values["0.weight"])
        assert not torch.equal(module[0].weight, own["0.weight"])
        assert torch.equal(module[1].running_mean, average.values["1.running_mean"])
        assert module[1].num_batches_tracked == 1
    assert all(torch.equal(value, own[name]) for name, value in module.state_dict().items())


def test_frozen_parameters_are_not_averaged():
    module = nn.Linear(1, 1)
    module.bias.requires_grad = False
    assert WeightAverage(module, 0.9).values.keys() == {"weight"}
