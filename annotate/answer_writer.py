"""Collect a teacher's answers and commit them as shards, often enough to lose little."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, NamedTuple, Self

from annotate.summary import RunSummary
from data_store.layout import Store
from data_store.rejections import Rejection, commit_rejections
from data_store.shards import commit_rows
from schemas.rows import to_table
from schemas.tables import TABLES

SECONDS_PER_SHARD = 60.0


class Rhythm(NamedTuple):
    """How much is handed to the engine and committed at a time."""

    batch_size: int = 64
    """Images or pairs per engine call."""
    shard_rows: int = 20_000
    """Answers per shard; a shard is also committed after `SECONDS_PER_SHARD`."""


DEFAULT_RHYTHM = Rhythm()


@dataclass(slots=True)
class AnswerWriter:
    """Commits a shard when enough rows or seconds have passed, and on leaving the `with` block.

    It commits on leaving even when an error or Ctrl-C is on its way: the rows it holds are whole
    answers that were paid for. A process that is killed loses at most one shard's worth.
    """

    store: Store
    table: str
    teacher_id: str
    producer: str
    shard_rows: int
    committed_count: int = 0
    _started_s: float = field(default_factory=time.monotonic)
    _rows: list[Mapping[str, Any]] = field(default_factory=list)
    _rejections: list[Rejection] = field(default_factory=list)
    _rejected_paths: set[str] = field(default_factory=set)
    _last_commit_s: float = field(default_factory=time.monotonic)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._commit()

    @property
    def rejected_count(self) -> int:
        """Files and questions that gave no row, each counted once."""
        return len(self._rejected_paths)

    def summary(self, prompt_id: str, *, asked: int, already: int) -> RunSummary:
        """What was done since this writer was made; call it after the `with` block."""
        return RunSummary(
            self.teacher_id,
            prompt_id,
            asked=asked,
            answered=self.committed_count,
            rejected=self.rejected_count,
            already=already,
            seconds=time.monotonic() - self._started_s,
        )

    def append(
        self, rows: Sequence[Mapping[str, Any]], rejections: Sequence[Rejection] = ()
    ) -> None:
        """Take finished rows and refusals; commit if it is time to."""
        self._rows += rows
        self._rejections += rejections
        self._rejected_paths |= {rejection.path for rejection in rejections}
        waited_s = time.monotonic() - self._last_commit_s
        if len(self._rows) >= self.shard_rows or waited_s >= SECONDS_PER_SHARD:
            self._commit()

    def _commit(self) -> None:
        if self._rows:
            rows = to_table(self._rows, TABLES[self.table])
            commit_rows(
                self.store, self.table, rows, producer=self.producer, teacher_id=self.teacher_id
            )
            self.committed_count += len(self._rows)
            self._rows = []
        if self._rejections:
            commit_rejections(
                self.store,
                self._rejections,
                producer=self.producer,
                teacher_id=self.teacher_id,
            )
            self._rejections = []
        self._last_commit_s = time.monotonic()
