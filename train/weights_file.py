"""Initial weights from a file: any format that loads without running code, and a clear refusal.

A file may hold more classes than one score; whatever ends in the classifier is left out. All
else must be there, have the same shape, and nothing else may be in the file: two architectures
can share a good part of their names.
"""

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from schemas.errors import TrainingError

WRAPPERS = ("state_dict", "model", "model_state")
"""Keys under which training scripts put a state dict beside other things."""

OWN_HEAD = "score_head."
"""Prefix of the tensors of a student's own score head."""


def load_backbone(network: nn.Module, path: Path, *, classifiers: tuple[str, ...]) -> None:
    """Load all weights but the classifier's.

    Args:
        network: a timm model.
        path: .safetensors, or what torch.load reads safely.
        classifiers: names of the classifier's modules.

    Raises:
        TrainingError: the file cannot be read, or is of another architecture.
    """
    left_out = (*(f"{name}." for name in classifiers), OWN_HEAD)
    found = {name: value for name, value in _read(path).items() if not name.startswith(left_out)}
    wanted = {
        name: value for name, value in network.state_dict().items() if not name.startswith(left_out)
    }
    if problems := _differences(found, wanted):
        raise TrainingError(
            f"the weights are of another architecture: {'; '.join(problems)}",
            where=path,
            fix="give weights of the model named in student.backbone, with the same"
            " student.backbone_args",
        )
    network.load_state_dict(found, strict=False)


def _differences(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> list[str]:
    """What keeps the file from fitting, one text per kind of difference."""
    missing = [name for name in wanted if name not in found]
    # Index tables and counters come and go between versions of timm; weights do not.
    strange = [n for n, value in found.items() if n not in wanted and value.is_floating_point()]
    reshaped = [
        f"{name} is {tuple(found[name].shape)}, not {tuple(value.shape)}"
        for name, value in wanted.items()
        if name in found and found[name].shape != value.shape
    ]
    return [
        f"{len(names)} of {count} tensors {text}, first {names[0]}"
        for names, count, text in (
            (missing, len(wanted), "of the backbone are missing"),
            (strange, len(found), "in the file are not the backbone's"),
            (reshaped, len(wanted), "have another shape"),
        )
        if names
    ]


def _read(path: Path) -> dict[str, Tensor]:
    try:
        found: Any = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except (OSError, ValueError, RuntimeError, UnpicklingError, SafetensorError) as error:
        raise _unreadable(path, str(error)) from error
    for wrapper in WRAPPERS:
        if isinstance(found, dict) and isinstance(found.get(wrapper), dict):
            found = found[wrapper]
    if not isinstance(found, dict) or not all(isinstance(v, Tensor) for v in found.values()):
        raise _unreadable(path, "it holds no state dict")
    return {str(name).removeprefix("module."): value for name, value in found.items()}


def _unreadable(path: Path, reason: str) -> TrainingError:
    return TrainingError(
        f"the weights cannot be read: {reason}",
        where=path,
        fix="give a .safetensors file, or a state dict that torch.load reads safely",
    )
