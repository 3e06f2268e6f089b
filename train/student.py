"""The student: a timm backbone with one linear score, and where its first weights come from.

The only file that knows timm. A student takes pixels as they are in the file (0 to 255) and
normalises them itself, with the mean and deviation its backbone was trained with.
"""

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.models.convnext import ConvNeXt, ConvNeXtBlock
from torch import Tensor, nn

from schemas.errors import SettingsError, TrainingError
from train.dct_init import identity_kernels, luminance_dct_filters, magnitude_rows
from train.settings import StudentSettings

FIRST_SCORE = 0.5
"""Where every score starts: the middle of the scale, so that no early step has far to go."""

HIGH_FREQUENCY_GAIN = 3.0
MAGNITUDE_GAIN = 2.0
KERNEL_NOISE = 0.02


class Student(nn.Module):
    """Scores pictures; 0 is the worst quality and 1 the best, not clipped."""

    network: Any  # timm's models have no common type
    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        config = self.network.pretrained_cfg
        for name, key in (("pixel_mean", "mean"), ("pixel_std", "std")):
            values = 255.0 * torch.tensor(config[key]).view(1, 3, 1, 1)
            self.register_buffer(name, values, persistent=False)

    @property
    def head(self) -> nn.Linear:
        """The linear layer whose one output is the score."""
        head: nn.Linear = self.network.get_classifier()
        return head

    def forward(self, pixels: Tensor) -> Tensor:
        """Score a batch.

        Args:
            pixels: (B, 3, H, W) uint8 or float, 0 to 255, RGB.

        Returns:
            (B,) float32 scores.
        """
        normalised = (pixels - self.pixel_mean) / self.pixel_std
        scores: Tensor = self.network(normalised.contiguous(memory_format=torch.channels_last))
        return scores.squeeze(-1)

    def rescale(self, scale: float, shift: float) -> None:
        """Make every later score `scale * score + shift`, by changing the head's weights."""
        with torch.no_grad():
            self.head.weight.mul_(scale)
            self.head.bias.mul_(scale).add_(shift)


def initial_student(settings: StudentSettings, *, seed: int) -> Student:
    """Build a student with its first weights; the same seed gives the same weights.

    Raises:
        SettingsError: the backbone is unknown, has no linear head, or is no ConvNeXt (for "dct").
        TrainingError: weights cannot be had or do not fit the backbone.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        student = _build(settings.backbone, pretrained=settings.init == "pretrained")
        match settings.init:
            case "path":
                _load_backbone(student, Path(settings.init_weights))
            case "dct":
                _start_from_dct(student, settings.backbone, torch.Generator().manual_seed(seed))
        nn.init.normal_(student.head.weight, std=0.01)
        nn.init.constant_(student.head.bias, FIRST_SCORE)
    return student


def empty_student(backbone: str) -> Student:
    """Build a student whose weights are about to be loaded from a finished stage."""
    return _build(backbone, pretrained=False)


def _build(backbone: str, *, pretrained: bool) -> Student:
    try:
        network = timm.create_model(backbone, pretrained=pretrained, num_classes=1)
    except (OSError, RuntimeError, ValueError) as error:
        raise _build_error(backbone, error, pretrained=pretrained) from error
    student = Student(network.to(memory_format=torch.channels_last))
    if not isinstance(student.head, nn.Linear):
        raise SettingsError(
            f"{backbone} ends in {type(student.head).__name__}, not in one linear layer",
            where="student.backbone",
            fix="choose a timm classification model with a linear classifier",
        )
    return student


def _build_error(backbone: str, error: Exception, *, pretrained: bool) -> Exception:
    if not timm.is_model(backbone.split(".", maxsplit=1)[0]):
        return SettingsError(
            f"timm has no model {backbone!r}",
            where="student.backbone",
            fix="choose a name from timm.list_models(), for example convnext_base",
        )
    if not pretrained:
        return error
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return TrainingError(
        f"the pretrained weights of {backbone} cannot be had: {reason}",
        where="student.init = pretrained",
        fix="connect to the model hub once; or give a file with --set student.init=path"
        " --set student.init_weights=FILE; or for a ConvNeXt say --set student.init=dct",
    )


def _load_backbone(student: Student, path: Path) -> None:
    """Load all weights but the classifier's."""
    found = _read_weights(path)
    wanted = student.network.state_dict()
    prefix = student.network.pretrained_cfg["classifier"]
    head = {name for name in wanted if name.startswith(f"{prefix}.")}
    kept = {name: value for name, value in found.items() if name in wanted and name not in head}
    problems = [f"{name} is missing" for name in wanted.keys() - kept.keys() - head]
    problems += [
        f"{name} is {tuple(value.shape)}, not {tuple(wanted[name].shape)}"
        for name, value in kept.items()
        if value.shape != wanted[name].shape
    ]
    if problems:
        raise TrainingError(
            f"the weights are of another backbone: {len(problems)} differ, first {problems[0]}",
            where=path,
            fix="give weights of the model named in student.backbone",
        )
    student.network.load_state_dict(kept, strict=False)


def _read_weights(path: Path) -> dict[str, Tensor]:
    try:
        weights: dict[str, Tensor] = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except (OSError, ValueError, RuntimeError, UnpicklingError, SafetensorError) as error:
        raise TrainingError(
            f"the weights cannot be read: {error}",
            where=path,
            fix="give a .safetensors file, or a state dict that torch.load reads safely",
        ) from error
    return weights


def _start_from_dct(student: Student, backbone: str, generator: torch.Generator) -> None:
    """Give a ConvNeXt a spectrum analyser as its stem and first block."""
    network = student.network
    if not isinstance(network, ConvNeXt) or not _is_patch_stem(network.stem[0]):
        raise SettingsError(
            f"{backbone} has no patch stem for DCT filters",
            where="student.init = dct",
            fix="choose a ConvNeXt, or another student.init",
        )
    stem, first = network.stem[0], network.stages[0].blocks[0]
    hidden, width = first.mlp.fc1.weight.shape[:2]
    filters = luminance_dct_filters(
        stem.kernel_size[0], stem.out_channels, high_frequency_gain=HIGH_FREQUENCY_GAIN
    )
    kernels = identity_kernels(
        width, first.conv_dw.kernel_size[0], noise_std=KERNEL_NOISE, generator=generator
    )
    rows = magnitude_rows(hidden, width, gain=MAGNITUDE_GAIN, generator=generator)
    with torch.no_grad():
        stem.weight.copy_(filters)
        first.conv_dw.weight.copy_(kernels)
        first.mlp.fc1.weight.copy_(rows.view_as(first.mlp.fc1.weight))
        for block in network.modules():
            if isinstance(block, ConvNeXtBlock) and block.gamma is not None:
                block.gamma.fill_(1.0)


def _is_patch_stem(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Conv2d) and layer.kernel_size == layer.stride
