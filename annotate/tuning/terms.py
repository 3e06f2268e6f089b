"""What a tuning goes down: the weighted sum of the losses of one batch."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from annotate.tuning import losses
from annotate.tuning.model import Said
from annotate.tuning.settings import LossSettings


class Terms(NamedTuple):
    """The weighted sum that is gone down, and its parts without their weights; 0 if left out."""

    total: Tensor
    token: Tensor
    score: Tensor
    soft_label: Tensor
    fidelity: Tensor
    norm: Tensor


def terms_of(
    said: Said, mos: Tensor, tokens: Tensor, *, known_tokens: int, weights: LossSettings
) -> Terms:
    """The losses of one batch.

    Args:
        said: what the teacher made of it.
        mos: (B,) in [0, 1].
        tokens: (B,) id of the right score token.
        known_tokens: V, where the score tokens begin among the logits.
        weights: of the terms.
    """
    score_logits = said.logits[:, known_tokens:]
    parts: list[tuple[float, Callable[[], Tensor]]] = [
        (weights.token_weight, lambda: losses.token_loss(said.logits, tokens)),
        (weights.score_weight, lambda: losses.score_loss(said.scores, mos)),
        (weights.soft_label_weight, lambda: losses.soft_label_loss(score_logits, mos)),
        (weights.fidelity_weight, lambda: losses.fidelity_loss(said.scores, mos)),
        (weights.norm_weight, lambda: losses.norm_in_norm_loss(said.scores, mos)),
    ]
    values = [term() if weight else mos.new_zeros(()) for weight, term in parts]
    total = torch.stack([w * v for (w, _), v in zip(parts, values, strict=True)]).sum()
    return Terms(total, *values)
