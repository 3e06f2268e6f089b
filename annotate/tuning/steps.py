"""The optimiser of a tuning: AdamW, a rate that rises and falls, gradients of bounded length."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from annotate.tuning.settings import TuneSettings

_PREFIX = "adamw."


class Steps:
    """Steps down the gradients of what is learnt.

    Args:
        learnt: parameters by name.
        settings: rates, decay, warm-up and the bound.
    """

    def __init__(self, learnt: dict[str, nn.Parameter], settings: TuneSettings) -> None:
        self._learnt, self._settings = learnt, settings
        self._adamw = torch.optim.AdamW(_groups(learnt, settings))

    def step(self, *, progress: float) -> float:
        """Go one step down the gradients that were added up since the last one.

        Args:
            progress: share of the training that is done, in [0, 1].

        Returns:
            The length of the gradients before they were cut; where it is not finite, nothing was
            changed.
        """
        factor = rate_factor(progress, warmup_fraction=self._settings.warmup_fraction)
        for group in self._adamw.param_groups:
            group["lr"] = factor * group["top_rate"]
        norm = nn.utils.clip_grad_norm_(self._learnt.values(), self._settings.gradient_norm).item()
        if math.isfinite(norm):
            self._adamw.step()
        self._adamw.zero_grad(set_to_none=True)
        return norm

    def state(self) -> dict[str, Tensor]:
        """Moments and step counts by name; not copies."""
        return {
            f"{_PREFIX}{kind}/{name}": value
            for name, parameter in self._learnt.items()
            for kind, value in self._adamw.state.get(parameter, {}).items()
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from what `state` gave; other tensors may stand beside. Raises KeyError."""
        for key, value in tensors.items():
            place, _, name = key.partition("/")
            if place.startswith(_PREFIX):
                parameter = self._learnt[name]
                # In the parameter's own layout: another order of the same sums rounds otherwise.
                own = torch.empty_like(parameter) if value.ndim else torch.empty_like(value)
                kind = place.removeprefix(_PREFIX)
                self._adamw.state[parameter][kind] = own.detach().copy_(value)


def rate_factor(progress: float, *, warmup_fraction: float) -> float:
    """Share of the highest rate: a straight rise from 0, then half a cosine back to it.

    Args:
        progress: share of the training that is done, in [0, 1].
        warmup_fraction: share of the training in which the rate rises, in [0, 1).
    """
    if progress < warmup_fraction:
        return progress / warmup_fraction
    done = (progress - warmup_fraction) / (1.0 - warmup_fraction)
    return 0.5 * (1.0 + math.cos(math.pi * done))


def _groups(learnt: dict[str, nn.Parameter], settings: TuneSettings) -> list[dict[str, Any]]:
    """What is new has a rate of its own; vectors are not decayed."""
    found = []
    for is_new, rate in ((False, settings.learning_rate), (True, settings.new_learning_rate)):
        for decayed in (True, False):
            members = [
                one
                for name, one in learnt.items()
                if (name == "rows" or name.startswith("mlp.")) == is_new
                and (one.ndim > 1) == decayed
            ]
            decay = settings.weight_decay if decayed else 0.0
            found.append({"params": members, "lr": rate, "top_rate": rate, "weight_decay": decay})
    return [group for group in found if group["params"]]
