"""Calibrate a finished run's label-free student on the MOS that the store has now.

    NEW/run.json              what it is, and which run it goes on from
    NEW/stages/label_free/    the student of that run
    NEW/stages/leaf_100/      the same, calibrated on all labelled images of the training split
    NEW/summary.json          both on held-out images with MOS, where there are any

Nothing is distilled again and no teacher is asked: labels may come in round after round, and
each costs a calibration alone. The folder is that of a run, so whatever takes a run takes it.
"""

import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from data_store.layout import Store
from data_store.splits import BoolArray, labelled_subset
from schemas.errors import InputError, NotEnoughData
from schemas.ids import sha256_bytes
from train import parallel
from train.calibrated_stage import calibrated_student
from train.calibration.rungs import CLOSED
from train.checkpoints import tidy
from train.evaluate import EvaluationRow, evaluate
from train.evaluation.finished_run import FinishedRun, open_run
from train.events import EventLog
from train.fine_tune import MIN_LABELLED
from train.rated_data import read_rated_data, teacher_scores
from train.results import commit_predictions, write_summary
from train.run_pictures import open_pictures, training_views
from train.run_record import RUN_FILE, record_run
from train.run_stage import Run, stage_scores
from train.settings import RunSettings
from train.shared_stages import link_stage
from train.stage_plan import LABEL_FREE
from train.stages import STAGES, WEIGHTS_FILE, Stage, load_stage, remove_unfinished
from train.talk import say
from train.training_data import IntArray, TrainingData

CALIBRATED = "leaf_100"
"""Named as `train run` names a student calibrated on all labels of the training split."""

ALLOWED = ("ladder", "calibrate", "seed", "device", "checkpoint_s", "images.cache_bytes")
"""What may be set; all else is as the student was distilled."""


class Calibrated(NamedTuple):
    """What came of it."""

    rows: list[EvaluationRow]
    """The teacher where it has scores, the student before and after; none without held-out MOS."""
    labelled_count: int
    held_out_count: int
    """Held-out images with MOS."""
    chosen: str
    """Rung of the ladder."""
    interval: float | None
    """Half width of the conformal interval of a score."""


class Parent(NamedTuple):
    """The finished run that is gone on from."""

    run: FinishedRun
    settings: RunSettings
    weights_sha256: str

    def record(self, source: str) -> dict[str, object]:
        """What of it decides the results, for run.json."""
        return {
            "run_ids": [self.run.run_id, *self.run.ancestors],
            "student": LABEL_FREE,
            "weights_sha256": self.weights_sha256,
            "source": source,
        }


def calibrate_run(
    parent: Parent, folder: Path, store: Store, settings: RunSettings, *, source: str = ""
) -> Calibrated:
    """Calibrate by the ladder; what an earlier, killed call finished is kept.

    Args:
        parent: whose label-free student is calibrated; its held-out images stay held out.
        folder: of the new run, new or of the same calibration.
        store: with the MOS.
        settings: as of `calibration_settings`.
        source: learn from MOS of this source alone; empty takes the mean over the sources.

    Raises:
        NotEnoughData: too few images of the training split have a MOS, or all the same.
        InputError: there is no MOS of this source, or the folder is that of the parent.
        RunMismatch: the folder belongs to another calibration or run.
        TrainingError: no rung can be fitted, a checkpoint or stage is damaged.
    """
    if folder.resolve() == parent.run.folder.resolve():
        raise InputError(
            "this is the folder of the run itself", where=f"--out {folder}", fix="give a new one"
        )
    with parallel.joined(settings.device) as device:
        start = _label_free(parent.run.folder, device=device)
        data = parallel.first_then_others(lambda: read_rated_data(store, parent.run, source=source))
        tested = parent.run.tested(data.group_ids)
        _require_labels(data, tested, store)
        run_id = parallel.first_then_others(
            lambda: _opened_folder(folder, settings, store, data, parent.record(source))
        )
        if parallel.is_first() and not (folder / STAGES / LABEL_FREE).exists():
            link_stage(_stage_folder(parent.run.folder), folder / STAGES / LABEL_FREE)
        parallel.wait_for_all()
        pictures, readable = open_pictures(data, settings)
        _require_labels(data, tested | ~readable, store)
        views = training_views(
            pictures, readable, data, settings, device=device, student=start.student
        )
        with closing(EventLog(folder)) as events:
            run = Run(
                folder, run_id, settings, data, views, readable, tested, events, device=device
            )
            stage = calibrated_student(
                run,
                CALIBRATED,
                _labelled(data, tested | ~readable, settings),
                start=start,
                seed="calibrate 1",
            )
        return _judged(run, store, start, stage)


def open_parent(folder: Path) -> Parent:
    """Read a run whose label-free student is finished.

    Raises:
        InputError: there is no run, one of another release, or its student is not finished.
    """
    run = open_run(folder)
    weights = _stage_folder(folder) / WEIGHTS_FILE
    if not weights.exists():
        raise _unfinished(folder)
    record = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
    try:
        settings = RunSettings.model_validate(record["settings"])
    except ValueError as error:
        raise InputError(
            f"the run's settings are of another release: {error}",
            where=folder / RUN_FILE,
            fix="calibrate with the release that trained it, or distil again",
        ) from error
    return Parent(run, settings, sha256_bytes(weights.read_bytes()))


def calibration_settings(parent: Parent, overrides: Sequence[str]) -> RunSettings:
    """The parent's settings with another ladder: the rungs that need no training.

    Fine-tuning everything, which `train run` does by default, pays off with hundreds of labels
    and costs as much as distilling; the closed forms take seconds (decision 20).

    Args:
        parent: whose student it is.
        overrides: `key=value` of the sections in `ALLOWED`.

    Raises:
        SettingsError: a key is unknown, out of range, or decides how the student was distilled.
    """
    from data_store.settings import override_settings
    from schemas.errors import SettingsError

    for override in overrides:
        key = override.partition("=")[0].strip()
        if not any(key == name or key.startswith(f"{name}.") for name in ALLOWED):
            raise SettingsError(
                f"{key} cannot be changed after the student was distilled",
                where=f"--set {override}",
                fix=f"set one of {', '.join(ALLOWED)}, or train a new run with `train run`",
            )
    ladder = parent.settings.ladder.model_copy(update={"rungs": CLOSED})
    base = parent.settings.model_copy(update={"label_fractions": (1.0,), "ladder": ladder})
    return override_settings(base, overrides)


def _stage_folder(run: Path) -> Path:
    return run / STAGES / LABEL_FREE


def _label_free(folder: Path, *, device: torch.device) -> Stage:
    stage = load_stage(folder, LABEL_FREE, device=device)
    if stage is None:
        raise _unfinished(folder)
    return stage


def _unfinished(folder: Path) -> InputError:
    return InputError(
        "the run has no finished label-free student",
        where=folder,
        fix="finish it with `train run`, or name another run",
    )


def _labelled(data: TrainingData, left_out: BoolArray, settings: RunSettings) -> IntArray:
    """All labelled rows, in the order in which `train run` would take them."""
    rows = np.flatnonzero(~left_out & np.isfinite(data.mos))
    return labelled_subset(rows, data.image_ids, fraction=1.0, seed=settings.seed)


def _require_labels(data: TrainingData, left_out: BoolArray, store: Store) -> None:
    """Say where the opinions are, before anything is decoded or written."""
    count, rated = int((~left_out).sum()), len(data.mos)
    if count < MIN_LABELLED:
        raise NotEnoughData(
            f"{count} images of the training split have a MOS, and calibration needs"
            f" {MIN_LABELLED}; the other {rated - count} rated images are held out or cannot be"
            " read",
            where=store.address,
            fix="let people rate more images: `train select --page` chooses them from the"
            " training split",
        )


def _opened_folder(
    folder: Path,
    settings: RunSettings,
    store: Store,
    data: TrainingData,
    parent: dict[str, object],
) -> str:
    run_id = record_run(folder, settings, store, data, parent=parent, option="--out")
    if parallel.is_first():
        (folder / STAGES).mkdir(exist_ok=True)
        remove_unfinished(folder)
        tidy(folder)
    return run_id


def _judged(run: Run, store: Store, start: Stage, stage: Stage) -> Calibrated:
    """Compare before and after on held-out images, and leave the scores in the store."""
    data = run.data
    scores = {one.name: stage_scores(run, one) for one in (start, stage)}
    known = run.tested & np.isfinite(data.mos)
    teacher = teacher_scores(store, data.teacher_ids, data.image_ids)
    judged = {"teacher": teacher, **scores} if np.isfinite(teacher[known]).any() else scores
    rows = evaluate(judged, data.mos, run.tested, group_ids=data.group_ids) if known.any() else []
    if parallel.is_first():
        commit_predictions(
            run.folder, run.run_id, store, data.image_ids, scores, producer="train calibrate"
        )
        write_summary(run.folder, rows)
        tidy(run.folder)
    parallel.wait_for_all()
    facts = stage.facts
    if not rows:
        say("no held-out image has a MOS, so nothing tells how much better the student is now")
    return Calibrated(
        rows, facts["labelled_count"], int(known.sum()), facts["chosen"], stage.interval
    )
