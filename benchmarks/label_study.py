"""One split of the label-efficiency study: every method on the same labels, judged held out.

Everything here is the project's own trainer on frozen features; MOS of held-out images are used
to judge and for nothing else.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray

from data_store.splits import TEST_FRACTION, held_out, labelled_subset
from train.calibration.labelled import Labelled
from train.calibration.ladder import Climbed, climb
from train.calibration.rungs import CLOSED, fit_closed_form, see
from train.calibration.trained_rung import Plan
from train.distil import distil
from train.evaluation.metrics import unfitted_measures
from train.evidence import select_evidence
from train.features import FrozenFeatures
from train.fine_tune import LabelledImages, fine_tune
from train.first_scores import start_at
from train.scoring import score_pictures
from train.selection.pool import Pool
from train.selection.reading import inconsistency
from train.selection.strategies import STRATEGIES, choose
from train.settings import StudentSettings
from train.stage_settings import (
    CalibrateSettings,
    CftOnlySettings,
    DistilSettings,
    LadderSettings,
    RungName,
)
from train.student import Student, initial_student
from train.training_data import TrainingData

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

FRACTIONS = (0.01, 0.05, 0.1, 0.3, 1.0)
SELECTED_FRACTION = 0.05
RANDOM_DRAWS = 5
RUNGS: tuple[RungName, ...] = (*CLOSED, "head")
"""All but those that train the backbone, whose features are computed once."""
LADDER = LadderSettings(rungs=RUNGS)
FULL_LADDER = LadderSettings(rungs=RUNGS, folds=3)
"""With all labels, where a ridge regression takes seconds."""
CLOSED_LADDER = LadderSettings(rungs=CLOSED)
DISTIL_RATES = (1e-6, 3e-6)
"""Tried; the one that errs least against the teacher on training images set aside is used."""
CFT_RATES = (1e-6, 3e-6, 1e-5, 3e-5)
"""Tried; the one with the least loss on the fine-tuning's own validation slice is used."""
HEAD = CalibrateSettings(trained="head", learning_rate=3e-6)


class Row(NamedTuple):
    """Held-out agreement of one method at one share of labels."""

    method: str
    fraction: float
    srcc: float
    plcc: float
    rmse: float
    bias: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Split:
    """One teacher's evidence, cut once."""

    data: TrainingData
    features: FrozenFeatures
    student: StudentSettings
    seed: int

    def tested(self) -> BoolArray:
        """(N,) images of held-out groups."""
        return held_out(self.data.group_ids, seed=self.seed, test_fraction=TEST_FRACTION)

    def candidates(self) -> IntArray:
        """(R,) training images with MOS."""
        return np.flatnonzero(~self.tested() & np.isfinite(self.data.mos))

    def labelled(self, fraction: float) -> IntArray:
        """(L,) the same labelled images for every method."""
        ids = self.data.image_ids
        return labelled_subset(self.candidates(), ids, fraction=fraction, seed=self.seed)

    def row(self, method: str, fraction: float, scores: FloatArray, note: str = "") -> Row:
        """Judge (N,) scores on the held-out images."""
        tested = self.tested()
        found = unfitted_measures(scores[tested], self.data.mos[tested])
        srcc, plcc, rmse, bias = (found[name] for name in ("srcc", "plcc", "rmse", "bias"))
        return Row(method, fraction, srcc, plcc, rmse, bias, note)


def baselines(split: Split) -> Iterator[Row]:
    """Ridge on the frozen features, and fine-tuning without distillation."""
    for fraction in FRACTIONS:
        rows = split.labelled(fraction)
        start = _initial(split)
        seen = see(start, split.features, rows, split.data.mos[rows])
        everything = see(start, split.features, np.arange(len(split.data.mos)), split.data.mos)
        predicted = fit_closed_form("ridge", seen).predicted(everything)
        yield split.row("ridge", fraction, predicted)
        yield _cft_only(split, rows, fraction)


class LabelFree(NamedTuple):
    """A student that no MOS was used for, and the learning rate that suited it."""

    student: Student
    rate: float


def label_free(split: Split) -> LabelFree:
    """Distil from all training images, as fast as the teacher's own evidence recommends."""
    rate = _best_rate(split)
    return LabelFree(_distilled(split, ~split.tested(), rate), rate)


def students(split: Split, distilled: LabelFree) -> Iterator[Row]:
    """The teacher, the label-free student, and what the ladder makes of it, rung by rung."""
    if np.isfinite(split.data.teacher_score[split.tested()]).all():
        yield split.row("teacher", 0.0, split.data.teacher_score)
    student, rate = distilled
    yield split.row("leaf", 0.0, _scores(split, student), note=f"learning rate {rate:g}")
    for fraction in FRACTIONS:
        rows = split.labelled(fraction)
        yield _calibrated_row(
            split,
            "leaf",
            fraction,
            _climbed(split, student, rows, ladder=LADDER if fraction < 1 else FULL_LADDER),
        )
        for rung in RUNGS:
            if rung == "ridge":  # the baseline
                continue
            scores = _single_rung(split, rung, student, rows)
            yield split.row(f"rung {rung}", fraction, scores)


def selections(split: Split, distilled: LabelFree) -> Iterator[Row]:
    """Which images to label: every strategy with the same budget, calibrated in the same way."""
    student = distilled.student
    training = np.flatnonzero(~split.tested())
    pool = _pool(split, student, training)
    count = len(split.labelled(SELECTED_FRACTION))
    for strategy in STRATEGIES:
        for draw in range(RANDOM_DRAWS if strategy == "random" else 1):
            rows = training[choose(strategy, pool, count, seed=1000 * draw + split.seed)]
            found = _climbed(split, student, rows, ladder=CLOSED_LADDER)
            yield _calibrated_row(split, f"select {strategy}", SELECTED_FRACTION, found)


def _pool(split: Split, student: Student, training: IntArray) -> Pool:
    data = split.data
    groups = pc.dictionary_encode(data.group_ids).indices.to_numpy().astype(np.int64)
    return Pool(
        group=groups[training],
        teacher_score=data.teacher_score[training],
        confidence=data.point_confidence[training],
        inconsistency=inconsistency(data)[training],
        student_score=_scores(split, student)[training],
        features=split.features.values[training],
    )


def _initial(split: Split) -> Student:
    student = initial_student(split.student, seed=split.seed)
    if student.score_head is not None:
        training = split.features.values[~split.tested()]
        student.score_head.standardise(torch.from_numpy(training))
    return student


def _distilled(split: Split, learnt_from: BoolArray, rate: float) -> Student:
    settings = DistilSettings(epochs=10, learning_rate=rate)
    student = _initial(split)
    evidence = select_evidence(split.data, learnt_from, settings)
    distil(
        student, evidence, split.features, settings, seed=split.seed, on_epoch=lambda epoch: None
    )
    return student


def _best_rate(split: Split) -> float:
    """By error against the teacher on a fifth of the training images, set aside; no MOS."""
    data, training = split.data, ~split.tested()
    aside = training & held_out(data.group_ids, seed=1000 + split.seed, test_fraction=0.2)
    aside &= np.isfinite(data.teacher_score)
    found = {}
    for rate in DISTIL_RATES:
        student = _distilled(split, training & ~aside, rate)
        error = (_scores(split, student) - data.teacher_score)[aside]
        found[rate] = float((error**2).mean())
    return min(found, key=lambda rate: found[rate])


def _climbed(
    split: Split, student: Student, rows: IntArray, *, ladder: LadderSettings = LADDER
) -> Climbed:
    labelled = Labelled(rows, split.data.mos, split.data.group_ids.to_pylist())
    return climb(student, labelled, split.features, Plan(ladder, HEAD, seed=split.seed))


def _calibrated_row(split: Split, method: str, fraction: float, found: Climbed) -> Row:
    scores = found.mapping(_scores(split, found.student))
    return split.row(method, fraction, scores, found.chosen)


def _single_rung(split: Split, rung: RungName, student: Student, rows: IntArray) -> FloatArray:
    if rung not in CLOSED:
        found = _climbed(split, student, rows, ladder=LadderSettings(rungs=(rung,)))
        return found.mapping(_scores(split, found.student))
    fitted = fit_closed_form(rung, see(student, split.features, rows, split.data.mos[rows]))
    every = np.arange(len(split.data.mos))
    return fitted.predicted(see(student, split.features, every, split.data.mos))


def _cft_only(split: Split, rows: IntArray, fraction: float) -> Row:
    """The same score head, trained on the labels alone."""
    tried = []
    for rate in CFT_RATES:
        student = _initial(split)
        start_at(float(split.data.mos[rows].mean()), student, split.features, rows)
        settings = CftOnlySettings(trained="head", learning_rate=rate)
        labelled = LabelledImages(rows, split.data.mos)
        found = fine_tune(student, labelled, split.features, settings, seed=split.seed)
        tried.append((found.validation_loss, rate, student))
    _, rate, student = min(tried, key=lambda one: one[:2])
    return split.row("cft_only", fraction, _scores(split, student), f"learning rate {rate:g}")


def _scores(split: Split, student: Student) -> FloatArray:
    return score_pictures(student, split.features, np.arange(len(split.features.values)))
