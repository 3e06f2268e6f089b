"""One stage of a run: found finished, or trained from where it was broken off."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from data_store.splits import BoolArray
from schemas.ids import sha256_text
from train import parallel
from train.calibration.mapping import IDENTITY, Mapping
from train.checkpoints import CHECKPOINTS, Checkpoint
from train.events import EventLog
from train.features import FrozenFeatures, Views
from train.loop import score_rows
from train.settings import RunSettings
from train.stages import Stage, load_stage, save_stage
from train.student import Student, empty_student, initial_student
from train.talk import progress, say
from train.training_data import FloatArray, TrainingData


@dataclass(frozen=True, slots=True)
class Run:
    """What every stage of a run shares."""

    folder: Path
    run_id: str
    settings: RunSettings
    data: TrainingData
    views: Views  # the pictures, or what a backbone that stays frozen makes of them
    readable: BoolArray  # (N,) pictures that decode
    tested: BoolArray  # (N,) images of held-out groups
    events: EventLog
    device: torch.device


class Trained(NamedTuple):
    """What the training of a stage ends with."""

    student: Student
    facts: dict[str, Any]
    mapping: Mapping = IDENTITY
    interval: float | None = None


@contextmanager
def told(
    run: Run, name: str, epoch_count: int
) -> Iterator[Callable[[int, str, dict[str, Any]], None]]:
    """Takes epochs done, a remark and an epoch's numbers, for the events and the terminal."""
    with progress(epoch_count, label=name, unit="epochs") as bar:
        shown = 0

        def tell(done: int, remark: str, numbers: dict[str, Any]) -> None:
            nonlocal shown
            run.events.write_epoch(name, **numbers)
            bar.note(remark)
            bar.advance(done - shown)
            shown = done

        yield tell


def finished_or_trained(
    run: Run,
    name: str,
    work: Callable[[Student, Checkpoint], Trained],
    *,
    start: Stage | None,
) -> Stage:
    """Load a stage if it is finished; else train it, from its checkpoint if there is one.

    Args:
        run: whose stage it is.
        name: of the stage.
        work: trains a student, in place or a copy, and says what came of it. The checkpoint is
            its own, to go on from; it is removed once the stage is saved.
        start: whose weights training begins with; None begins with the initial ones.
    """
    folder = run.folder / CHECKPOINTS / name
    checkpoint = Checkpoint(folder, every_s=run.settings.checkpoint_s)
    stage = load_stage(run.folder, name, device=run.device)
    parallel.require_agreement([float(stage is not None)], "finished stages")
    if stage is not None:
        say(f"{name}: finished before, loaded")
    else:
        student = initial_student_of(run) if start is None else _copy_of(run, start)
        torch.manual_seed(seed_for(run.settings, name))
        done = work(student, checkpoint)
        stage = Stage(
            name,
            done.student,
            run.settings.student,
            run.settings.images,
            done.facts,
            done.mapping,
            done.interval,
        )
        if parallel.is_first():
            save_stage(run.folder, stage)
    if parallel.is_first():
        run.events.write_finished(name)
        checkpoint.remove()
    return stage


def initial_student_of(run: Run) -> Student:
    """The student of a run before it has learnt anything."""
    seed = seed_for(run.settings, "weights")
    student = initial_student(run.settings.student, seed=seed).to(run.device)
    if student.score_head is not None and isinstance(run.views, FrozenFeatures):
        features = run.views.values[~run.tested & run.readable]
        student.score_head.standardise(torch.from_numpy(features).to(run.device))
    return student


def stage_scores(run: Run, stage: Stage) -> FloatArray:
    """(N,) scores on the scale of opinions, NaN for pictures that cannot be read."""
    scores = np.full(len(run.readable), np.nan)
    rows = np.flatnonzero(run.readable)
    scores[rows] = stage.mapping(score_rows(stage.student, run.views, rows))
    return scores


def _copy_of(run: Run, start: Stage) -> Student:
    """A student to be trained on; its initial weights, which may be on no hub, are not needed."""
    student = empty_student(run.settings.student).to(run.device)
    student.load_state_dict(start.student.state_dict())
    student.freeze_backbone(frozen=run.settings.student.trained == "head")
    return student


def seed_for(settings: RunSettings, purpose: str) -> int:
    """A seed of its own for each purpose: a stage is the same, whatever ran before it."""
    return int(sha256_text(f"{settings.seed}:{purpose}")[:8], 16)
