"""The story of the pairs: choose them, ask both orders of each, keep one row per pair."""

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from annotate.answer_writer import Done
from annotate.executors.share import Share
from annotate.image_stream import Decoding, Needing, StoredImage, shown
from annotate.pair_order import request_order
from annotate.pair_strategies import Asking, PairChoice, choose_pairs
from annotate.questions import Asked, LabelAnswer, Question, ask
from annotate.teachers.engine import TokenEngine
from annotate.work import LOOKED_UP_AT_A_TIME, Work
from data_store.layout import Store
from data_store.rejections import Rejection
from schemas.errors import ImageError


class PairPlan(NamedTuple):
    """The pairs to ask about, and what is to be said of them."""

    work: Work
    answered: int
    """Pairs that count towards the budget and are answered already."""
    remarks: str
    """What was left out of the choice; empty or beginning with a semicolon."""


class PairRequest(NamedTuple):
    """One order of one pair."""

    row: int
    """Which pair of the work."""
    first: StoredImage
    """Shown first."""
    second: StoredImage


class OpenPairs:
    """The pairs of which one order is settled; the other order is asked some requests later."""

    def __init__(self, teacher_id: str, question: Question) -> None:
        self._teacher_id = teacher_id
        self._question = question
        self._halves: dict[int, tuple[PairRequest, LabelAnswer | None]] = {}

    def settle(self, request: PairRequest, answer: LabelAnswer | None) -> Iterator[Done]:
        """Note what came of one order (None: an image cannot be read); yields whole pairs."""
        other = self._halves.pop(request.row, None)
        if other is None:
            self._halves[request.row] = (request, answer)
            return
        (a, b), ab, ba = _in_order(request, answer, *other)
        if ab is None or ba is None:
            yield Done()  # the image is a row in `rejections` already
        elif ab.is_usable and ba.is_usable:
            yield Done(row=self._row(a, b, ab, ba))
        else:
            yield Done(rejections=(self._rejection(a, b, ab, ba),))

    def _row(
        self, a: StoredImage, b: StoredImage, ab: LabelAnswer, ba: LabelAnswer
    ) -> dict[str, object]:
        return {
            "image_a": a.image_id,
            "image_b": b.image_id,
            "teacher_id": self._teacher_id,
            "prompt_id": self._question.prompt_id,
            "letter_logprobs_ab": ab.label_logprobs,
            "letter_logprobs_ba": ba.label_logprobs,
            "given_preference": None,
            "prompt_tokens": ab.prompt_tokens + ba.prompt_tokens,
            "cached_tokens": ab.cached_tokens + ba.cached_tokens,
        }

    def _rejection(
        self, a: StoredImage, b: StoredImage, ab: LabelAnswer, ba: LabelAnswer
    ) -> Rejection:
        problem = ab.problem or ba.problem
        return Rejection(
            f"{a.path} | {b.path}",
            "pairs",
            "refused" if problem else "useless_answer",
            problem or f"the teacher answered {ab.label_logprobs} and {ba.label_logprobs}",
            teacher_id=self._teacher_id,
        )


def plan_pairs(store: Store, asking: Asking, choice: PairChoice, *, share: Share) -> PairPlan:
    """Choose the pairs that are missing, and of these our share. Raises as `choose_pairs`."""
    chosen = choose_pairs(store, asking, choice)
    remarks = [
        f"; {count} {what}"
        for count, what in (
            (chosen.left_out, "images left out: they have no point"),
            (chosen.repeated, "rows of the query repeat a pair"),
        )
        if count
    ]
    pairs = share.of_pairs(chosen.pairs, chosen.keys)
    return PairPlan(Work(chosen.images, pairs), chosen.answered, "".join(remarks))


def answer_pairs(
    engine: TokenEngine,
    questions: Sequence[Question],
    work: Work,
    *,
    teacher_id: str,
    decoding: Decoding,
    decoders: int | None = None,
) -> Generator[Done, None, None]:
    """Ask both orders of each pair of the work; yields each row or rejection as it is there.

    The requests lie so that the first image repeats (the prefix cache serves it) and the second
    recurs soon (the encoder cache serves it), so the two orders of a pair are not neighbours.
    """
    (question,) = questions
    open_pairs = OpenPairs(teacher_id, question)
    waiting: deque[PairRequest] = deque()
    unreadable: deque[tuple[PairRequest, ImageError]] = deque()

    def asked() -> Iterator[Asked]:
        for image in shown(_needed(work), decoding=decoding, processes=decoders):
            if image.failure:
                unreadable.append((image.work, image.failure))
                continue
            waiting.append(image.work)
            ids = (image.work.first.image_id, image.work.second.image_id)
            yield Asked(question, image.images, ids)

    def refused() -> Iterator[Done]:
        while unreadable:
            request, failure = unreadable.popleft()
            yield Done(passed=0, rejections=(_unreadable(request, failure, teacher_id),))
            yield from open_pairs.settle(request, None)

    for answer in ask(engine, asked()):
        yield from open_pairs.settle(waiting.popleft(), answer)
        yield from refused()
    yield from refused()


def _needed(work: Work) -> Iterator[Needing[PairRequest]]:
    order = request_order(work.rows)
    size = LOOKED_UP_AT_A_TIME
    for start in range(0, len(order.rows), size):
        rows, backward = order.rows[start : start + size], order.backward[start : start + size]
        shown_first = np.where(backward, order.pairs[rows, 1], order.pairs[rows, 0])
        shown_second = np.where(backward, order.pairs[rows, 0], order.pairs[rows, 1])
        images = (work.stored(shown_first), work.stored(shown_second))
        for row, first, second in zip(rows.tolist(), *images, strict=True):
            yield Needing(PairRequest(row, first, second), (first, second))


def _in_order(
    request: PairRequest,
    answer: LabelAnswer | None,
    other: PairRequest,
    other_answer: LabelAnswer | None,
) -> tuple[tuple[StoredImage, StoredImage], LabelAnswer | None, LabelAnswer | None]:
    """The pair, smaller id first, and the answers with it shown first and second."""
    if request.first.image_id < request.second.image_id:
        return (request.first, request.second), answer, other_answer
    return (other.first, other.second), other_answer, answer


def _unreadable(request: PairRequest, failure: ImageError, teacher_id: str) -> Rejection:
    failed = request.first if failure.where == request.first.path else request.second
    return Rejection.of(failure, stage="pairs", image_id=failed.image_id, teacher_id=teacher_id)
