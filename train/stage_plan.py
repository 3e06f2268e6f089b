"""Which stages a run has, what of them is left, and how long that takes by its own events."""

import json
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from data_store.plans import Figure
from data_store.progress import span_of
from train.events import EVENTS_FILE
from train.settings import RunSettings
from train.stages import STAGE_FILE, STAGES

LABEL_FREE = "label_free"


def stage_epochs(settings: RunSettings) -> dict[str, int]:
    """Every stage of a run in its order, with the epochs of its last training."""
    shares = [f"{100 * fraction:g}" for fraction in settings.label_fractions]
    return {
        LABEL_FREE: settings.distil.epochs,
        **{f"leaf_{share}": settings.calibrate.epochs for share in shares},
        **{f"cft_only_{share}": settings.cft_only.epochs for share in shares},
    }


def stages_left(settings: RunSettings, folder: Path) -> dict[str, int]:
    """The stages that are not finished in the folder, with their epochs."""
    return {
        name: epochs
        for name, epochs in stage_epochs(settings).items()
        if not (folder / STAGES / name / STAGE_FILE).exists()
    }


def announcement(settings: RunSettings, folder: Path) -> str:
    """What is left to train, in one line, for the person who has just started the command."""
    left = stages_left(settings, folder)
    if not left:
        return "all stages are trained"
    seconds = seconds_of(left, folder)
    stages = ", ".join(f"{name} {epochs} epochs" for name, epochs in left.items())
    known = seconds.value is not None
    time = f"about {span_of(seconds.value or 0.0)}, " if known else "time unknown: "
    return f"to train: {stages}; {time}{seconds.basis}"


def seconds_of(left: Mapping[str, int], folder: Path) -> Figure:
    """How long these stages take, by the median epoch of each kind that the folder tells of.

    Args:
        left: epochs of each stage that is to be trained.
        folder: of the run, which may have been stopped half-way.
    """
    known = _epoch_seconds(folder)
    missing = sorted({_kind(name) for name in left} - known.keys())
    if missing:
        basis = f"no epoch of {' and '.join(missing)} was trained in this folder yet"
        return Figure(None, basis)
    total = sum(epochs * median(known[_kind(name)]) for name, epochs in left.items())
    return Figure(total, "by the epochs that were trained in this folder")


def _epoch_seconds(folder: Path) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    if not (folder / EVENTS_FILE).exists():
        return found
    for text in (folder / EVENTS_FILE).read_text(encoding="utf-8", errors="replace").splitlines():
        line = _parsed(text)
        if line.get("event") == "epoch" and isinstance(line.get("duration_s"), int | float):
            found.setdefault(_kind(str(line.get("stage"))), []).append(line["duration_s"])
    return found


def _parsed(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:  # the last line of a run that was killed may be torn
        return {}
    return found if isinstance(found, dict) else {}


def _kind(stage: str) -> str:
    return stage if stage == LABEL_FREE else stage.rpartition("_")[0]
