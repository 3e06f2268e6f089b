"""The training story: read, split, distil, calibrate beside the baseline, compare, write.

    RUN/run.json          what the run is, written before it starts
    RUN/events.jsonl      one line per epoch and per stage
    RUN/checkpoints/      where an unfinished stage goes on; gone when the stage is saved
    RUN/stages/<name>/    the students: label_free, leaf_10, cft_only_10, …
    RUN/summary.json      the comparison on held-out images; summary.parquet holds the same

Run again in the same folder, it loads finished stages and goes on with what is missing, in the
middle of an epoch if it was killed there: the results are those of a run that never stopped.
Started by torchrun, several processes share the work; the first of them writes.
"""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from data_store.layout import Store
from data_store.splits import BoolArray, held_out, labelled_subset
from schemas.errors import NotEnoughData
from train import parallel
from train.calibrated_stage import baseline_student, calibrated_student
from train.checkpoints import Checkpoint, tidy
from train.distil import DistilEpoch, distil
from train.evaluate import EvaluationRow, evaluate
from train.events import EventLog
from train.evidence import select_evidence
from train.fine_tune import require_labels
from train.results import commit_predictions, write_summary
from train.run_pictures import open_pictures, training_views
from train.run_record import record_run
from train.run_stage import (
    Run,
    Trained,
    finished_or_trained,
    seed_for,
    stage_scores,
    told,
)
from train.settings import RunSettings
from train.stage_plan import LABEL_FREE, announcement
from train.stages import Stage, remove_unfinished
from train.student import Student
from train.talk import say
from train.tensorboard import Scalars
from train.training_data import (
    IntArray,
    TrainingData,
    choose_teachers,
    read_training_data,
)


def train_run(
    store: Store, folder: Path, settings: RunSettings, *, teacher: Sequence[str] = ()
) -> list[EvaluationRow]:
    """Train and compare all students of a run; what an earlier, killed call finished is kept.

    Args:
        store: with the teachers' answers and the MOS.
        folder: the run's folder, new or of the same run.
        settings: everything that decides the result.
        teacher: which teachers to learn from: their names or the starts of their ids; may be
            empty where there is only one.

    Returns:
        One row per scorer: the teacher, the label-free student, then per label fraction the
        calibrated student and the baseline.

    Raises:
        NotEnoughData: too few points, pairs, MOS or readable pictures.
        RunMismatch: the folder belongs to another run.
        SettingsError: TensorBoard or a GPU is asked for and there is none.
        TrainingError: a loss is no longer a number, a checkpoint or stage is damaged, or another
            process of the run is gone.
    """
    scalars = Scalars(folder) if settings.tensorboard else None
    with parallel.joined(settings.device) as device:
        data = parallel.first_then_others(
            lambda: read_training_data(store, choose_teachers(store, teacher))
        )
        tested = held_out_images(data, settings)
        require_enough(data, ~tested, settings)
        run_id = parallel.first_then_others(lambda: _opened_folder(folder, settings, store, data))
        say(announcement(settings, folder))
        pictures, readable = open_pictures(data, settings)
        require_enough(data, ~tested & readable, settings)
        views = training_views(pictures, readable, data, settings, device=device)
        with closing(EventLog(folder, scalars)) as events:
            run = Run(
                folder, run_id, settings, data, views, readable, tested, events, device=device
            )
            students = _students(run)
        scores = {stage.name: stage_scores(run, stage) for stage in students}
        rows = evaluate(
            {"teacher": data.teacher_score, **scores}, data.mos, tested, group_ids=data.group_ids
        )
        if parallel.is_first():
            commit_predictions(folder, run_id, store, data.image_ids, scores)
            write_summary(folder, rows)
            tidy(folder)
        parallel.wait_for_all()
    return rows


def _students(run: Run) -> list[Stage]:
    label_free = _distilled(run)
    in_training = ~run.tested & run.readable
    shares = [
        (
            f"{100 * fraction:g}",
            _labelled_rows(run.data, in_training, run.settings, fraction),
            f"calibrate {fraction:g}",
        )
        for fraction in run.settings.label_fractions
    ]
    calibrated = [
        calibrated_student(run, f"leaf_{share}", rows, start=label_free, seed=seed)
        for share, rows, seed in shares
    ]
    baseline = [
        baseline_student(run, f"cft_only_{share}", rows, seed=seed) for share, rows, seed in shares
    ]
    return [label_free, *calibrated, *baseline]


def _opened_folder(folder: Path, settings: RunSettings, store: Store, data: TrainingData) -> str:
    """Make the folder a run's, or see that it is this run's; returns the run's id."""
    run_id = record_run(folder, settings, store, data)
    if parallel.is_first():
        remove_unfinished(folder)
        tidy(folder)
    return run_id


def held_out_images(data: TrainingData, settings: RunSettings) -> BoolArray:
    """(N,) images of the groups that a run never learns from."""
    split = settings.split
    return held_out(data.group_ids, seed=split.seed, test_fraction=split.test_fraction)


def require_enough(data: TrainingData, in_training: BoolArray, settings: RunSettings) -> None:
    """Refuse before any work is done what would fail after hours of it.

    Raises:
        NotEnoughData: too few points, pairs or MOS.
    """
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


def _labelled_rows(
    data: TrainingData, in_training: BoolArray, settings: RunSettings, fraction: float
) -> IntArray:
    rows = np.flatnonzero(in_training & np.isfinite(data.mos))
    return labelled_subset(rows, data.image_ids, fraction=fraction, seed=settings.seed)


def _distilled(run: Run) -> Stage:
    settings = run.settings.distil
    evidence = select_evidence(run.data, ~run.tested & run.readable, settings)

    def work(student: Student, checkpoint: Checkpoint) -> Trained:
        with told(run, LABEL_FREE, settings.epochs) as tell:

            def on_epoch(epoch: DistilEpoch) -> None:
                tell(epoch.epoch + 1, f"loss {epoch.loss:.4f}", epoch._asdict())

            distil(
                student,
                evidence,
                run.views,
                settings,
                seed=seed_for(run.settings, "distil"),
                on_epoch=on_epoch,
                checkpoint=checkpoint,
            )
        return Trained(student, evidence.facts())

    return finished_or_trained(run, LABEL_FREE, work, start=None)
