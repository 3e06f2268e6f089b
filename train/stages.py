"""Finished stages of a run: a folder each, whole or not there.

    RUN/stages/<name>/model.safetensors   the network's weights, under timm's own names
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
from train.settings import ImageSettings
from train.student import Student, empty_student

STAGES = "stages"
STAGE_FILE = "stage.json"
WEIGHTS_FILE = "model.safetensors"
TEMPORARY_PREFIX = ".tmp-"


class Stage(NamedTuple):
    """A trained student, with what is needed to use it."""

    name: str
    student: Student
    backbone: str
    images: ImageSettings
    facts: dict[str, Any]  # how it was trained: counts, chosen epoch, …


def save_stage(run: Path, stage: Stage) -> None:
    """Write a stage, whole or not at all."""
    folder = run / STAGES / stage.name
    temporary = folder.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}-{stage.name}")
    temporary.mkdir(parents=True)
    description = {
        "name": stage.name,
        "backbone": stage.backbone,
        "crop_px": stage.images.crop_px,
        "short_side_px": stage.images.short_side_px,
        "facts": stage.facts,
    }
    weights = {
        name: value.detach().cpu().contiguous()
        for name, value in stage.student.network.state_dict().items()
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
        student = empty_student(description["backbone"])
        student.network.load_state_dict(weights)
        images = ImageSettings(
            crop_px=description["crop_px"], short_side_px=description["short_side_px"]
        )
    except (OSError, ValueError, KeyError, RuntimeError, safetensors.SafetensorError) as error:
        raise TrainingError(
            f"a finished stage cannot be read: {error}",
            where=folder,
            fix="delete that folder and run `train run` again to train the stage anew",
        ) from error
    return Stage(name, student.to(device), description["backbone"], images, description["facts"])


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
