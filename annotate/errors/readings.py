"""The conversion-error audit of a store: every teacher's scores split into their errors."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from annotate.errors.conversion import ConversionErrors, conversion_errors
from annotate.errors.level_scale import FloatArray, LevelScale
from annotate.errors.rated import RatedImages, TeacherAnswers, answers_about
from data_store.agreement.correlations import plcc, srcc
from data_store.layout import Store
from schemas.errors import NotEnoughData
from schemas.scale import LEVEL_VALUES, unit_score

BoolArray = npt.NDArray[np.bool_]

SCORE = "score"
"""The score as it is: the level expectation, or what an outside teacher or a readout gave."""
WORD = "likeliest word"
"""The number of the level word with the largest probability: what a greedy answer would say."""


class Reading(NamedTuple):
    """One way of reading one teacher, against the opinions of one source."""

    source: str
    scale: tuple[float, float]
    """Of the opinions as they were given."""
    teacher: str
    teacher_id: str
    reading: str
    errors: ConversionErrors
    srcc: float
    plcc: float
    """Of the scores as they are; no curve is fitted."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON, flat."""
        own = self._asdict()
        own.pop("errors")
        return own | self.errors._asdict() | {"rmse": self.errors.rmse}


def readings(
    store: Store,
    teachers: dict[str, str],
    rated: Sequence[RatedImages],
    scale: LevelScale,
    *,
    common: bool = False,
) -> list[Reading]:
    """Every teacher's scores, and its likeliest words, against the opinions of every source.

    Args:
        store: where.
        teachers: id to name.
        rated: images with opinions, per source.
        scale: the levels that opinions are cut into.
        common: only images that all of these teachers scored, where at least one did.

    Raises:
        NotEnoughData: none of the teachers scored any of the images.
    """
    found: list[Reading] = []
    for images in rated:
        answers = list(answers_about(store, teachers, images))
        answers = [one for one in answers if np.isfinite(one.scores).any()]
        kept: BoolArray = np.ones(len(images.mos), dtype=bool)
        for one in answers if common else ():
            kept &= np.isfinite(one.scores)
        for one in answers:
            found += _of_teacher(images, one, scale, kept & np.isfinite(one.scores))
    if not found:
        raise NotEnoughData(
            "no teacher has scored an image with an opinion"
            + (" that all the others scored too" if common else ""),
            where=store.address,
            fix="run `annotate points` or `annotate readout apply`, or leave out some options",
        )
    return found


def _of_teacher(
    images: RatedImages, one: TeacherAnswers, scale: LevelScale, kept: BoolArray
) -> Iterator[Reading]:
    ways = {SCORE: one.scores, WORD: likeliest_values(one.level_probs)}
    for name, scores in ways.items():
        own: BoolArray = kept & np.isfinite(scores)
        if own.any():
            mos, given = images.mos[own], scores[own]
            yield Reading(
                images.source,
                images.scale,
                one.name,
                one.teacher_id,
                name,
                conversion_errors(mos, given, scale),
                srcc(given, mos),
                plcc(given, mos),
            )


def likeliest_values(level_probs: FloatArray) -> FloatArray:
    """(N,), the number on [0, 1] of the likeliest level word; NaN where there is no distribution.

    Args:
        level_probs: (N, 5), worst level first. Of two that are equally likely the worse counts.
    """
    known = np.asarray(np.isfinite(level_probs).all(axis=1))
    place = np.argmax(np.where(known[:, np.newaxis], level_probs, 0.0), axis=1)
    values = unit_score(np.array(LEVEL_VALUES))[place]
    return np.where(known, values, np.nan)
