"""The stories of `train evaluate`, `train compare` and `train confidence`."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data_store.agreement.group_bootstrap import MEASURES
from data_store.agreement.reliability import (
    PairReliability,
    PointReliability,
    pair_reliability,
    point_reliability,
)
from data_store.console import say
from data_store.layout import Store
from schemas.errors import InputError, NotEnoughData
from train.evaluate import EvaluationRow, evaluate
from train.evaluation.comparison import Difference, compare_scores
from train.evaluation.finished_run import FinishedRun, HeldOut, held_out_scores, scores_elsewhere
from train.evaluation.random_splits import Scored, SplitSummary, over_splits
from train.evaluation.rated_images import (
    RatedImages,
    named_teachers,
    rated_images,
    rated_pairs,
    teacher_scores,
)

REFIT = "refitted"
"""Said of scores that were mapped by a curve fitted on opinions of the data set they are of."""


class SplitPlan(NamedTuple):
    """How many random test parts, and how large."""

    splits: int
    test_fraction: float


class Comparison(NamedTuple):
    """Two scorers on the same images."""

    first: str
    second: str
    image_count: int
    group_count: int
    differences: list[Difference]


class Confidence(NamedTuple):
    """What one teacher's confidence is worth, by the opinions of one source."""

    teacher: str
    source: str
    pairs: PairReliability
    tied_pairs: int
    """Pairs with equal opinions, which nobody can be right about; left out."""
    points: PointReliability


def judge_teachers(
    store: Store, wanted: list[str], *, source: str, plan: SplitPlan
) -> Iterator[SplitSummary]:
    """Each teacher's scores against the opinions of each source, over random test parts.

    Args:
        store: where.
        wanted: teachers by name or start of id; none means all that have points.
        source: of the opinions; empty for each apart.
        plan: of the test parts.

    Raises:
        NotEnoughData: no teacher has scored an image with an opinion.
    """
    empty = True
    for images in rated_images(store, source=source):
        for name, teacher_id in named_teachers(store, wanted).items():
            scored = _with_score(name, images, teacher_scores(store, teacher_id, images)[0])
            if len(scored.mos):
                empty = False
                yield over_splits(scored, splits=plan.splits, test_fraction=plan.test_fraction)
            elif wanted:
                say(f"{name} has scored no image that {images.source} has an opinion of")
    if empty:
        raise NotEnoughData(
            "no teacher has scored an image with an opinion",
            where=store.address,
            fix="run `annotate points`, or bring opinions in with `store add-mos`",
        )


def judge_elsewhere(
    run: FinishedRun, student: str, store: Store, *, source: str, plan: SplitPlan
) -> Iterator[SplitSummary]:
    """A run's student on another store: its scores as they are, then refitted.

    The refit is a rising curve from the opinions outside each test part: it moves the scale, never
    the order. Arguments as above; an empty `student` is the one calibrated on most labels.
    """
    for images in rated_images(store, source=source):
        scored = scores_elsewhere(run, student, images)
        raw = scored._replace(name=f"{run.folder.name}/{scored.name}")
        for one, refit in ((raw, False), (raw._replace(name=f"{raw.name} {REFIT}"), True)):
            yield over_splits(
                one, splits=plan.splits, test_fraction=plan.test_fraction, refit=refit
            )


def judge_held_out(run: FinishedRun, store: Store) -> list[EvaluationRow]:
    """All students of a run, and its teachers, on its own held-out images, with intervals."""
    found = held_out_scores(run, store)
    everywhere = np.ones(len(found.mos), dtype=bool)
    scores = {name: given for name, given in found.scores.items() if np.isfinite(given).any()}
    return evaluate(scores, found.mos, everywhere, group_ids=found.group_ids)


def compare_students(
    runs: tuple[HeldOut, HeldOut],
    students: tuple[str, str],
    *,
    draws: int,
    measures: Sequence[str] = MEASURES,
) -> Comparison:
    """Compare a scorer of one run with a scorer of another, or of the same, image by image.

    Args:
        runs: with their scores of the same images.
        students: one of each.
        draws: of the bootstrap.
        measures: which of `group_bootstrap.MEASURES`.

    Raises:
        InputError: a run has no such scorer, or they were not tested on the same images.
    """
    scores = tuple(_scores_of(run, name) for run, name in zip(runs, students, strict=True))
    _refuse_different_tests(*runs)
    names = [f"{run.run.folder.name}/{name}" for run, name in zip(runs, students, strict=True)]
    if runs[0].run == runs[1].run and students[0] == students[1]:
        raise InputError("a scorer is compared with itself", where=names[0], fix="name another")
    common = np.isfinite(scores[0]) & np.isfinite(scores[1])
    if not common.all():
        say(f"{(~common).sum()} of {len(common)} images lack a score of one of the two, left out")
    groups = runs[0].group_ids.filter(pa.array(common))
    rows = compare_scores(
        (scores[0][common], scores[1][common]),
        runs[0].mos[common],
        groups,
        draws=draws,
        measures=measures,
    )
    return Comparison(
        names[0], names[1], int(common.sum()), len(pc.unique(groups)), differences=rows
    )


def judge_confidence(store: Store, wanted: list[str], *, source: str) -> Iterator[Confidence]:
    """What each teacher's confidence is worth; arguments as of `judge_teachers`.

    Raises:
        NotEnoughData: no teacher has judged an image or a pair with opinions.
    """
    empty = True
    for images in rated_images(store, source=source):
        for name, teacher_id in named_teachers(store, wanted).items():
            pairs = rated_pairs(store, teacher_id, source=images.source)
            different = (pairs.mos_difference != 0) & np.isfinite(pairs.confidence)
            score, confidence = teacher_scores(store, teacher_id, images)
            known = np.isfinite(score) & np.isfinite(confidence)
            if not (different.any() or known.any()):
                continue
            empty = False
            yield Confidence(
                name,
                images.source,
                pair_reliability(
                    pairs.preference_prob[different],
                    pairs.confidence[different],
                    pairs.mos_difference[different],
                ),
                int((pairs.mos_difference == 0).sum()),
                point_reliability(score[known], confidence[known], images.mos[known]),
            )
    if empty:
        raise NotEnoughData(
            "no answer with a confidence is about images with opinions",
            where=store.address,
            fix="run `annotate points` or `annotate pairs`, or bring opinions in"
            " with `store add-mos`",
        )


def _with_score(name: str, images: RatedImages, given: NDArray[np.float64]) -> Scored:
    known = np.isfinite(given)
    groups = images.group_ids.filter(pa.array(known))
    return Scored(name, images.source, given[known], images.mos[known], groups)


def _scores_of(held_out: HeldOut, name: str) -> NDArray[np.float64]:
    if name not in held_out.scores:
        raise InputError(
            f"the run has no scorer {name!r}",
            where=held_out.run.folder,
            fix=f"choose one of {', '.join(held_out.scores)}",
        )
    return held_out.scores[name]


def _refuse_different_tests(first: HeldOut, second: HeldOut) -> None:
    ids = [set(run.image_ids.to_pylist()) for run in (first, second)]
    problems = []
    if ids[0] != ids[1]:
        runs = (first.run, second.run)
        splits = [f"split.seed = {r.split_seed}, test_fraction = {r.test_fraction:g}" for r in runs]
        problems.append(
            f"{len(ids[0] - ids[1])} held-out images are of the first run alone and"
            f" {len(ids[1] - ids[0])} of the second, {len(ids[0] & ids[1])} of both"
            f" ({splits[0]}; {splits[1]})"
        )
    elif differing := sum(
        not math.isclose(a, b, abs_tol=1e-9) for a, b in zip(first.mos, second.mos, strict=True)
    ):
        problems.append(f"{differing} held-out images have other opinions in the second store")
    if problems:
        raise InputError(
            "; ".join(problems),
            where=f"{first.run.folder} and {second.run.folder}",
            fix="compare runs with the same split of the same images and opinions",
        )
