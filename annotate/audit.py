"""The story of an audit: what a teacher does with a few images, before it sees a million.

It asks and measures (METHOD 4.2, 4.6); what will not do is `auditing/checks.py`. Nothing is
written to a store.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from annotate.auditing import parity as two_engines
from annotate.auditing.comparisons import (
    ComparedImages,
    both_orders,
    compared,
    in_a_ring,
    with_its_damage,
)
from annotate.auditing.images import AuditImage
from annotate.auditing.labels import PromptReading, read_labels
from annotate.auditing.parity import Parity
from annotate.auditing.ratings import (
    Ladder,
    RatedImage,
    RatedLadder,
    about_each,
    best_rated,
    ladders,
    mean_of_numbers,
    rated,
    rated_ladders,
)
from annotate.ladders import Kind
from annotate.prompts import Prompt, require_kind
from annotate.questions import Asked, LabelAnswer, Question, ask
from annotate.teachers.chat import codec_of
from annotate.teachers.engine import TokenEngine
from annotate.teachers.teacher import Teacher
from data_store.console import say


@dataclass(frozen=True, slots=True)
class PointAudit:
    """What one point prompt makes the teacher say."""

    reading: PromptReading
    rated: tuple[RatedImage, ...]
    ladders: tuple[RatedLadder, ...]
    """Of the half of the images that it rates best."""

    @property
    def mass(self) -> float:
        """Mean probability of all labels together."""
        return mean_of_numbers([one.mass for one in self.rated])

    @property
    def distinct_share(self) -> float:
        """Different scores, as a share of the scores of all images and damaged copies."""
        scores = [one.score for one in self.rated]
        scores += [score for ladder in self.ladders for score in ladder.scores[1:]]
        return len(set(scores)) / len(scores)

    def tau(self, kind: Kind) -> float:
        """Mean of Kendall's tau-b over the ladders of a kind."""
        return mean_of_numbers([one.tau for one in self.ladders if one.kind == kind])


@dataclass(frozen=True, slots=True)
class PairAudit:
    """What one pair prompt makes the teacher say."""

    reading: PromptReading
    compared: tuple[ComparedImages, ...]
    """The images as they are."""
    damaged: tuple[ComparedImages, ...]
    """An image, and second the worst rung of one of its ladders."""

    @property
    def mass(self) -> float:
        """Mean probability of both letters together."""
        return mean_of_numbers([pair.mass for pair in self.compared])

    @property
    def position_bias(self) -> float:
        """Mean logit that being shown first is worth."""
        return mean_of_numbers([pair.position_bias for pair in self.compared])

    @property
    def consistency_rate(self) -> float:
        """Share of the pairs in which both orders prefer the same image."""
        return mean_of_numbers([pair.consistent for pair in self.compared])

    @property
    def undamaged_share(self) -> float:
        """Share of `damaged` in which the undamaged image is preferred."""
        return mean_of_numbers([pair.preference_prob > 0.5 for pair in self.damaged])


@dataclass(frozen=True, slots=True)
class Audit:
    """All that was measured."""

    teacher_id: str
    dtype: str
    engine: str
    """Engine, version and hardware."""
    points: tuple[PointAudit, ...]
    pairs: tuple[PairAudit, ...]
    asked: int
    unusable: int
    """Questions without an answer, or whose answer is no number."""
    problem: str
    """Of the first of these, if it has a name."""
    parity: Parity | None
    no_parity: str
    """Why the engines were not compared; empty where they were."""


class Conversation:
    """A started teacher, what it was asked, and what it answered."""

    def __init__(self, engine: TokenEngine) -> None:
        self._engine = engine
        self.asked: list[Asked] = []
        self.answers: list[LabelAnswer] = []

    def ask(self, questions: Sequence[Asked]) -> list[LabelAnswer]:
        """Ask all of them; raises EngineFailed."""
        answers = list(ask(self._engine, questions))
        self.asked += questions
        self.answers += answers
        return answers


def audit(
    teacher: Teacher, prompts: Sequence[Prompt], images: Sequence[AuditImage], *, parity: bool
) -> Audit:
    """Ask about the images and about damaged copies of them, and another engine the same.

    Args:
        teacher: started here, and closed.
        prompts: point prompts and pair prompts, at least one for points; by the first of these
            the images are chosen that are damaged.
        images: two or more.
        parity: whether to compare with the other engine, where there is one.

    Raises:
        InputError: a prompt is of neither kind, or none is for points.
        TeacherError: the labels cannot be read, or the teacher cannot be started or stops.
    """
    points = _readable(teacher, [prompt for prompt in prompts if prompt.kind == "point"])
    pairs = _readable(teacher, [prompt for prompt in prompts if prompt.kind == "pair"])
    say(
        f"starting {teacher.spec.name}: {len(images)} images, and damaged copies of the better half"
    )
    engine = teacher.start()
    try:
        talk = Conversation(engine)
        ratings = [rated(q, images, talk.ask(about_each(q, images))) for _, q in points]
        sight = teacher.image_tokens
        steps = [
            ladder
            for one in best_rated(images, ratings[0])
            for ladder in ladders(one, sight.shown_size(*one.image.size))
        ]
        point_audits = tuple(
            _of_points(talk, reading, question, ratings=rating, steps=steps)
            for (reading, question), rating in zip(points, ratings, strict=True)
        )
        pair_audits = tuple(
            _of_pairs(talk, reading, question, images=images, steps=steps)
            for reading, question in pairs
        )
        provenance = engine.provenance
    finally:
        engine.close()
    unusable = [answer for answer in talk.answers if not answer.is_usable]
    no_parity = two_engines.why_not(teacher) if parity else "it was not asked for"
    return Audit(
        teacher.teacher_id,
        teacher.options.dtype,
        provenance,
        point_audits,
        pair_audits,
        len(talk.answers),
        len(unusable),
        next((answer.problem for answer in unusable if answer.problem), ""),
        None if no_parity else two_engines.compare(teacher, provenance, talk.asked, talk.answers),
        no_parity,
    )


def _readable(teacher: Teacher, prompts: Sequence[Prompt]) -> list[tuple[PromptReading, Question]]:
    require_kind([prompt for prompt in prompts if prompt.kind == "point"], "point")
    require_kind([prompt for prompt in prompts if prompt.kind == "pair"], "pair")
    codec = codec_of(teacher.processor.tokenizer)
    questions = [teacher.read(prompt) for prompt in prompts]
    return [
        (read_labels(prompt, question.spec, codec), question)
        for prompt, question in zip(prompts, questions, strict=True)
    ]


def _of_points(
    talk: Conversation,
    reading: PromptReading,
    question: Question,
    *,
    ratings: tuple[RatedImage, ...],
    steps: Sequence[Ladder],
) -> PointAudit:
    rungs = [rung for ladder in steps for rung in ladder.images]
    answers = talk.ask(about_each(question, rungs))
    return PointAudit(reading, ratings, rated_ladders(steps, answers))


def _of_pairs(
    talk: Conversation,
    reading: PromptReading,
    question: Question,
    *,
    images: Sequence[AuditImage],
    steps: Sequence[Ladder],
) -> PairAudit:
    ring, damage = in_a_ring(images), with_its_damage(steps)
    return PairAudit(
        reading,
        compared(ring, talk.ask(both_orders(question, ring))),
        compared(damage, talk.ask(both_orders(question, damage))),
    )
