"""Collect a teacher's answers and commit them as shards, often enough to lose little."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, NamedTuple, Self

from annotate.job import Pace
from data_store.layout import Store
from data_store.rejections import Rejection, commit_rejections
from data_store.shards import commit_rows
from schemas.rows import to_table
from schemas.tables import TABLES


class Done(NamedTuple):
    """What came of asking: at most one row, and what was refused on the way."""

    row: Mapping[str, Any] | None = None
    rejections: tuple[Rejection, ...] = ()
    passed: int = 1
    """How many rows of the work are behind us with this."""


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
    pace: Pace
    committed_count: int = 0
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

    def append(self, done: Done) -> None:
        """Take a finished row or refusal; commit if it is time to."""
        if done.row is not None:
            self._rows.append(done.row)
        self._rejections += done.rejections
        self._rejected_paths.update(rejection.path for rejection in done.rejections)
        waited_s = time.monotonic() - self._last_commit_s
        if len(self._rows) >= self.pace.shard_rows or waited_s >= self.pace.shard_seconds:
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
