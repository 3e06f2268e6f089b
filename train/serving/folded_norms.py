"""Batch normalisations folded into the convolutions before them: the same scores in less time.

A trained batch normalisation multiplies and adds per channel, which the convolution before it can
do in its own weights. Networks of many small convolutions spend a third of their time there.
"""

from collections import Counter

from timm.layers import BatchNormAct2d
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights


def fold_batch_norms(network: nn.Module) -> int:
    """Fold what can be folded, in place; the network can score afterwards, and learn no more.

    A normalisation is folded where the network's own graph shows that it alone takes the output
    of one plain convolution. A network that cannot be traced stays as it is.

    Args:
        network: a timm model in evaluation mode; its scores change by rounding alone.

    Returns:
        Number of normalisations folded.
    """
    try:
        graph = _Tracer().trace(network)
    except (AttributeError, RuntimeError, TypeError, ValueError):  # forms of "cannot be traced"
        return 0
    modules = dict(network.named_modules())
    calls = Counter(node.target for node in graph.nodes if node.op == "call_module")
    folded = 0
    for node in graph.nodes:
        norm = modules.get(str(node.target)) if node.op == "call_module" else None
        if norm is None or type(norm) not in (nn.BatchNorm2d, BatchNormAct2d):
            continue
        before = node.args[0]
        alone = before.op == "call_module" and len(before.users) == 1
        if not alone or calls[before.target] != 1 or calls[node.target] != 1:
            continue
        convolution = modules[before.target]
        # A subclass may compute its weights anew in every pass.
        if type(convolution) is nn.Conv2d and _fold(convolution, norm):
            network.set_submodule(str(node.target), _rest(norm))
            folded += 1
    return folded


class _Tracer(fx.Tracer):
    """Sees a normalisation as one step also where timm gives it an activation."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, nn.BatchNorm2d) or super().is_leaf_module(m, module_qualified_name)


def _fold(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> bool:
    if norm.running_mean is None or norm.running_var is None:
        return False  # it looks at each batch anew
    convolution.weight, bias = fuse_conv_bn_weights(
        convolution.weight,
        convolution.bias,
        norm.running_mean,
        norm.running_var,
        norm.eps,
        norm.weight,
        norm.bias,
    )
    convolution.bias = bias
    return True


def _rest(norm: nn.BatchNorm2d) -> nn.Module:
    """What a normalisation does beside normalising."""
    if isinstance(norm, BatchNormAct2d):
        return nn.Sequential(norm.drop, norm.act).eval()
    return nn.Identity()
