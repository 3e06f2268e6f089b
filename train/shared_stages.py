"""Stages that several runs of a sweep have in common are trained once and put into each.

Two cells that differ in calibration alone have the same label-free student, and all cells that
differ in distillation alone have the same baselines. What decides a stage is hashed; a finished
stage of the same hash is linked into the next run before that run starts, which then finds it
finished. Files of a finished stage are never written again, so links are as good as copies.
"""

import os
import secrets
import shutil
from pathlib import Path
from typing import Any

from schemas.ids import id_of
from train.run_record import NO_EFFECT_ON_RESULTS
from train.settings import RunSettings
from train.stages import STAGE_FILE, STAGES, TEMPORARY_PREFIX
from train.training_data import TrainingData

_OF_EVERY_STAGE = ("seed", "device", "student", "images", "split")


def stage_digests(settings: RunSettings, data: TrainingData) -> dict[str, str]:
    """What decides each stage of a run, hashed, by the stage's name.

    Evidence counts as a whole, also what a stage may not read: sharing too little costs time,
    sharing too much would be wrong.
    """
    values = settings.model_dump(mode="json", exclude=NO_EFFECT_ON_RESULTS)
    common: dict[str, Any] = {
        **{key: values[key] for key in _OF_EVERY_STAGE},
        "teachers": list(data.teacher_ids),
        "evidence": data.content_hashes(),
    }
    distilled = common | {"distil": values["distil"]}
    digests = {"label_free": id_of(distilled)}
    for fraction in settings.label_fractions:
        part = {"fraction": fraction}
        calibrated = distilled | {"calibrate": values["calibrate"], "ladder": values["ladder"]}
        digests[f"leaf_{100 * fraction:g}"] = id_of(calibrated | part)
        baseline = common | {"cft_only": values["cft_only"]}
        digests[f"cft_only_{100 * fraction:g}"] = id_of(baseline | part)
    return digests


class StageShelf:
    """Finished stages by what decides them."""

    def __init__(self) -> None:
        self._folders: dict[str, Path] = {}

    def note(self, run: Path, digests: dict[str, str]) -> None:
        """Remember the stages that a run has finished."""
        for name, digest in digests.items():
            folder = run / STAGES / name
            if (folder / STAGE_FILE).exists():
                self._folders.setdefault(digest, folder)

    def fill(self, run: Path, digests: dict[str, str]) -> list[str]:
        """Put what other runs have finished into a run that lacks it; returns the names."""
        shared = []
        for name, digest in digests.items():
            source, target = self._folders.get(digest), run / STAGES / name
            if source is not None and not target.exists():
                link_stage(source, target)
                shared.append(name)
        return shared


def link_stage(source: Path, target: Path) -> None:
    """Put a finished stage into another run: whole, by links where the file system has them."""
    temporary = target.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}-{target.name}")
    try:
        shutil.copytree(source, temporary, copy_function=_link_or_copy)
        temporary.rename(target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
