"""The story of `annotate confusion`: two models are asked the same, one after the other."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from annotate.auditing.images import AuditImage
from annotate.auditing.ratings import about_each, as_array
from annotate.errors.confusion import Confusion, Heard, confusion
from annotate.prompts import Label, Prompt, shipped_prompt
from annotate.questions import ask
from annotate.teachers.teacher import Teacher
from annotate.tuning.score_tokens import score_token_names
from data_store.console import print_table, progress, say
from schemas.errors import InputError

QUALITY = "quality"
"""The shipped point prompt, which both models are asked beside the others."""

MOST_SCORE_TOKENS = 100
"""As many as `annotate tune` adds at most."""

COLUMNS = (
    "question",
    "n",
    "level words",
    "after",
    "own answers",
    "after",
    "score tokens",
    "after",
    "anything else",
    "after",
    "follows quality",
    "after",
    "KL, nat",
    "total variation",
)


@dataclass(frozen=True, slots=True)
class BeforeAndAfter:
    """Two models, and what each question made of them."""

    teacher_ids: tuple[str, str]
    engines: tuple[str, str]
    """Engine, version and hardware."""
    images: int
    questions: tuple[Confusion, ...]
    """The first is the question about quality itself."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        said = asdict(self)
        said["questions"] = [
            one._asdict()
            | {"before": one.before._asdict(), "after": one.after._asdict()}
            | {"answers_lost": one.answers_lost}
            for one in self.questions
        ]
        return said


def ask_both(
    teachers: tuple[Teacher, Teacher],
    prompts: Mapping[str, Prompt],
    images: Sequence[AuditImage],
) -> BeforeAndAfter:
    """Ask both models about quality and about something else; each is started once and closed.

    Args:
        teachers: before and after tuning.
        prompts: questions by name, of `load_unrelated`.
        images: decoded as the first teacher sees them; the other should see them alike.

    Raises:
        InputError: the two see images decoded in different ways.
        TeacherError: labels cannot be read, or a teacher cannot be started or stops.
    """
    if teachers[0].decoding != teachers[1].decoding:
        raise InputError(
            "the two models are shown images that are decoded in different ways",
            where="--decode",
            fix="give --decode full",
        )
    asked = {QUALITY: shipped_prompt("point"), **prompts}
    if teachers[0].teacher_id == teachers[1].teacher_id:
        say("the two models are the same: whatever differs below is rounding")
    (first, before), (second, after) = (_answers(one, asked, images) for one in teachers)
    quality = (before[QUALITY].logprobs, after[QUALITY].logprobs)
    return BeforeAndAfter(
        (teachers[0].teacher_id, teachers[1].teacher_id),
        (first, second),
        len(images),
        tuple(confusion(name, before[name], after[name], quality) for name in asked),
    )


def print_report(done: BeforeAndAfter) -> None:
    """Print one row per question; a column and the one after it are before and after tuning."""
    before, after = (key[:12] for key in done.teacher_ids)
    say(f"before: teacher {before}, after: teacher {after}; {done.images} images")
    rows = []
    for one in done.questions:
        pairs = zip(one.before, one.after, strict=True)
        figures = [None if math.isnan(figure) else figure for pair in pairs for figure in pair]
        rows.append((one.question, one.n, *figures, one.kl, one.total_variation))
    print_table("probability of words, means over images", COLUMNS, rows)


def _answers(
    teacher: Teacher, prompts: Mapping[str, Prompt], images: Sequence[AuditImage]
) -> tuple[str, dict[str, Heard]]:
    """The engine, and what is heard from it by question."""
    listened = [_with_score_tokens(prompt, teacher) for prompt in prompts.values()]
    questions = [teacher.read(prompt) for prompt in listened]
    asked = [one for question in questions for one in about_each(question, images)]
    engine = teacher.start()
    try:
        found = []
        with progress(len(asked), label=teacher.spec.name, unit="questions") as bar:
            for answer in ask(engine, asked):
                found.append(answer)
                bar.advance()
        provenance = engine.provenance
    finally:
        engine.close()
    heard: dict[str, Heard] = {}
    for number, (name, prompt) in enumerate(prompts.items()):
        own = found[number * len(images) : (number + 1) * len(images)]
        logprobs = as_array(own, len(questions[number].spec.labels))
        count = len(prompt.labels)
        heard[name] = Heard(logprobs[:, :count], np.exp(logprobs[:, count:]).sum(axis=1))
    return provenance, heard


def _with_score_tokens(prompt: Prompt, teacher: Teacher) -> Prompt:
    """The question, listening for the score tokens of a tuned model as for one more label."""
    known = teacher.processor.tokenizer.get_vocab()
    spellings = tuple(name for name in score_token_names(MOST_SCORE_TOKENS) if name in known)
    if not spellings:
        return prompt
    tokens = Label(name="score token", spellings=spellings)
    return prompt.model_copy(update={"labels": (*prompt.labels, tokens)})
