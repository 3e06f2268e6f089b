"""Questions as a teacher reads them, asked of an engine and answered label by label."""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from PIL.Image import Image

from annotate.label_tokens import Codec, LabelTokens, Tokens, label_logprobs, next_tokens
from annotate.teachers.engine import TokenAnswer, TokenEngine, TokenRequest
from schemas.errors import EngineFailed
from schemas.teacher_spec import PromptSpec


class Reading(NamedTuple):
    """One forward pass of a question: the text, and the tokens to read right after it."""

    text: str
    token_ids: tuple[int, ...]


class LabelAnswer(NamedTuple):
    """One answer: K log-probabilities over the whole vocabulary, and what it cost."""

    label_logprobs: list[float]
    prompt_tokens: int
    cached_tokens: int
    problem: str = ""
    """Why there is no answer; empty where there is one."""

    @property
    def is_usable(self) -> bool:
        """Whether all log-probabilities are numbers; overflow in half precision gives others."""
        return not self.problem and all(map(math.isfinite, self.label_logprobs))


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked (the spec), and the forward passes that it takes."""

    spec: PromptSpec
    readings: tuple[Reading, ...]
    """The question itself, then one pass for each beginning of a label of several tokens."""

    @property
    def prompt_id(self) -> str:
        """SHA-256 of what is asked, hex."""
        return self.spec.prompt_id

    def requests(
        self, images: tuple[Image, ...], image_ids: tuple[str, ...]
    ) -> Iterator[TokenRequest]:
        """The forward passes about these images."""
        return (TokenRequest(images, image_ids, *reading) for reading in self.readings)

    def answer(self, answers: Sequence[TokenAnswer]) -> LabelAnswer:
        """The labels' log-probabilities from the answers to `requests`, in their order.

        The tokens of all forward passes are counted. Where one pass has a problem, or what it
        read is not a number, the question has no usable answer.

        Raises:
            EngineFailed: the engine left a token out; a number is never invented for it.
        """
        read: dict[Tokens, dict[int, float]] = {}
        tokens = LabelTokens(self.spec.label_token_ids, self.spec.label_sequences)
        cost = sum(one.prompt_tokens for one in answers), sum(one.cached_tokens for one in answers)
        for start, reading, one in zip(next_tokens(tokens), self.readings, answers, strict=True):
            if one.problem:
                return LabelAnswer([], *cost, one.problem)
            if len(one.logprobs) != len(reading.token_ids):
                raise _left_out(len(one.logprobs), reading)
            read[start] = dict(zip(reading.token_ids, one.logprobs, strict=True))
        return LabelAnswer(label_logprobs(tokens, read), *cost)


def question_of(spec: PromptSpec, codec: Codec) -> Question:
    """The forward passes that a question takes; the first is the question itself."""
    tokens = LabelTokens(spec.label_token_ids, spec.label_sequences)
    readings = (
        Reading(spec.text + (codec.decode(start) if start else ""), token_ids)
        for start, token_ids in next_tokens(tokens).items()
    )
    return Question(spec, tuple(readings))


class Asked(NamedTuple):
    """A question about certain images."""

    question: Question
    images: tuple[Image, ...]
    image_ids: tuple[str, ...]


def ask(engine: TokenEngine, asked: Iterable[Asked]) -> Iterator[LabelAnswer]:
    """Ask questions in order; each is drawn when the engine has room, and answered in turn.

    Raises:
        EngineFailed: the engine stopped.
    """
    open_questions: deque[Question] = deque()

    def requests() -> Iterator[TokenRequest]:
        for one in asked:
            open_questions.append(one.question)
            yield from one.question.requests(one.images, one.image_ids)

    answers: list[TokenAnswer] = []
    for answer in engine.stream(requests()):
        answers.append(answer)
        if len(answers) == len(open_questions[0].readings):
            yield open_questions.popleft().answer(answers)
            answers = []
    if open_questions:
        raise EngineFailed(
            f"the engine stopped with {len(open_questions)} questions unanswered",
            where="the answers of the engine",
            fix="run the same command again; what was committed is not asked again",
        )


def _left_out(count: int, reading: Reading) -> EngineFailed:
    return EngineFailed(
        f"the engine returned {count} log-probabilities for the {len(reading.token_ids)} tokens"
        f" {list(reading.token_ids)}",
        where=f"the answer after {reading.text[-40:]!r}",
        fix="report this with the engine's version; --engine transformers is the fallback",
    )
