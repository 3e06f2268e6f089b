"""One teacher at work: the same under every executor."""

import os
import platform
import time
from collections.abc import Callable, Generator
from contextlib import closing
from datetime import UTC, datetime
from functools import partial

from annotate.answer_writer import AnswerWriter, Done
from annotate.embed import answer_states
from annotate.job import Job
from annotate.pairs import answer_pairs
from annotate.points import answer_points
from annotate.probes import ask_probes
from annotate.prompts import shipped_prompt
from annotate.summary import Receipt
from annotate.teachers.engine import TokenEngine
from annotate.teachers.states import StateEngine
from annotate.teachers.teacher import Teacher
from annotate.unanswered import unanswered
from annotate.work import Work
from data_store.layout import Store

ANSWER = {"points": answer_points, "pairs": answer_pairs}
"""The half of the story that is told here, by the table that the answers of tokens go to."""


class Worker:
    """Holds a started teacher and writes what it answers, shard by shard.

    Args:
        store: gets the answers.
        teacher: who is asked; started here. One that answers with tokens is asked its probes first.
        job: what is asked.

    Raises:
        TeacherError: the teacher cannot be started.
    """

    def __init__(self, store: Store, teacher: Teacher, job: Job) -> None:
        self._store = store
        self._teacher = teacher
        self._job = job
        self._questions = [teacher.read(prompt) for prompt in job.prompts]
        self._engine: TokenEngine | StateEngine
        self._answer: Callable[..., Generator[Done, None, None]]
        if job.table == "embeddings":
            self._engine = states = teacher.start_states()
            self._answer = partial(answer_states, states)
            return
        self._engine = tokens = teacher.start()
        self._answer = partial(ANSWER[job.table], tokens)
        try:
            self._ask_probes(tokens)
        except BaseException:
            self.close()
            raise

    def run(self, work: Work, *, advance: Callable[[int, int], None] | None = None) -> Receipt:
        """Ask about all of the work, committing as it goes.

        Args:
            work: rows of the job's table that nobody has answered.
            advance: told after each answer how many more rows are behind us, and how many
                files and questions were rejected so far.

        Raises:
            TeacherError: the teacher stopped for good; what it had answered is committed.
            StoreError: the store cannot be written; what is not committed is lost.
        """
        start_s = time.monotonic()
        answers = self._answer(
            self._questions,
            work,
            teacher_id=self._teacher.teacher_id,
            decoding=self._teacher.decoding,
            decoders=self._job.pace.decoders,
        )
        writer = AnswerWriter(
            self._store,
            self._job.table,
            self._teacher.teacher_id,
            self._engine.provenance,
            self._job.pace,
        )
        with writer, closing(answers):
            for done in answers:
                writer.append(done)
                if advance:
                    advance(done.passed, writer.rejected_count)
        return Receipt(writer.committed_count, writer.rejected_count, time.monotonic() - start_s)

    def unanswered(self, work: Work) -> Work:
        """What of the work the store does not hold yet."""
        prompt_ids = [question.prompt_id for question in self._questions]
        return unanswered(
            self._store,
            self._job.table,
            work,
            teacher_id=self._teacher.teacher_id,
            prompt_ids=prompt_ids,
        )

    def close(self) -> None:
        """Free the device."""
        self._engine.close()

    def _ask_probes(self, engine: TokenEngine) -> None:
        # A run of pairs has the same engine to check, if there are points to check it by.
        asks_points = self._job.table == "points"
        points = self._questions if asks_points else [self._teacher.read(shipped_prompt("point"))]
        started = datetime.now(UTC).isoformat(timespec="milliseconds")
        ask_probes(
            self._store,
            engine,
            points,
            teacher_id=self._teacher.teacher_id,
            run_id=f"{started} {platform.node()} {os.getpid()}",
            decoding=self._teacher.decoding,
        )
