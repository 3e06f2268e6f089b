"""A run as a report sees it: its files, and what its store has to say of its held-out images."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from data_store.layout import open_store
from schemas.errors import LeafError
from train.evaluate import evaluate
from train.evaluation.comparison import Difference
from train.evaluation.finished_run import FinishedRun, open_run
from train.report.held_out_images import HeldOutImages, read_held_out
from train.report.stage_records import (
    BASELINE,
    CALIBRATED,
    LABEL_FREE,
    Epoch,
    StageRecord,
    read_epochs,
    read_stages,
)

Row = dict[str, Any]

MOST_DRAWN_ANEW = 3000
"""Rated images; with more, and as many as in summary.json, the figures are those of that file."""


@dataclass(frozen=True, slots=True)
class ReadRun:
    """Everything that a report shows of one run."""

    name: str
    """As the page calls it."""
    run: FinishedRun
    record: dict[str, Any]
    """run.json."""
    rows: list[Row]
    """Agreement of each scorer with the held-out MOS, as in summary.json; may be empty."""
    stages: list[StageRecord]
    epochs: list[Epoch]
    images: HeldOutImages | None
    """None where the store is gone, or has no scores of this run."""
    teachers: tuple[str, ...]
    """Names, or the starts of ids where the store is gone."""
    notes: tuple[str, ...]
    """What is missing, and why."""
    compared: dict[tuple[str, str], list[Difference]] = field(default_factory=dict)
    """Paired comparisons that were made already; see `paired`."""

    @property
    def students(self) -> list[str]:
        """Names of the scored students, or of the finished stages where there are no scores."""
        scored = [row["name"] for row in self.rows] or [stage.name for stage in self.stages]
        return [name for name in scored if name != "teacher"]

    @property
    def before(self) -> str:
        """The student before calibration."""
        return LABEL_FREE

    @property
    def after(self) -> str | None:
        """The student that was calibrated on most labels."""
        return next((n for n in reversed(self.students) if n.startswith(f"{CALIBRATED}_")), None)

    @property
    def best_informed(self) -> str:
        """The student calibrated on most labels, or the label-free one."""
        return self.after or self.before

    @property
    def baseline(self) -> str | None:
        """The baseline on as many labels as `after` had."""
        wanted = f"{BASELINE}_{(self.after or '').rpartition('_')[2]}"
        return wanted if wanted in self.students else None


def read_runs(folders: Sequence[Path], *, store: str = "") -> list[ReadRun]:
    """Read runs for a report.

    Args:
        folders: of runs, finished or not.
        store: where all of them left their scores; empty for the store that each names itself.

    Raises:
        InputError: a folder holds no run, or damaged files.
    """
    return [
        _read(folder, name, store)
        for folder, name in zip(folders, distinct_names(folders), strict=True)
    ]


def distinct_names(folders: Sequence[Path]) -> list[str]:
    """A folder's own name, with as many of its parents as it takes to tell it from the others."""
    parts = [folder.resolve().parts for folder in folders]
    for depth in range(1, max((len(part) for part in parts), default=0) + 1):
        names = ["/".join(part[-depth:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    return [f"{'/'.join(part[-1:])} ({place})" for place, part in enumerate(parts, start=1)]


def _read(folder: Path, name: str, store: str) -> ReadRun:
    run = open_run(folder)
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    notes = []
    images, teachers = None, tuple(teacher[:8] for teacher in run.teacher_ids)
    try:
        opened = open_store(store or run.store_address)
        specs = opened.teachers()
        teachers = tuple(specs[i].name if i in specs else i[:8] for i in run.teacher_ids)
        images = read_held_out(run, opened)
    except LeafError as error:
        notes.append(
            f"{name}: no pictures, no single scores and no comparison image by image, because"
            f" {error.what} ({error.where}). Where the store has moved, give its new place with"
            " --store."
        )
    summary = _summary(folder)
    rows = summary
    if images is not None and not _is_large(images, summary):
        rows = _agreement(images) or summary
    if images is not None and not images.rated.any():
        notes.append(
            f"{name}: none of the held-out images has an opinion, so agreement with people is not"
            " known. `store add-mos` brings opinions in; the run need not be trained again."
        )
    elif images is None and rows:
        notes.append(f"{name}: figures of agreement are those of the end of its training.")
    if not rows and not (folder / "summary.json").exists():
        notes.append(
            f"{name}: the run is not finished; what it has finished so far is shown. `train run`"
            " with the same words goes on with it."
        )
    stages, epochs = read_stages(folder), read_epochs(folder)
    return ReadRun(name, run, record, rows, stages, epochs, images, teachers, tuple(notes))


def _agreement(images: HeldOutImages) -> list[Row]:
    """As `train evaluate --run`: opinions that came after the training count too."""
    rated = images.as_held_out()
    if not len(rated.mos):
        return []
    scores = {name: given for name, given in rated.scores.items() if np.isfinite(given).any()}
    everywhere = np.ones(len(rated.mos), dtype=bool)
    found = evaluate(scores, rated.mos, everywhere, group_ids=rated.group_ids)
    return [dict(row.as_dict()) for row in found]


def _is_large(images: HeldOutImages, summary: list[Row]) -> bool:
    """Whether drawing groups anew would take minutes, and the run has done it for these images."""
    count = int(images.rated.sum())
    drawn = any(row["n"] == count and row.get("srcc_low") is not None for row in summary)
    return count > MOST_DRAWN_ANEW and drawn


def _summary(folder: Path) -> list[Row]:
    try:
        rows: list[Row] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [row for row in rows if row.get("n")]
