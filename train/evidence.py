"""What of the teachers' answers is learnt from: the training split's, and confident enough.

What a teacher said of held-out images never gets past this file, and no temperature is fitted
to it. A teacher that came from outside need not have said everything: scores without levels,
pairs without scores and winners without a probability all work, or say which setting to change.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from schemas.errors import NotEnoughData
from schemas.scale import confidence
from train.pair_temperature import fit_pair_temperature
from train.stage_settings import DistilSettings
from train.teacher_temperature import fit_teacher_temperature
from train.training_data import FloatArray, IntArray, TrainingData

BoolArray = NDArray[np.bool_]

ON_THE_SIGN = ("ranking", "margin")
"""Pair losses that ask who is preferred; the others ask how surely."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What T teachers said of the training images, ready to be learnt."""

    rows: IntArray
    """(R,) image rows that take part."""
    teacher_score: FloatArray
    """(N,) by image row; NaN where there is none or where points are not used."""
    level_probs: FloatArray
    """(N, 5) by image row, worst level first; NaN where there is none or it is not used."""
    pairs: IntArray
    """(P, 2) image rows, both in `rows`."""
    pair_teacher: IntArray
    """(P,) which of the teachers compared them."""
    preference_prob: FloatArray
    """(P,) P(first better), at the teacher's temperature."""
    pair_weight: FloatArray
    """(P,) confidence at the teacher's temperature, or 1 where that is not to weigh."""
    pair_temperatures: FloatArray
    """(T,) score gap that counts as one logit."""
    teacher_temperatures: FloatArray
    """(T,) divisor of the logits of the teacher's preferences."""

    def temperature_of(self, pair_rows: IntArray) -> FloatArray:
        """(M,) the pair temperature of each of these pairs' teachers, score units."""
        return self.pair_temperatures[self.pair_teacher[pair_rows]]

    def facts(self) -> dict[str, Any]:
        """What a run's record says of it."""
        return {
            "image_count": len(self.rows),
            "pair_count": len(self.pairs),
            "pair_temperatures": self.pair_temperatures.tolist(),
            "teacher_temperatures": self.teacher_temperatures.tolist(),
        }


def select_evidence(
    data: TrainingData, in_training: BoolArray, settings: DistilSettings
) -> Evidence:
    """Keep what the settings ask for and the split allows.

    Each teacher has its temperatures, and its least confident share of pairs, to itself: teachers
    differ in how sure they say they are. Pairs of equal confidence are kept or discarded
    together: a share that would part them is made smaller, so a teacher that named nothing but
    winners, whose confidences are all 1, loses none. A pair without a preference is discarded
    where the loss asks who is preferred.

    Args:
        data: everything the store holds of these teachers.
        in_training: (N,) images that may be trained on.
        settings: which losses are used, temperatures, and which pairs are discarded.

    Raises:
        NotEnoughData: a loss that is used has nothing to learn from.
    """
    scored = in_training & ~np.isnan(data.teacher_score) & (settings.point_weight > 0)
    with_levels = settings.point_loss == "level_kl"
    if with_levels:
        scored &= ~np.isnan(data.level_probs).any(axis=1)
    teacher_score = np.where(scored, data.teacher_score, np.nan)

    both_in_training: BoolArray = np.all(in_training[data.pairs], axis=1)
    may_be_used = both_in_training & (settings.pair_weight > 0)
    may_be_used &= np.random.default_rng(0).random(len(data.pairs)) < settings.pair_fraction
    temperatures = _teacher_temperatures(data, may_be_used, settings)
    prob, certainty = _at_temperature(data, temperatures)
    on_the_sign = settings.pair_loss in ON_THE_SIGN
    kept = may_be_used & _confident(certainty, data.pair_teacher, may_be_used, settings)
    if on_the_sign:
        kept &= prob != 0.5
    _require_points(settings, data, int(scored.sum()))
    _require_pairs(settings, data, int(may_be_used.sum()), int(kept.sum()))

    pairs, pair_teacher, prob = data.pairs[kept], data.pair_teacher[kept], prob[kept]
    weighs = {"auto": on_the_sign, "on": True, "off": False}[settings.pair_confidence_weights]
    return Evidence(
        rows=np.union1d(np.flatnonzero(scored), pairs),
        teacher_score=teacher_score,
        level_probs=np.where(scored[:, None] & with_levels, data.level_probs, np.nan),
        pairs=pairs,
        pair_teacher=pair_teacher,
        preference_prob=prob,
        pair_weight=certainty[kept] if weighs else np.ones(len(pairs)),
        pair_temperatures=_pair_temperatures(
            teacher_score[pairs[:, 0]] - teacher_score[pairs[:, 1]],
            (prob > 0.5).astype(np.float64) if on_the_sign else prob,
            [pair_teacher == place for place in range(len(data.teacher_ids))],
            given=settings.pair_temperature,
        ),
        teacher_temperatures=temperatures,
    )


def _teacher_temperatures(
    data: TrainingData, may_be_used: BoolArray, settings: DistilSettings
) -> FloatArray:
    if settings.teacher_temperature > 0:
        return np.full(len(data.teacher_ids), settings.teacher_temperature)
    by_teacher = [
        may_be_used & (data.pair_teacher == place) for place in range(len(data.teacher_ids))
    ]
    return np.array(
        [fit_teacher_temperature(data.logit_ab[own], data.logit_ba[own]) for own in by_teacher]
    )


def _at_temperature(data: TrainingData, temperatures: FloatArray) -> tuple[FloatArray, FloatArray]:
    """P(first better) and its confidence, with each teacher's logits divided by its temperature.

    As in the store's views the preference has the mean of the two orders' logits, and confidence
    the mean of their probabilities. An order that was not asked says what the other says, and where
    neither was, both say the preference.
    """
    by_pair = temperatures[data.pair_teacher]
    given = logit(data.preference_prob)
    ab = np.where(np.isnan(data.logit_ab), data.logit_ba, data.logit_ab)
    ba = np.where(np.isnan(data.logit_ba), data.logit_ab, data.logit_ba)
    ab, ba = (np.where(np.isnan(logits), given, logits) / by_pair for logits in (ab, ba))
    prob, mean = expit((ab + ba) / 2), (expit(ab) + expit(ba)) / 2
    certainty = confidence(np.stack([mean, 1 - mean], axis=1))
    as_said = by_pair == 1
    return (
        np.where(as_said, data.preference_prob, prob),
        np.where(as_said, data.pair_confidence, certainty),
    )


def _confident(
    certainty: FloatArray, pair_teacher: IntArray, may_be_used: BoolArray, settings: DistilSettings
) -> BoolArray:
    """(P,) pairs above both thresholds, the absolute one and each teacher's quantile."""
    confident = certainty >= settings.min_confidence
    for place in np.unique(pair_teacher[may_be_used]):
        own = np.sort(certainty[may_be_used & (pair_teacher == place)])
        least = own[int(settings.discard_fraction * len(own))]
        confident &= (pair_teacher != place) | (certainty >= least)
    return confident


def _pair_temperatures(
    score_gap: FloatArray, prob: FloatArray, by_teacher: list[BoolArray], *, given: float
) -> FloatArray:
    if given > 0:
        return np.full(len(by_teacher), given)
    known = ~np.isnan(score_gap)
    return np.array(
        [fit_pair_temperature(score_gap[own & known], prob[own & known]) for own in by_teacher]
    )


def _require_points(settings: DistilSettings, data: TrainingData, scored_count: int) -> None:
    if settings.point_weight == 0 or scored_count:
        return
    in_store = int(np.isfinite(data.teacher_score).sum())
    if settings.point_loss == "level_kl" and in_store:
        raise NotEnoughData(
            "no image of the training split has probabilities of the levels",
            where=f"the store: {in_store} scores of the chosen teachers,"
            f" {np.isfinite(data.level_probs[:, 0]).sum()} of them from levels",
            fix="learn from the scores with --set distil.point_loss=smooth_l1",
        )
    raise NotEnoughData(
        "no image of the training split has a teacher score",
        where=f"the store: {in_store} scores of the chosen teachers",
        fix="run `annotate points`, or train on pairs alone with --set distil.point_weight=0",
    )


def _require_pairs(
    settings: DistilSettings, data: TrainingData, usable_count: int, kept_count: int
) -> None:
    if settings.pair_weight == 0 or kept_count:
        return
    where = f"the store: {len(data.pairs)} pairs of the chosen teachers, {usable_count} in training"
    if not usable_count:
        raise NotEnoughData(
            "no pair of the training split has been compared",
            where=where,
            fix="run `annotate pairs`, or train on scores alone with --set distil.pair_weight=0",
        )
    raise NotEnoughData(
        "no pair of the training split prefers one of its images with a confidence of"
        f" {settings.min_confidence:g}",
        where=where,
        fix="run `annotate pairs` for more, lower distil.min_confidence,"
        " or train on scores alone with --set distil.pair_weight=0",
    )
