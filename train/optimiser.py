"""The optimiser that both stages use: AdamW, warm-up, cosine decay, one guarded step."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from schemas.errors import TrainingError
from train.parallel import add_up_gradients
from train.stage_settings import OptimiserSettings
from train.student import Student

GRADIENT_NORM = 1.0
"""Longer gradients are cut to this norm: single odd batches must not undo what was learnt."""


class Optimiser:
    """AdamW over what is trained of a student, with the gradients of all processes."""

    def __init__(self, student: Student, settings: OptimiserSettings) -> None:
        self._settings = settings
        groups = _parameter_groups(student, settings)
        self._parameters = [parameter for group in groups for parameter in group.members]
        self._top_rates = [settings.learning_rate * group.rate_factor for group in groups]
        self._adamw = torch.optim.AdamW(
            [{"params": group.members, "weight_decay": group.weight_decay} for group in groups]
        )
        self._adamw.zero_grad(set_to_none=True)  # of a training that was broken off

    def step(self, loss: Tensor, *, progress: float) -> None:
        """Go one step down the loss.

        Args:
            loss: scalar.
            progress: share of the training that is done, in [0, 1].

        Raises:
            TrainingError: the loss is not finite; the weights are left as they were.
        """
        self.require_finite(loss.item(), "loss", progress=progress)
        loss.backward()  # type: ignore[no-untyped-call]
        self.step_down(progress=progress)

    def step_down(self, *, progress: float) -> None:
        """Go one step down the gradients that were added up since the last step.

        Args:
            progress: share of the training that is done, in [0, 1].

        Raises:
            TrainingError: a gradient is not finite; the weights are left as they were.
        """
        factor = rate_factor(progress, warmup_fraction=self._settings.warmup_fraction)
        for group, top_rate in zip(self._adamw.param_groups, self._top_rates, strict=True):
            group["lr"] = factor * top_rate
        add_up_gradients(self._parameters)
        norm = nn.utils.clip_grad_norm_(self._parameters, GRADIENT_NORM)
        self.require_finite(norm.item(), "gradient", progress=progress)
        self._adamw.step()
        self._adamw.zero_grad(set_to_none=True)

    def require_finite(self, value: float, what: str, *, progress: float) -> None:
        """Stop a training that has left all bounds, before it spoils the weights.

        Raises:
            TrainingError: with the epoch, counted from 1, and what to do.
        """
        if not math.isfinite(value):
            epochs = self._settings.epochs
            raise TrainingError(
                f"the {what} is no longer a number",
                where=f"epoch {min(int(progress * epochs) + 1, epochs)} of {epochs}",
                fix="train in a new folder with a lower learning_rate or a higher warmup_fraction"
                " of this stage, or with amp = false; what was saved before is whole",
            )

    def state(self) -> dict[str, Tensor]:
        """Moments and step counts, by place of the parameter; not copies."""
        return {
            f"{place}.{name}": value
            for place, parameter in enumerate(self._parameters)
            for name, value in self._adamw.state.get(parameter, {}).items()
        }

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from what `state` gave."""
        for name, value in state.items():
            place, _, kind = name.partition(".")
            parameter = self._parameters[int(place)]
            # In the parameter's own layout: another order of the same sums rounds otherwise.
            own = torch.empty_like(parameter) if value.ndim else torch.empty_like(value)
            self._adamw.state[parameter][kind] = own.detach().copy_(value)


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
    in_head = {id(parameter) for parameter in student.head.parameters()}
    trained = [p for p in student.parameters() if p.requires_grad]
    head = [p for p in trained if id(p) in in_head]
    backbone = [p for p in trained if id(p) not in in_head]
    groups = [
        _ParameterGroup(
            members=[p for p in members if (p.ndim > 1) == decayed],
            rate_factor=factor,
            weight_decay=settings.weight_decay if decayed else 0.0,
        )
        for members, factor in ((backbone, 1.0), (head, settings.head_rate_factor))
        for decayed in (True, False)
    ]
    return [group for group in groups if group.members]
