"""How far a long job is: a live line on a terminal, a plain line now and then elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress
from rich.table import Column

from data_store.terminal import is_live, open_console, printable

PLAIN_LINE_EVERY_S = 30.0


class Progress(Protocol):
    """Counts finished pieces of a long job."""

    def advance(self, count: int = 1) -> None:
        """So many more pieces are done."""

    def note(self, text: str) -> None:
        """Show a short remark beside the count, such as how many were rejected."""


@contextmanager
def progress(total: int, *, label: str, unit: str) -> Iterator[Progress]:
    """Show how far a long job is, how fast, and when it will end.

    A live line on a terminal; elsewhere a plain line every 30 seconds and at the end.
    """
    if not is_live(sys.stderr):
        plain = _PlainProgress(total, label, unit)
        try:
            yield plain
        finally:
            plain.line()
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None, table_column=Column(min_width=8, ratio=1, max_width=40)),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}", markup=False),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with RichProgress(*columns, console=open_console(stderr=True)) as rich:
        task = rich.add_task(label, total=total, rate=f"0 {unit}/s", note="")
        yield _RichTask(rich, task, unit)


def span_of(seconds: float) -> str:
    """A time as people say it: 45 s, 12 min, 3.5 h, 2.1 days."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} days"


class _PlainProgress:
    def __init__(self, total: int, label: str, unit: str) -> None:
        self._total, self._label, self._unit = total, label, unit
        self._done, self._note = 0, ""
        self._start = self._last = time.monotonic()

    def advance(self, count: int = 1) -> None:
        self._done += count
        if time.monotonic() - self._last >= PLAIN_LINE_EVERY_S:
            self.line()

    def note(self, text: str) -> None:
        self._note = text

    def line(self) -> None:
        self._last = time.monotonic()
        rate = self._done / max(self._last - self._start, 1e-9)
        left = f"{span_of((self._total - self._done) / rate)} left" if rate else "no end in sight"
        note = f", {self._note}" if self._note else ""
        text = (
            f"{self._label}: {self._done} of {self._total} {self._unit},"
            f" {rate:.1f} {self._unit}/s, {left}{note}"
        )
        print(printable(text), file=sys.stderr, flush=True)  # noqa: T201 - as console.say


class _RichTask:
    def __init__(self, rich: RichProgress, task: TaskID, unit: str) -> None:
        self._rich, self._task, self._unit = rich, task, unit
        self._done, self._start = 0, time.monotonic()

    def advance(self, count: int = 1) -> None:
        self._done += count
        rate = self._done / max(time.monotonic() - self._start, 1e-9)
        self._rich.update(self._task, advance=count, rate=f"{rate:.1f} {self._unit}/s")

    def note(self, text: str) -> None:
        self._rich.update(self._task, note=printable(text))
