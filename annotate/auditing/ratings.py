"""What a point prompt makes a teacher say: of images as they are, and of their ladders."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from annotate.auditing.images import AuditImage
from annotate.ladders import STRENGTHS, Kind, as_seen, degraded, kendall_tau_b
from annotate.questions import Asked, LabelAnswer, Question
from schemas.scale import FloatArray, confidence, level_probs, logit_expectation, unit_score


@dataclass(frozen=True, slots=True)
class RatedImage:
    """What the teacher says of one image; NaN where the answer cannot be used."""

    path: str
    score: float
    """In [0, 1]."""
    confidence: float
    """1 - H / ln 5."""
    top_label: str
    mass: float
    """Probability of all labels together, before they are brought to the sum of 1."""


class Ladder(NamedTuple):
    """One image made worse step by step; severity 0 is the image itself."""

    kind: Kind
    images: tuple[AuditImage, ...]


@dataclass(frozen=True, slots=True)
class RatedLadder:
    """The teacher's scores of one ladder."""

    path: str
    kind: Kind
    scores: tuple[float, ...]
    """At severity 0, 1, …"""
    tau: float
    """Kendall's tau-b of severity and score; -1 where each step lowers the score."""


def about_each(question: Question, images: Iterable[AuditImage]) -> list[Asked]:
    """One question for each image."""
    return [Asked(question, (one.image,), (one.image_id,)) for one in images]


def rated(
    question: Question, images: Sequence[AuditImage], answers: Sequence[LabelAnswer]
) -> tuple[RatedImage, ...]:
    """What came of `about_each`."""
    labels = question.spec.labels
    logprobs = as_array(answers, len(labels))
    probs = level_probs(logprobs)
    columns = (_scores(answers), confidence(probs), np.exp(logprobs).sum(axis=1))
    return tuple(
        RatedImage(
            image.path,
            float(score),
            float(certainty),
            labels[int(np.argmax(p))] if np.isfinite(score) else "-",
            float(mass),
        )
        for image, p, score, certainty, mass in zip(images, probs, *columns, strict=True)
    )


def best_rated(images: Sequence[AuditImage], ratings: Sequence[RatedImage]) -> list[AuditImage]:
    """The better half, rounded up: an image that is bad already cannot get much worse."""
    order = np.argsort([-one.score for one in ratings], kind="stable")  # NaN comes last
    return [images[number] for number in order[: (len(images) + 1) // 2].tolist()]


def ladders(image: AuditImage, seen_px: tuple[int, int]) -> list[Ladder]:
    """A ladder of each kind.

    Args:
        image: to be made worse.
        seen_px: the largest (width, height) that the teacher sees of it; it is made so small
            first, or the mild steps would vanish when the teacher does it.
    """
    seen = as_seen(image.image, seen_px)
    return [
        Ladder(
            kind,
            tuple(
                AuditImage(
                    f"{image.image_id} {kind} {severity}" if severity else f"{image.image_id} seen",
                    f"{image.path} + {kind} {severity}" if severity else image.path,
                    degraded(seen, kind, severity),
                )
                for severity in range(len(strengths) + 1)
            ),
        )
        for kind, strengths in STRENGTHS.items()
    ]


def rated_ladders(
    climbed: Sequence[Ladder], answers: Sequence[LabelAnswer]
) -> tuple[RatedLadder, ...]:
    """What came of `about_each` of all the ladders' images, one ladder after the other."""
    scores = iter(_scores(answers).tolist())
    found = []
    for ladder in climbed:
        own = [next(scores) for _ in ladder.images]
        usable = np.flatnonzero(np.isfinite(own))
        tau = kendall_tau_b(usable, np.array(own)[usable])
        found.append(RatedLadder(ladder.images[0].path, ladder.kind, tuple(own), tau))
    return tuple(found)


def as_array(answers: Sequence[LabelAnswer], labels: int) -> FloatArray:
    """(N, K) log-probabilities; a row of NaN for an answer that cannot be used."""
    unusable = [np.nan] * labels
    rows = [answer.label_logprobs if answer.is_usable else unusable for answer in answers]
    return np.array(rows, dtype=np.float64).reshape(len(answers), labels)


def mean_of_numbers(values: npt.ArrayLike) -> float:
    """Mean of those that are numbers; 0 where none is, which no check takes for good."""
    numbers = np.asarray(values, dtype=np.float64)
    numbers = numbers[np.isfinite(numbers)]
    return float(numbers.mean()) if numbers.size else 0.0


def _scores(answers: Sequence[LabelAnswer]) -> FloatArray:
    return unit_score(logit_expectation(as_array(answers, 5)))
