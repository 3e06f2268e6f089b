"""Finished stages of a run: a folder each, whole or not there.

    RUN/stages/<name>/model.safetensors   the student's weights, under timm's own names
    RUN/stages/<name>/stage.json          how to use them, and how they came about

The folder is filled under a temporary name and renamed, so a stage that can be seen is done.
"""

import json
import secrets
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
import torch
from safetensors.torch import load_file, save

from data_store.files import write_atomically
from schemas.errors import InputError, TrainingError
from train.calibration.mapping import IDENTITY, Mapping
from train.settings import ImageSettings, StudentSettings
from train.student import Student, empty_student

STAGES = "stages"
STAGE_FILE = "stage.json"
WEIGHTS_FILE = "model.safetensors"
TEMPORARY_PREFIX = ".tmp-"

DAMAGE = (OSError, ValueError, KeyError, TypeError, RuntimeError, safetensors.SafetensorError)


class Stage(NamedTuple):
    """A trained student, with what is needed to use it."""

    name: str
    student: Student
    settings: StudentSettings  # of its architecture; what decides how it was trained is in facts
    images: ImageSettings
    facts: dict[str, Any]  # how it was trained: counts, chosen epoch, …
    mapping: Mapping = IDENTITY  # from raw scores to the scale of people's opinions
    interval: float | None = None  # half width of the conformal interval of a mapped score

    @property
    def backbone(self) -> str:
        """Name of the timm model."""
        return self.settings.backbone


def save_stage(run: Path, stage: Stage) -> None:
    """Write a stage, whole or not at all."""
    folder = run / STAGES / stage.name
    temporary = folder.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}-{stage.name}")
    temporary.mkdir(parents=True)
    description = {
        "name": stage.name,
        "student": stage.settings.architecture(),
        "crop_px": stage.images.crop_px,
        "short_side_px": stage.images.short_side_px,
        "mapping": stage.mapping.as_dict(),
        "interval": stage.interval,
        "facts": stage.facts,
    }
    weights = {
        name: value.detach().cpu().contiguous() for name, value in stage.student.weights().items()
    }
    try:
        write_atomically(temporary / WEIGHTS_FILE, save(weights))
        write_atomically(temporary / STAGE_FILE, json.dumps(description, indent=2).encode())
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def load_stage(run: Path, name: str, *, device: torch.device) -> Stage | None:
    """Read a finished stage, or None where it is not finished.

    Raises:
        TrainingError: the stage's files are damaged.
    """
    folder = run / STAGES / name
    if not folder.is_dir():
        return None
    try:
        description = json.loads((folder / STAGE_FILE).read_text(encoding="utf-8"))
        weights = load_file(folder / WEIGHTS_FILE)
        settings = StudentSettings.model_validate(description["student"])
        student = empty_student(settings)
        student.load_weights(weights)
        images = ImageSettings(
            crop_px=description["crop_px"], short_side_px=description["short_side_px"]
        )
        mapping = Mapping.from_dict(description["mapping"])
        interval, facts = description["interval"], description["facts"]
    except DAMAGE as error:
        raise TrainingError(
            f"a finished stage cannot be read: {error}",
            where=folder,
            fix="delete that folder and run `train run` again to train the stage anew",
        ) from error
    return Stage(name, student.to(device), settings, images, facts, mapping, interval)


def remove_unfinished(run: Path) -> None:
    """Delete what a killed run left half-written."""
    for folder in (run / STAGES).glob(f"{TEMPORARY_PREFIX}*"):
        shutil.rmtree(folder)


def stage_names(run: Path) -> list[str]:
    """Names of the finished stages.

    Raises:
        InputError: the folder holds no finished stage.
    """
    folder = run / STAGES
    found = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    names = [name for name in found if not name.startswith(TEMPORARY_PREFIX)]
    if not names:
        raise InputError(
            "there is no trained student here", where=run, fix="train one with `train run`"
        )
    return names
