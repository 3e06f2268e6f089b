"""The optimiser that both stages use: AdamW, warm-up, cosine decay, one guarded step."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from schemas.errors import TrainingError
from train.stage_settings import OptimiserSettings
from train.student import Student

GRADIENT_NORM = 1.0
"""Longer gradients are cut to this norm: single odd batches must not undo what was learnt."""


class Optimiser:
    """AdamW over a student."""

    def __init__(self, student: Student, settings: OptimiserSettings) -> None:
        self._warmup_fraction = settings.warmup_fraction
        self._parameters = list(student.parameters())
        groups = _parameter_groups(student, settings)
        self._top_rates = [settings.learning_rate * group.rate_factor for group in groups]
        self._adamw = torch.optim.AdamW(
            [{"params": group.members, "weight_decay": group.weight_decay} for group in groups]
        )

    def step(self, loss: Tensor, *, progress: float) -> None:
        """Go one step down the loss.

        Args:
            loss: scalar.
            progress: share of the training that is done, in [0, 1].

        Raises:
            TrainingError: the loss is not finite; the weights are left as they were.
        """
        if not torch.isfinite(loss):
            raise TrainingError(
                "the loss is no longer a number",
                where=f"{progress:.0%} of the training",
                fix="lower learning_rate, or raise warmup_fraction",
            )
        factor = rate_factor(progress, warmup_fraction=self._warmup_fraction)
        for group, top_rate in zip(self._adamw.param_groups, self._top_rates, strict=True):
            group["lr"] = factor * top_rate
        self._adamw.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._parameters, GRADIENT_NORM)
        self._adamw.step()


def rate_factor(progress: float, *, warmup_fraction: float) -> float:
    """Share of the highest rate: a straight rise from zero, then half a cosine back to it.

    Args:
        progress: share of the training that is done, in [0, 1].
        warmup_fraction: share of the training in which the rate rises, in [0, 1).

    Returns:
        In [0, 1].
    """
    if progress < warmup_fraction:
        return progress / warmup_fraction
    done = (progress - warmup_fraction) / (1.0 - warmup_fraction)
    return 0.5 * (1.0 + math.cos(math.pi * done))


class _ParameterGroup(NamedTuple):
    members: list[nn.Parameter]
    rate_factor: float
    weight_decay: float


def _parameter_groups(student: Student, settings: OptimiserSettings) -> list[_ParameterGroup]:
    """The head learns faster; biases, norms and layer scales are not decayed."""
    head = list(student.head.parameters())
    in_head = {id(parameter) for parameter in head}
    backbone = [p for p in student.parameters() if id(p) not in in_head]
    return [
        _ParameterGroup(
            members=[p for p in members if (p.ndim > 1) == decayed],
            rate_factor=factor,
            weight_decay=settings.weight_decay if decayed else 0.0,
        )
        for members, factor in ((backbone, 1.0), (head, settings.head_rate_factor))
        for decayed in (True, False)
    ]
