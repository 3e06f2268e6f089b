"""Builds students on timm backbones: the one file that knows timm.

Where the first weights come from: timm's model hub, a file, a spectrum analyser, or chance.
"""

from pathlib import Path

import timm
import torch
from timm.models.convnext import ConvNeXt, ConvNeXtBlock
from torch import nn

from schemas.errors import SettingsError, TrainingError
from train.dct_init import start_as_spectrum_analyser
from train.score_head import ScoreHead, map_width
from train.settings import StudentSettings
from train.student_module import Student
from train.weights_file import load_backbone

__all__ = ["FIRST_SCORE", "Student", "empty_student", "initial_student"]

FIRST_SCORE = 0.5
"""Where every score starts: the middle of the scale, so that no early step has far to go."""


def initial_student(settings: StudentSettings, *, seed: int) -> Student:
    """Build a student with its first weights; the same seed gives the same weights.

    Raises:
        SettingsError: the backbone is unknown, refuses `backbone_args`, has no linear head, or
            is no ConvNeXt (for "dct").
        TrainingError: weights cannot be had or do not fit the backbone.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        student = _build(settings, pretrained=settings.init == "pretrained")
        match settings.init:
            case "path":
                classifier = student.network.pretrained_cfg["classifier"]
                names = (classifier,) if isinstance(classifier, str) else tuple(classifier)
                load_backbone(student.network, Path(settings.init_weights), classifiers=names)
            case "dct":
                _start_from_dct(student, settings.backbone, torch.Generator().manual_seed(seed))
        if student.score_head is not None:
            student.score_head.start(FIRST_SCORE)
        else:
            classifier = student.network.get_classifier()
            nn.init.normal_(classifier.weight, std=0.01)
            nn.init.constant_(classifier.bias, FIRST_SCORE)
    student.freeze_backbone(frozen=settings.trained == "head")
    return student


def empty_student(settings: StudentSettings | str) -> Student:
    """Build a student whose weights are about to be loaded from a finished stage.

    Args:
        settings: its architecture; a backbone's name alone stands for the default head.
    """
    if isinstance(settings, str):
        settings = StudentSettings(backbone=settings, init="random")
    return _build(settings, pretrained=False)


def _build(settings: StudentSettings, *, pretrained: bool) -> Student:
    try:
        network = timm.create_model(
            settings.backbone, pretrained=pretrained, num_classes=1, **settings.backbone_args
        )
    except (OSError, RuntimeError, ValueError, TypeError) as error:
        raise _build_error(settings, error, pretrained=pretrained) from error
    classifier = network.get_classifier()
    if not isinstance(classifier, nn.Linear):
        raise SettingsError(
            f"{settings.backbone} ends in {type(classifier).__name__}, not in one linear layer",
            where="student.backbone",
            fix="choose a timm classification model with a linear classifier",
        )
    mean_std, head = settings.pooling == "mean_std", None
    if mean_std or settings.hidden:
        feature_count = map_width(network) if mean_std else classifier.in_features
        head = ScoreHead(feature_count, settings.hidden)
        network.reset_classifier(0)
    normalisation = (settings.input_mean, settings.input_std)
    network = network.to(memory_format=torch.channels_last)
    return Student(network, head, pooling=settings.pooling, normalisation=normalisation)


def _build_error(settings: StudentSettings, error: Exception, *, pretrained: bool) -> Exception:
    backbone = settings.backbone
    if not timm.is_model(backbone.split(".", maxsplit=1)[0]):
        return SettingsError(
            f"timm has no model {backbone!r}",
            where="student.backbone",
            fix="choose a name from timm.list_models(), for example convnext_base",
        )
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    if isinstance(error, TypeError) and settings.backbone_args:
        return SettingsError(
            f"{backbone} cannot be built with {settings.backbone_args}: {reason}",
            where="student.backbone_args",
            fix="give arguments that timm.create_model takes for this model",
        )
    if not pretrained:
        return error
    return TrainingError(
        f"the pretrained weights of {backbone} cannot be had: {reason}",
        where="student.init = pretrained",
        fix="connect to the model hub once; or give a file with --set student.init=path"
        " --set student.init_weights=FILE; or for a ConvNeXt say --set student.init=dct",
    )


def _start_from_dct(student: Student, backbone: str, generator: torch.Generator) -> None:
    """Give a ConvNeXt a spectrum analyser as its stem and first block."""
    network = student.network
    stem = network.stem[0] if isinstance(network, ConvNeXt) else None
    if not isinstance(stem, nn.Conv2d) or stem.kernel_size != stem.stride:
        raise SettingsError(
            f"{backbone} has no patch stem for DCT filters",
            where="student.init = dct",
            fix="choose a ConvNeXt, or another student.init",
        )
    gammas = [
        block.gamma
        for block in network.modules()
        if isinstance(block, ConvNeXtBlock) and block.gamma is not None
    ]
    first = network.stages[0].blocks[0]
    start_as_spectrum_analyser(stem, first.conv_dw, first.mlp.fc1, gammas, generator=generator)
