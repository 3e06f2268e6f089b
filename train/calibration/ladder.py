"""The calibration ladder: several ways of calibrating on the same labels, and one that is chosen.

Each rung is fitted to all folds of the labelled images but one and judged on that one, in turn;
the rung with the least root mean square error out of fold is then fitted to all of them.
Held-out images take no part. Why the least error, and no favour to simple rungs:
docs/decisions/0020-how-a-rung-is-chosen.md.
"""

import time
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from schemas.errors import TrainingError
from train import parallel
from train.calibration.conformal import half_width
from train.calibration.folds import folds_by_group
from train.calibration.labelled import Labelled, check_labels, check_seen
from train.calibration.mapping import IDENTITY, Mapping
from train.calibration.rungs import CLOSED, RUNGS, Seen, fit_closed_form, see
from train.calibration.trained_rung import Plan, train_rung, views_of
from train.checkpoints import State
from train.evaluation.metrics import plcc, srcc
from train.features import Views
from train.fine_tune import LabelledImages
from train.loop import score_rows
from train.stage_settings import RungName
from train.student import Student
from train.talk import say

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class RungResult(NamedTuple):
    """How well a rung predicts labelled images that it was not fitted to; None if not tried.

    Scores of all folds are judged together, and each fold's are of another fit: so a rung that
    keeps the ranking may show another SRCC here than `none` does.
    """

    rung: RungName
    rmse: float | None  # on the [0, 1] scale, as is the bias
    bias: float | None
    srcc: float | None
    plcc: float | None
    duration_s: float  # of all folds
    error: str | None  # why it could not be fitted


class Climbed(NamedTuple):
    """A calibrated student, and how it was chosen."""

    student: Student
    mapping: Mapping  # from its raw scores to people's scale
    chosen: RungName
    table: list[RungResult]  # in the order of the ladder
    interval: float | None  # half width of the conformal interval of a mapped score
    oof_scores: FloatArray | None  # (R,) of the chosen rung out of fold, as the rows are labelled
    facts: dict[str, Any]  # of the fit to all labels, as JSON


def climb(student: Student, labelled: Labelled, views: Views, plan: Plan) -> Climbed:
    """Choose a way of calibrating by cross-validation, and calibrate a copy of the student.

    Args:
        student: distilled, or with its initial weights; not changed but for evaluation mode.
        labelled: of the training split.
        views: of all N images: pictures, or frozen features of them.
        plan: which rungs, and how they are trained.

    Raises:
        NotEnoughData: too few opinions, or all the same.
        TrainingError: opinions on another scale, scores that are no numbers, a checkpoint that
            cannot be used, or no rung that could be fitted.
    """
    check_labels(labelled)
    seen = see(student, views, labelled.rows, labelled.mos[labelled.rows])
    # All processes of a run must come to the same choice, whatever their last digits are.
    seen = Seen(*(parallel.of_first(values) for values in seen))
    check_seen(seen)
    rungs = _rungs(student, plan)
    folds = folds_by_group(labelled.groups(), fold_count=plan.ladder.folds, seed=plan.seed)
    fitting = _Fitting(student, labelled, views, plan, _with_distilled(seen, labelled))
    table: list[RungResult] = []
    predictions: dict[RungName, FloatArray] = {}
    for rung in rungs:
        if len(rungs) == 1 and rung not in CLOSED and not plan.ladder.cross_validate_one:
            table.append(RungResult(rung, None, None, None, None, 0.0, None))
            continue
        result, predicted = _judged(rung, fitting, folds)
        table.append(result)
        if predicted is not None:
            predictions[rung] = predicted
    chosen = _chosen(table)
    calibrated, mapping, facts = fitting.to_all(chosen)
    predicted = predictions.get(chosen)
    interval = (
        None
        if predicted is None
        else half_width(predicted - seen.mos, coverage=plan.ladder.coverage)
    )
    return Climbed(calibrated, mapping, chosen, table, interval, predicted, facts)


class _Fitting(NamedTuple):
    """Fits rungs to some or all of the labelled images."""

    student: Student
    labelled: Labelled
    views: Views
    plan: Plan
    seen: Seen

    def out_of_fold(self, rung: RungName, folds: IntArray, fold: int) -> tuple[FloatArray, float]:
        """Scores of a fold by a rung fitted to the others, and the seconds that took."""
        held, start = folds == fold, time.monotonic()
        if rung in CLOSED:
            fitted = fit_closed_form(rung, self.seen.of(~held))
            return fitted.predicted(self.seen.of(held)), time.monotonic() - start
        part, checkpoint = f"{rung}-fold-{fold}", self.plan.checkpoint
        kept = checkpoint.part(f"{part}-scores") if checkpoint else None
        state = kept.load() if kept else None
        if state is not None:
            return state.tensors["scores"].numpy(), float(state.facts["duration_s"])
        views = views_of(rung, self.labelled, self.views, self.seen)
        mos = LabelledImages(np.flatnonzero(~held), self.seen.mos)
        tuned, _ = train_rung(rung, self.student, views, mos, self.plan, part=part)
        scores, duration_s = (
            score_rows(tuned, views, np.flatnonzero(held)),
            time.monotonic() - start,
        )
        if checkpoint and kept and parallel.is_first():
            kept.save(State({"scores": torch.from_numpy(scores)}, {"duration_s": duration_s}))
            checkpoint.part(part).remove()
        return scores, duration_s

    def to_all(self, rung: RungName) -> tuple[Student, Mapping, dict[str, Any]]:
        """A calibrated copy of the student, its mapping, and what there is to say about them."""
        if rung in CLOSED:
            fitted = fit_closed_form(rung, self.seen)
            return fitted.applied(self.student), fitted.mapping, fitted.facts()
        views = views_of(rung, self.labelled, self.views, self.seen)
        mos = LabelledImages(np.arange(len(self.seen.mos)), self.seen.mos)
        tuned, found = train_rung(rung, self.student, views, mos, self.plan, part=rung)
        return tuned, IDENTITY, found._asdict()


def _rungs(student: Student, plan: Plan) -> list[RungName]:
    """The rungs that are asked for, in the order of the ladder."""
    rungs = [rung for rung in RUNGS if rung in plan.ladder.rungs]
    if student.frozen and "head" in rungs and "full" in rungs:
        say("the backbone is frozen: the rung full would be the rung head again and is left out")
        rungs.remove("full")
    return rungs


def _with_distilled(seen: Seen, labelled: Labelled) -> Seen:
    """Scores of the labelled images as they are for images that were not distilled on."""
    if labelled.distilled_scores is None:
        return seen
    given = labelled.distilled_scores[labelled.rows]
    return seen._replace(scores=np.where(np.isfinite(given), given, seen.scores))


def _judged(
    rung: RungName, fitting: _Fitting, folds: IntArray
) -> tuple[RungResult, FloatArray | None]:
    """How good a rung is out of fold, and its scores there; None where it cannot be fitted."""
    scores, duration_s, mos = np.zeros(len(folds)), 0.0, fitting.seen.mos
    try:
        for fold in range(int(folds.max()) + 1):
            scores[folds == fold], took_s = fitting.out_of_fold(rung, folds, fold)
            duration_s += took_s
    except TrainingError as error:
        say(f"the rung {rung} could not be fitted: {error.what}")
        return RungResult(rung, None, None, None, None, duration_s, error.what), None
    errors = scores - mos
    result = RungResult(
        rung,
        rmse=float(np.sqrt((errors**2).mean())),
        bias=float(errors.mean()),
        srcc=_known(srcc(scores, mos)),
        plcc=_known(plcc(scores, mos)),
        duration_s=duration_s,
        error=None,
    )
    return result, scores


def _chosen(table: list[RungResult]) -> RungName:
    """The rung of least error; of equals the first."""
    if len(table) == 1 and table[0].error is None:
        return table[0].rung
    errors = [np.inf if result.rmse is None else result.rmse for result in table]
    best = int(np.argmin(parallel.of_first(np.array(errors))))
    if table[best].rmse is None:
        raise TrainingError(
            "no rung of the ladder could be fitted: "
            + "; ".join(f"{result.rung}: {result.error}" for result in table),
            where="ladder.rungs",
            fix="lower calibrate.learning_rate, or add a rung that does not train, such as"
            " shift_and_scale",
        )
    return table[best].rung


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None
