"""The part of a student that training may change: copied, saved, put back."""

import torch
from torch import Tensor, nn


def trained_weights(student: nn.Module) -> dict[str, Tensor]:
    """The student's own tensors, not copies: trained parameters and all buffers, by name.

    Parameters that are frozen are left out: they are what they were when training began.
    """
    frozen = {name for name, value in student.named_parameters() if not value.requires_grad}
    return {name: value for name, value in student.state_dict().items() if name not in frozen}


def copy_of_weights(student: nn.Module) -> dict[str, Tensor]:
    """What `trained_weights` names, as it is now."""
    return {name: value.clone() for name, value in trained_weights(student).items()}


@torch.no_grad()
def put_weights(student: nn.Module, weights: dict[str, Tensor]) -> None:
    """Write values that were copied or read into the student in place.

    Raises:
        KeyError: the names are not those that `trained_weights` gives.
        RuntimeError: a shape differs.
    """
    own = trained_weights(student)
    if own.keys() != weights.keys():
        raise KeyError(f"other weights: {sorted(own.keys() ^ weights.keys())[:3]}")
    for name, value in own.items():
        if value.shape != weights[name].shape:
            raise RuntimeError(f"{name} is {tuple(weights[name].shape)}, not {tuple(value.shape)}")
        value.copy_(weights[name])
