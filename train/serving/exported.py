"""Load what `train export` wrote."""

import json
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from schemas.errors import InputError, TrainingError
from train.calibration.mapping import Mapping
from train.compute_device import compute_device
from train.serving.export_names import (
    CALIBRATION_FILE,
    CONFIG_FILE,
    HEAD_FILE,
    HEAD_PREFIX,
    PREPROCESSING_FILE,
)
from train.serving.scorer import Scorer, only_scoring, run_scorer
from train.settings import ImageSettings, StudentSettings
from train.stages import DAMAGE, WEIGHTS_FILE
from train.student import empty_student


def export_scorer(folder: Path) -> Scorer:
    """Load the student of an exported folder.

    Raises:
        InputError: the folder was not written by `train export`.
        TrainingError: its files are damaged.
    """
    require_exported(folder)
    try:
        ours = _json(folder / CONFIG_FILE)["leaf_iqa"]
        how = _json(folder / PREPROCESSING_FILE)
        calibration = _json(folder / CALIBRATION_FILE)
        student = empty_student(StudentSettings.model_validate(ours["student"]))
        weights = load_file(folder / WEIGHTS_FILE)
        if student.score_head is not None:
            head = load_file(folder / HEAD_FILE)
            weights |= {HEAD_PREFIX + name: value for name, value in head.items()}
        student.load_weights(weights)
        interval = calibration["interval"]
        return Scorer(
            str(ours["name"]),
            only_scoring(student).to(compute_device("auto")),
            ImageSettings(crop_px=how["crop_px"], short_side_px=how["short_side_px"]),
            Mapping.from_dict(calibration["mapping"]),
            None if interval is None else float(interval["half_width"]),
        )
    except DAMAGE as error:
        raise TrainingError(
            f"the exported student cannot be read: {error}",
            where=folder,
            fix="export it again with `train export --force`",
        ) from error


def require_exported(folder: Path) -> None:
    """Refuse a folder that `train export` did not write. Raises InputError."""
    if not (folder / CONFIG_FILE).is_file():
        raise InputError(
            "there is no exported student here",
            where=folder,
            fix="write one with `train export`, or name a run with --run",
        )


def choose_scorer(run: Path | None, export: Path | None, *, student: str) -> Scorer:
    """Load the student that a command line names.

    Args:
        run: folder of a training run, or None.
        export: folder that `train export` wrote, or None.
        student: which of the run's.

    Raises:
        InputError: not one of both is given, or there is no such student.
        TrainingError: its files are damaged.
    """
    require_one_source(run, export, student=student)
    if run is not None:
        return run_scorer(run, student)
    if export is None:
        raise RuntimeError  # one of both was given
    return export_scorer(export)


def require_one_source(run: Path | None, export: Path | None, *, student: str) -> None:
    """Refuse words that name no student, or two. Raises InputError as `choose_scorer`."""
    if (run is None) == (export is None):
        raise InputError(
            "name one student",
            where="--run and --export",
            fix="give --run RUN, or --export FOLDER, and not both",
        )
    if export is not None and student:
        raise InputError(
            "an exported folder holds one student", where="--student", fix="leave --student out"
        )


def _json(path: Path) -> dict[str, Any]:
    value = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(value, dict):
        raise ValueError(f"{path.name} holds no object")
    return value
