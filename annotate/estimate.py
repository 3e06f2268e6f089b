"""The story of an estimate: what is missing, its tokens, and how fast a probe of it is answered.

The plan is that of `annotate points` and `annotate pairs`. The probe asks real questions in their
real order, decoding included, and keeps no answer.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from annotate.executors.share import WHOLE
from annotate.forecast import BYTES_PER_ROW
from annotate.job import TableName
from annotate.pair_strategies import Asking, PairChoice
from annotate.pairs import plan_pairs
from annotate.points import plan_points
from annotate.prompts import Prompt, require_kind
from annotate.question_tokens import TokenCounter, Tokens
from annotate.questions import Question
from annotate.teachers.engine import TokenEngine
from annotate.teachers.teacher import Teacher
from annotate.work import Work
from annotate.worker import ANSWER
from data_store.console import say
from data_store.layout import Store

ROUNDS = 3
"""Parts of a probe that are timed one by one, to see how much they differ."""
WARM_UP_ROWS = 8
"""Asked first and not timed: an engine's first batch is slow."""


@dataclass(frozen=True, slots=True)
class Round:
    """One timed part of a probe."""

    rows: int
    seconds: float
    prompt_tokens: int
    cached_tokens: int
    rejected: int
    """Rows of the plan that gave no answer, such as unreadable images."""

    @property
    def rows_per_s(self) -> float:
        """Rows per second."""
        return self.rows / self.seconds


@dataclass(frozen=True, slots=True)
class Probe:
    """What a started engine did with a small part of the plan."""

    engine: str
    start_s: float
    """To load the weights and get ready."""
    rounds: tuple[Round, ...]
    repeated_share: float
    """Of the probe's tokens, what a prefix cache can serve; a short stretch has less of it."""

    @property
    def rows_per_s(self) -> float:
        """Over all rounds."""
        return sum(one.rows for one in self.rounds) / sum(one.seconds for one in self.rounds)

    @property
    def tokens_per_row(self) -> float:
        """Prompt tokens per answered row."""
        rows = sum(one.rows - one.rejected for one in self.rounds)
        return sum(one.prompt_tokens for one in self.rounds) / max(rows, 1)

    @property
    def cached_share(self) -> float:
        """Share of the prompt tokens that the prefix cache served."""
        tokens = sum(one.prompt_tokens for one in self.rounds)
        return sum(one.cached_tokens for one in self.rounds) / max(tokens, 1)


@dataclass(frozen=True, slots=True)
class Planned:
    """Rows that are missing in the store, in the order of asking."""

    table: TableName
    work: Work
    answered: int
    """Rows that need not be asked."""
    questions: tuple[Question, ...]
    counter: TokenCounter

    def tokens(self, work: Work) -> Tokens:
        """Prompt tokens of these rows of the plan."""
        return self.counter.points(work) if self.table == "points" else self.counter.pairs(work)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run will take."""

    table: TableName
    rows: int
    answered: int
    tokens: Tokens
    probe: Probe | None

    @property
    def disk_bytes(self) -> float:
        """The shards of these rows."""
        return self.rows * BYTES_PER_ROW[self.table]

    def hours(self, workers: int = 1) -> tuple[float, float, float] | None:
        """Expected, least and most hours on so many engines; None without a probe.

        Each engine starts once. Least and most are those at the rates of the fastest and the
        slowest round.
        """
        if self.probe is None:
            return None
        rates = [one.rows_per_s for one in self.probe.rounds]
        asking = [self.rows / rate for rate in (self.probe.rows_per_s, max(rates), min(rates))]
        likely, least, most = ((self.probe.start_s + s / workers) / 3600 for s in asking)
        return likely, least, most


def plan_of_points(
    store: Store,
    teacher: Teacher,
    prompts: Sequence[Prompt],
    *,
    folder: str | None = None,
    limit: int | None = None,
) -> Planned:
    """What `annotate points` would ask. Raises InputError, TeacherError as it does."""
    require_kind(prompts, "point")
    questions = tuple(teacher.read(prompt) for prompt in prompts)
    ids = [question.prompt_id for question in questions]
    work, answered = plan_points(store, teacher.teacher_id, ids, folder=folder, limit=limit)
    counter = TokenCounter(teacher, questions, store, work.images)
    return Planned("points", work, answered, questions, counter)


def plan_of_pairs(store: Store, teacher: Teacher, prompt: Prompt, choice: PairChoice) -> Planned:
    """What `annotate pairs` would ask. Raises InputError, TeacherError as it does."""
    require_kind([prompt], "pair")
    question = teacher.read(prompt)
    asking = Asking(teacher.teacher_id, question.prompt_id)
    work, answered, _ = plan_pairs(store, asking, choice, share=WHOLE)
    work = Work(work.images, work.rows[np.lexsort(work.rows.T[::-1])])
    counter = TokenCounter(teacher, [question], store, work.images)
    return Planned("pairs", work, answered, (question,), counter)


def estimate(teacher: Teacher, planned: Planned, *, probe_rows: int) -> Estimate:
    """How much there is to ask, and how long it takes if a probe is to tell.

    Args:
        teacher: started for the probe, and closed.
        planned: what is missing.
        probe_rows: rows of each of `ROUNDS` timed rounds; 0 to start no engine.

    Raises:
        TeacherError: the teacher cannot be started, or stops.
    """
    work = planned.work
    probe = _probe(teacher, planned, probe_rows) if probe_rows and len(work) else None
    return Estimate(planned.table, len(work), planned.answered, planned.tokens(work), probe)


def parts(work: Work, probe_rows: int) -> tuple[Work, list[Work]]:
    """Neighbouring rows for the warm-up, and for each round from another part of the work.

    Neighbours, because the order of asking is what the prefix cache lives on. Where there are too
    few rows, rounds are shorter or fewer; a single row is its own warm-up.
    """
    warm_rows = min(WARM_UP_ROWS, max(1, len(work) // (1 + ROUNDS)))
    rest = work.rows[warm_rows:] if len(work) > 1 else work.rows
    rounds = [rows[:probe_rows] for rows in np.array_split(rest, min(ROUNDS, len(rest)))]
    return Work(work.images, work.rows[:warm_rows]), [Work(work.images, rows) for rows in rounds]


def _probe(teacher: Teacher, planned: Planned, probe_rows: int) -> Probe:
    warm_up, rounds = parts(planned.work, probe_rows)
    say(f"starting {teacher.spec.name} to ask {sum(map(len, rounds))} of {len(planned.work)} rows")
    start_s = time.monotonic()
    engine = teacher.start()
    started_s = time.monotonic() - start_s
    try:
        _asked(engine, teacher, planned, warm_up)
        timed = tuple(_asked(engine, teacher, planned, work) for work in rounds)
        provenance = engine.provenance
    finally:
        engine.close()
    counted = [planned.tokens(work) for work in rounds]
    together = Tokens(sum(one.total for one in counted), sum(one.repeated for one in counted))
    return Probe(provenance, started_s, timed, together.repeated_share)


def _asked(engine: TokenEngine, teacher: Teacher, planned: Planned, work: Work) -> Round:
    start_s = time.monotonic()
    answers = ANSWER[planned.table](
        engine,
        planned.questions,
        work,
        teacher_id=teacher.teacher_id,
        decoding=teacher.decoding,
    )
    rows = [done.row for done in answers if done.row is not None]
    seconds = time.monotonic() - start_s
    return Round(
        len(work),
        seconds,
        prompt_tokens=sum(row["prompt_tokens"] for row in rows),
        cached_tokens=sum(row["cached_tokens"] for row in rows),
        rejected=len(work) - len(rows),
    )
