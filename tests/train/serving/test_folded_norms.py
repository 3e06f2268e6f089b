"""Folding must change the time alone: checked on families that place their norms differently."""

import copy

import pytest
import timm
import torch
from torch import nn

from train.serving.folded_norms import fold_batch_norms

FOLDED = {"mobilenetv2_100": 52, "resnet18": 20, "regnety_002": 44, "resnetv2_50": 32}


def _network(name):
    torch.manual_seed(0)
    network = timm.create_model(name, num_classes=1, drop_path_rate=0.0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
            module.running_mean.normal_(std=0.2)
            module.running_var.uniform_(0.5, 2.0)
    return network.eval()


@pytest.mark.parametrize("name", FOLDED)
def test_scores_stay_and_norms_go(name):
    network = _network(name)
    folded = copy.deepcopy(network)
    assert fold_batch_norms(folded) == FOLDED[name]
    views = torch.randn(2, 3, 96, 96)
    with torch.inference_mode():
        features, other = network.forward_features(views), folded.forward_features(views)
    assert (features - other).abs().max() < 1e-4 * features.abs().max()
    left = sum(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    # Norms before a convolution, or after none, have nothing to go into.
    assert left == sum(isinstance(m, nn.BatchNorm2d) for m in network.modules()) - FOLDED[name]


@pytest.mark.parametrize("name", ["convnext_atto", "vit_tiny_patch16_224", "nf_resnet26"])
def test_networks_without_batch_norms_stay_as_they_are(name):
    network = timm.create_model(name, num_classes=1).eval()
    before = copy.deepcopy(network.state_dict())
    assert fold_batch_norms(network) == 0
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


class _Shared(nn.Module):
    """One normalisation of two convolutions, and one whose input is used twice."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = (nn.Conv2d(3, 3, 1) for _ in range(3))
        self.twice, self.beside = nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def forward(self, x):
        x = self.twice(self.second(self.twice(self.first(x))))
        x = self.third(x)
        return x + self.beside(x)


def test_what_others_use_too_is_not_folded():
    assert fold_batch_norms(_Shared().eval()) == 0


def test_a_network_that_cannot_be_traced_stays():
    class Choosing(nn.Sequential):
        def forward(self, x):
            return super().forward(x) if x.sum() > 0 else x

    network = Choosing(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)).eval()
    assert fold_batch_norms(network) == 0
    assert isinstance(network[1], nn.BatchNorm2d)
