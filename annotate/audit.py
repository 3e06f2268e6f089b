"""What a teacher does with a few images, before it is let loose on a million (METHOD 4.2, 4.6).

Measures, and judges nothing: which figures will do is `audit_report.py`. Nothing is written to a
store.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from PIL.Image import Image

from annotate.audit_images import AuditImage
from annotate.ladders import STRENGTHS, Kind, as_seen, kendall_tau_b, rungs
from annotate.questions import Asked, LabelAnswer, Question, ask
from annotate.teachers.engine import TokenEngine
from schemas.scale import FloatArray, confidence, level_probs, logit_expectation, unit_score


class RatedImage(NamedTuple):
    """What the teacher says of one image."""

    path: str
    score: float
    """In [0, 1]."""
    confidence: float
    top_label: str
    mass: float
    """Probability of all labels together, before they are brought to the sum of 1."""


class Ladder(NamedTuple):
    """One image, made worse step by step."""

    path: str
    kind: Kind
    scores: tuple[float, ...]
    """At severity 0, 1, …"""
    tau: float
    """Kendall's tau-b of severity and score; -1 where each step lowers the score."""


@dataclass(frozen=True, slots=True)
class PointAudit:
    """What a point prompt makes the teacher say."""

    prompt_id: str
    rated: tuple[RatedImage, ...]
    ladders: tuple[Ladder, ...]
    """Of the half of the images that the teacher rates best: the worst cannot get much worse."""
    distinct_share: float
    """Different scores, as a share of all scores of images and rungs."""
    unusable: int
    """Questions without an answer, or with one that is no number."""

    def tau(self, kind: Kind) -> float:
        """Mean over the ladders of a kind; 0 where there is none."""
        found = [ladder.tau for ladder in self.ladders if ladder.kind == kind]
        return float(np.mean(found)) if found else 0.0


class ComparedImages(NamedTuple):
    """What the teacher says of two images, from both orders."""

    first: str
    second: str
    """Path, or path and what was done to the image."""
    logit: float
    """Of P(the first is better), the mean of both orders."""
    position_bias: float
    """By how much being shown first raises the logit; as in the view `pairs`."""
    consistent: bool
    """Both orders prefer the same image."""
    mass: float
    """Probability of both letters together, mean of both orders."""


@dataclass(frozen=True, slots=True)
class PairAudit:
    """What a pair prompt makes the teacher say."""

    prompt_id: str
    compared: tuple[ComparedImages, ...]
    """Of the images as they are."""
    damaged: tuple[ComparedImages, ...]
    """An image first, and second the same at the worst rung of a ladder."""
    unusable: int

    @property
    def undamaged_share(self) -> float:
        """Share of `damaged` in which the image is preferred to its damaged copy."""
        return _mean([pair.logit > 0 for pair in self.damaged])

    @property
    def consistency_rate(self) -> float:
        """Share of `compared` in which both orders prefer the same image."""
        return _mean([pair.consistent for pair in self.compared])

    @property
    def position_bias(self) -> float:
        """Mean over `compared`, in logits; positive where what is shown first is preferred."""
        return _mean([pair.position_bias for pair in self.compared])


Answered = list[tuple[Asked, LabelAnswer]]


class Auditor:
    """Asks a started teacher about the images of an audit, and remembers what it answered.

    Args:
        engine: the started teacher.
        images: two or more.
        seen_px: per image, the largest (width, height) that the teacher sees of it.
    """

    def __init__(
        self,
        engine: TokenEngine,
        images: Sequence[AuditImage],
        seen_px: Sequence[tuple[int, int]],
    ) -> None:
        self._engine = engine
        self._images = images
        self._seen = [as_seen(one.image, px) for one, px in zip(images, seen_px, strict=True)]
        self._best: list[int] = list(range(len(images)))
        self.plain: Answered = []
        """Questions about the images as they are, with their answers: for `parity.py`."""

    def points(self, question: Question) -> PointAudit:
        """Rate each image, and the ladders of those rated best."""
        answers = self._plain(question, [((i.image,), (i.image_id,)) for i in self._images])
        rated = _rated(question, answers)
        whole = zip(self._images, rated, strict=True)
        scores = np.array([-one.score for one in rated])  # NaN last
        self._best = np.argsort(scores, kind="stable")[: (len(rated) + 1) // 2].tolist()
        ladders, unusable = self._ladders(question)
        every = [one.score for one in rated]
        every += [score for ladder in ladders for score in ladder.scores]
        usable = [score for score in every if np.isfinite(score)]
        return PointAudit(
            question.prompt_id,
            tuple(one._replace(path=image.path) for image, one in whole),
            tuple(ladders),
            len(set(usable)) / len(usable) if usable else 0.0,
            unusable + sum(not answer.is_usable for answer in answers),
        )

    def pairs(self, question: Question) -> PairAudit:
        """Compare each image with the next, and the best with their damaged copies.

        The best are those of the last call of `points`; all of them where there was none.
        """
        count = len(self._images)
        ring = [(i, (i + 1) % count) for i in range(count if count > LEAST_RING else 1)]
        plain = [self._named(number) for number in range(count)]
        compared = [(plain[a], plain[b]) for a, b in ring]
        damaged = [
            (plain[number], (f"{plain[number][0]} + {rung.kind} {rung.severity}", rung.image))
            for number in self._best
            for rung in rungs(self._seen[number])
            if rung.severity == len(STRENGTHS[rung.kind])
        ]
        as_they_are = [_both_orders(pair) for pair in compared]
        answers = self._plain(question, [order for orders in as_they_are for order in orders])
        spoilt = [order for pair in damaged for order in _both_orders(pair)]
        answers_damaged = self._asked(question, spoilt)
        return PairAudit(
            question.prompt_id,
            *(),
            **{},
        )
