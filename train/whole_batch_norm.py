"""Batch norm over a whole batch that several processes share.

PyTorch's SyncBatchNorm works on GPUs alone; this one works everywhere, and one process with the
whole batch would compute the same.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from train.parallel import add_up, process_count


class WholeBatchNorm(nn.Module):
    """A batch norm layer with the parameters, buffers and names of another, its own from now on."""

    weight: nn.Parameter | None
    bias: nn.Parameter | None
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, norm: _BatchNorm) -> None:
        super().__init__()
        self._eps, self._momentum = norm.eps, norm.momentum
        self.weight, self.bias = norm.weight, norm.bias
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            self.register_buffer(name, getattr(norm, name))
        # timm puts the activation into the norm's layer.
        self.drop = getattr(norm, "drop", None) or nn.Identity()
        self.act = getattr(norm, "act", None) or nn.Identity()
        self.train(norm.training)

    def forward(self, maps: Tensor) -> Tensor:
        """Normalise (b, C, H, W), this process's share of a batch."""
        if self.training:
            mean, variance = self._statistics(maps)
        else:
            mean, variance = self.running_mean, self.running_var
        scale = torch.rsqrt(variance + self._eps)
        normalised = (maps - mean[:, None, None]) * scale[:, None, None]
        if self.weight is not None and self.bias is not None:
            normalised = normalised * self.weight[:, None, None] + self.bias[:, None, None]
        result: Tensor = self.act(self.drop(normalised))
        return result

    def _statistics(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of each channel over all processes; the running ones follow."""
        values = maps.float()
        count = float(add_up(torch.tensor([maps.numel() / maps.shape[1]], dtype=torch.float64)))
        mean = _sum(values.sum((0, 2, 3))) / count
        variance = _sum((values - mean[:, None, None]).square().sum((0, 2, 3))) / count
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            share = self._momentum
            if share is None:
                share = 1.0 / float(self.num_batches_tracked)
            self.running_mean.lerp_(mean, share)
            self.running_var.lerp_(variance * count / max(count - 1.0, 1.0), share)
        return mean, variance


def _sum(own: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(own)  # type: ignore[no-untyped-call]
    return total


class _Sum(torch.autograd.Function):
    """Sum over the processes, whose losses are parts of one sum too."""

    @staticmethod
    def forward(_context: Any, own: Tensor) -> Tensor:
        return add_up(own.clone())

    @staticmethod
    def backward(_context: Any, *gradients: Tensor) -> Tensor:
        return add_up(gradients[0].contiguous().clone())


def share_batch_norms(module: nn.Module) -> None:
    """Where several processes work together, replace every batch norm in place."""
    if process_count() == 1:
        return
    for name, child in module.named_children():
        if isinstance(child, _BatchNorm):
            setattr(module, name, WholeBatchNorm(child))
        else:
            share_batch_norms(child)
