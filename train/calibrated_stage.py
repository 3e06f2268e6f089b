"""A student calibrated on a share of the labels, and the baseline that has only them.

From the distilled student the ladder is climbed; the baseline (CFT-only) is the initial student,
fine-tuned on the same labels.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from schemas.ids import sha256_text
from train.calibration.labelled import Labelled
from train.calibration.ladder import climb
from train.calibration.rungs import CLOSED
from train.calibration.trained_rung import OnEpoch, Plan
from train.checkpoints import Checkpoint
from train.fine_tune import CalibrateEpoch, LabelledImages, fine_tune
from train.first_scores import start_at
from train.run_stage import Run, Trained, finished_or_trained, seed_for, told
from train.stages import Stage
from train.student import Student
from train.talk import progress
from train.training_data import IntArray


def calibrated_student(run: Run, name: str, rows: IntArray, *, start: Stage, seed: str) -> Stage:
    """Climb the ladder from a distilled student.

    Args:
        run: whose settings and images.
        name: of the stage.
        rows: labelled images.
        start: the distilled student.
        seed: what the randomness is for; the same for the baseline on the same labels.
    """
    settings = run.settings

    def work(student: Student, checkpoint: Checkpoint) -> Trained:
        with _rungs_told(run, name) as on_epoch:
            found = climb(
                student,
                Labelled(rows, run.data.mos, run.data.group_ids.to_pylist()),
                run.views,
                Plan(
                    settings.ladder,
                    settings.calibrate,
                    seed_for(settings, seed),
                    checkpoint,
                    on_epoch,
                ),
            )
        facts = {
            **_labels(run, rows),
            **found.facts,
            "chosen": found.chosen,
            "ladder": [result._asdict() for result in found.table],
        }
        return Trained(found.student, facts, found.mapping, found.interval)

    return finished_or_trained(run, name, work, start=start)


def baseline_student(run: Run, name: str, rows: IntArray, *, seed: str) -> Stage:
    """Fine-tune the initial weights on the labelled images, without distillation."""
    settings = run.settings.cft_only

    def work(student: Student, checkpoint: Checkpoint) -> Trained:
        start_at(float(run.data.mos[rows].mean()), student, run.views, rows)
        with told(run, name, settings.epochs) as tell:

            def on_epoch(epoch: CalibrateEpoch) -> None:
                tell(epoch.epoch, f"validation {epoch.validation_loss:.4f}", epoch._asdict())

            found = fine_tune(
                student,
                LabelledImages(rows, run.data.mos),
                run.views,
                settings,
                seed=seed_for(run.settings, seed),
                on_epoch=on_epoch,
                checkpoint=checkpoint,
            )
        return Trained(student, {**_labels(run, rows), **found._asdict()})

    return finished_or_trained(run, name, work, start=None)


@contextmanager
def _rungs_told(run: Run, name: str) -> Iterator[OnEpoch]:
    """Takes the epochs of the rungs that train, for the events and the terminal."""
    ladder = run.settings.ladder
    trained = sum(rung not in CLOSED for rung in ladder.rungs)
    judged = len(ladder.rungs) > 1 or ladder.cross_validate_one
    trainings = trained * (ladder.folds if judged else 0) + (1 if trained else 0)
    if not trainings:  # closed forms take no epochs, and next to no time
        yield lambda _part, _epoch: None
        return
    with progress(trainings * run.settings.calibrate.epochs, label=name, unit="epochs") as bar:

        def on_epoch(part: str, epoch: CalibrateEpoch) -> None:
            alone = trainings == 1
            run.events.write_epoch(name if alone else f"{name}/{part}", **epoch._asdict())
            bar.note(f"{'' if alone else part + ' '}validation {epoch.validation_loss:.4f}")
            bar.advance()

        yield on_epoch


def _labels(run: Run, rows: IntArray) -> dict[str, Any]:
    """Which labels were used, for whoever gets the student."""
    ids = sorted(run.data.image_ids.take(pa.array(rows)).to_pylist())
    return {
        "labelled_count": len(ids),
        "labelled_images_sha256": sha256_text("\n".join(ids)),
    }
