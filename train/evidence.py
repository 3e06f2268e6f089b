"""What of the teacher's answers is learnt from: the training split's, and confident enough.

What the teacher said of held-out images never gets past this file.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.errors import NotEnoughData
from train.pair_temperature import fit_pair_temperature
from train.stage_settings import DistilSettings
from train.training_data import FloatArray, IntArray, TrainingData


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the teacher said of the training images, ready to be learnt."""

    rows: IntArray
    """(R,) image rows that take part."""
    teacher_score: FloatArray
    """(N,) by image row; NaN where there is none or where points are not used."""
    pairs: IntArray
    """(P, 2) image rows, both in `rows`."""
    preference_prob: FloatArray
    """(P,) P(first better)."""
    confidence: FloatArray
    """(P,) in [0, 1], none below the threshold."""
    temperature: float
    """Score gap that counts as one logit."""


def select_evidence(
    data: TrainingData, in_training: NDArray[np.bool_], settings: DistilSettings
) -> Evidence:
    """Keep what the settings ask for and the split allows.

    Args:
        data: everything the store holds of this teacher.
        in_training: (N,) images that may be trained on.
        settings: which losses are used, and the confidence threshold.

    Raises:
        NotEnoughData: a loss that is used has nothing to learn from.
    """
    scored = in_training & ~np.isnan(data.teacher_score) & (settings.point_weight > 0)
    kept = (
        in_training[data.pairs].all(axis=1)
        & (data.pair_confidence >= settings.min_confidence)
        & (settings.pair_weight > 0)
    )
    _require(settings, point_count=int(scored.sum()), pair_count=int(kept.sum()), data=data)
    pairs, prob = data.pairs[kept], data.preference_prob[kept]
    teacher_score = np.where(scored, data.teacher_score, np.nan)
    return Evidence(
        rows=np.union1d(np.flatnonzero(scored), pairs),
        teacher_score=teacher_score,
        pairs=pairs,
        preference_prob=prob,
        confidence=data.pair_confidence[kept],
        temperature=settings.pair_temperature or _own_temperature(teacher_score, pairs, prob),
    )


def _own_temperature(
    teacher_score: FloatArray, pairs: IntArray, preference_prob: FloatArray
) -> float:
    score_gap = teacher_score[pairs[:, 0]] - teacher_score[pairs[:, 1]]
    known = ~np.isnan(score_gap)
    return fit_pair_temperature(score_gap[known], np.sign(preference_prob[known] - 0.5))


def _require(
    settings: DistilSettings, *, point_count: int, pair_count: int, data: TrainingData
) -> None:
    if settings.point_weight > 0 and point_count == 0:
        raise NotEnoughData(
            "no image of the training split has a teacher score",
            where=f"the store: {np.isfinite(data.teacher_score).sum()} scores of this teacher",
            fix="run `annotate points`, or train on pairs alone with --set distil.point_weight=0",
        )
    if settings.pair_weight > 0 and pair_count == 0:
        raise NotEnoughData(
            f"no pair of the training split has a confidence of {settings.min_confidence:g}",
            where=f"the store: {len(data.pairs)} pairs of this teacher",
            fix="run `annotate pairs`, lower distil.min_confidence,"
            " or train on scores alone with --set distil.pair_weight=0",
        )
