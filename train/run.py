"""The training story: read, split, distil, calibrate beside the baseline, compare, write.

    RUN/run.json          what the run is, written before it starts
    RUN/events.jsonl      one line per epoch and per stage
    RUN/stages/<name>/    the students: label_free, leaf_10, cft_only_10, …
    RUN/summary.json      the comparison on held-out images; summary.parquet holds the same

Run again in the same folder, it loads finished stages and trains only what is missing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data_store.console import progress, say
from data_store.layout import Store
from data_store.splits import BoolArray, held_out, labelled_subset
from schemas.errors import NotEnoughData
from schemas.ids import sha256_text
from train.compute_device import compute_device
from train.dataset import Pictures
from train.distil import DistilEpoch, distil
from train.evaluate import EvaluationRow, evaluate
from train.events import EventLog
from train.evidence import select_evidence
from train.fine_tune import (
    CalibrateEpoch,
    Calibration,
    LabelledImages,
    calibrate,
    require_labels,
)
from train.results import commit_predictions, write_summary
from train.run_record import record_run
from train.scoring import score_pictures
from train.settings import RunSettings
from train.stage_settings import CalibrateSettings
from train.stages import Stage, load_stage, remove_unfinished, save_stage
from train.student import Student, initial_student
from train.training_data import (
    FloatArray,
    IntArray,
    TrainingData,
    choose_teacher,
    read_training_data,
)

LABEL_FREE = "label_free"


@dataclass(frozen=True, slots=True)
class Run:
    """What every stage of a run shares."""

    folder: Path
    run_id: str
    settings: RunSettings
    data: TrainingData
    pictures: Pictures
    readable: BoolArray  # (N,) pictures that decode
    tested: BoolArray  # (N,) images of held-out groups
    events: EventLog
    device: torch.device


def train_run(
    store: Store, folder: Path, settings: RunSettings, *, teacher: str = ""
) -> list[EvaluationRow]:
    """Train and compare all students of a run; what an earlier, killed call finished is kept.

    Args:
        store: with the teacher's answers and the MOS.
        folder: the run's folder, new or of the same run.
        settings: everything that decides the result.
        teacher: which teacher to learn from: its name or the start of its id; may be empty
            where there is only one.

    Returns:
        One row per scorer: the teacher, the label-free student, then per label fraction the
        calibrated student and the baseline.

    Raises:
        NotEnoughData: too few points, pairs, MOS or readable pictures.
        RunMismatch: the folder belongs to another run.
    """
    teacher_id = choose_teacher(store, teacher)
    data = read_training_data(store, teacher_id)
    tested = _held_out(data, settings)
    _check_enough(data, ~tested, settings)
    device = compute_device(settings.device)
    run_id = record_run(folder, settings, store, teacher_id, data)
    remove_unfinished(folder)
    pictures, readable = _open_pictures(data, settings)
    _check_enough(data, ~tested & readable, settings)
    run = Run(folder, run_id, settings, data, pictures, readable, tested, EventLog(folder), device)

    students = [label_free := _distilled(run)]
    for fraction in settings.label_fractions:
        students.append(_calibrated(run, f"leaf_{100 * fraction:g}", fraction, label_free))
    for fraction in settings.label_fractions:
        students.append(_calibrated(run, f"cft_only_{100 * fraction:g}", fraction, None))

    scores = {stage.name: _scores(run, stage.student) for stage in students}
    rows = evaluate({"teacher": data.teacher_score, **scores}, data.mos, tested)
    commit_predictions(folder, run_id, store, data.image_ids, scores)
    write_summary(folder, rows)
    return rows


def _held_out(data: TrainingData, settings: RunSettings) -> BoolArray:
    split = settings.split
    return held_out(data.group_ids, seed=split.seed, test_fraction=split.test_fraction)


def _check_enough(data: TrainingData, in_training: BoolArray, settings: RunSettings) -> None:
    """Refuse before any work is done what would fail after hours of it."""
    select_evidence(data, in_training, settings.distil)
    for fraction in settings.label_fractions:
        require_labels(_labelled_rows(data, in_training, settings, fraction), fraction=fraction)
    if settings.label_fractions and not (~in_training & np.isfinite(data.mos)).any():
        raise NotEnoughData(
            "no held-out image has a MOS, so nothing could be compared",
            where=f"split.seed = {settings.split.seed},"
            f" split.test_fraction = {settings.split.test_fraction:g}",
            fix="add opinions of more groups with `store add-mos`, or choose another split",
        )


def _open_pictures(data: TrainingData, settings: RunSettings) -> tuple[Pictures, BoolArray]:
    pictures = Pictures(data.paths.to_pylist(), settings.images)
    with progress(len(data.paths), label="decode", unit="images") as bar:
        failures = pictures.check(bar.advance)
    for error in list(failures.values())[:3]:
        say(f"left out: {error}")
    if failures:
        say(f"{len(failures)} of {len(data.paths)} images cannot be decoded and are left out")
    readable = np.ones(len(data.paths), dtype=bool)
    readable[list(failures)] = False
    return pictures, readable


def _labelled_rows(
    data: TrainingData, in_training: BoolArray, settings: RunSettings, fraction: float
) -> IntArray:
    rows = np.flatnonzero(in_training & np.isfinite(data.mos))
    return labelled_subset(rows, data.image_ids, fraction=fraction, seed=settings.seed)


def _distilled(run: Run) -> Stage:
    settings = run.settings.distil
    evidence = select_evidence(run.data, ~run.tested & run.readable, settings)

    def work(student: Student) -> dict[str, Any]:
        with progress(settings.epochs, label=LABEL_FREE, unit="epochs") as bar:

            def on_epoch(epoch: DistilEpoch) -> None:
                run.events.write("epoch", stage=LABEL_FREE, **epoch._asdict())
                bar.note(f"loss {epoch.loss:.4f}")
                bar.advance()

            distil(
                student,
                evidence,
                run.pictures,
                settings,
                seed=_seed(run, "distil"),
                on_epoch=on_epoch,
            )
        return {
            "image_count": len(evidence.rows),
            "pair_count": len(evidence.pairs),
            "pair_temperature": evidence.temperature,
        }

    return _finished_or_trained(run, LABEL_FREE, work, start=None)


def _calibrated(run: Run, name: str, fraction: float, start: Stage | None) -> Stage:
    """Fine-tune a copy of `start`, or of the initial weights, on a share of the labels."""
    settings: CalibrateSettings = run.settings.calibrate if start else run.settings.cft_only
    rows = _labelled_rows(run.data, ~run.tested & run.readable, run.settings, fraction)

    def work(student: Student) -> dict[str, Any]:
        with progress(settings.epochs, label=name, unit="epochs") as bar:

            def on_epoch(epoch: CalibrateEpoch) -> None:
                run.events.write("epoch", stage=name, **epoch._asdict())
                bar.note(f"validation {epoch.validation_loss:.4f}")
                bar.advance()

            found: Calibration = calibrate(
                student,
                LabelledImages(rows, run.data.mos),
                run.pictures,
                settings,
                seed=_seed(run, f"calibrate {fraction:g}"),
                on_epoch=on_epoch,
            )
        return found._asdict()

    return _finished_or_trained(run, name, work, start=start)


def _finished_or_trained(
    run: Run, name: str, work: Callable[[Student], dict[str, Any]], *, start: Stage | None
) -> Stage:
    found = load_stage(run.folder, name, device=run.device)
    if found is not None:
        say(f"{name}: finished before, loaded")
        return found
    student = initial_student(run.settings.student, seed=_seed(run, "weights")).to(run.device)
    if start is not None:
        student.load_state_dict(start.student.state_dict())
    torch.manual_seed(_seed(run, name))  # for dropout and the like inside the backbone
    facts = work(student)
    stage = Stage(name, student, run.settings.student.backbone, run.settings.images, facts)
    save_stage(run.folder, stage)
    run.events.write("stage finished", stage=name)
    return stage


def _seed(run: Run, purpose: str) -> int:
    """A seed of its own for each purpose: a stage is the same, whatever ran before it."""
    return int(sha256_text(f"{run.settings.seed}:{purpose}")[:8], 16)


def _scores(run: Run, student: Student) -> FloatArray:
    """(N,) scores, NaN for pictures that cannot be read."""
    scores = np.full(len(run.readable), np.nan)
    rows = np.flatnonzero(run.readable)
    scores[rows] = score_pictures(student, run.pictures, rows)
    return scores
