"""What the commands say: results on stdout, talk on stderr, errors without a trace.

Exit codes: 0 done; 1 a bug, with its trace; 2 bad input or a store, teacher or trainer that
cannot go on; 130 stopped by Ctrl-C or SIGTERM, after what was done had been committed.
"""

import json
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from types import FrameType
from typing import Any, Protocol

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress
from rich.table import Table
from rich.text import Text

from schemas.errors import LeafError

EXIT_BAD_INPUT = 2
EXIT_STOPPED = 130
PLAIN_LINE_EVERY_S = 30.0
PIPE_COLUMNS = 100_000
SHOWN_BYTES = 16
"""Of a cell of bytes in a table: a state has thousands."""


class Progress(Protocol):
    """Counts finished pieces of a long job."""

    def advance(self, count: int = 1) -> None:
        """So many more pieces are done."""

    def note(self, text: str) -> None:
        """Show a short remark beside the count, such as how many were rejected."""


def run_app(app: typer.Typer) -> None:
    """Run a command; known errors print what, where and fix, and exit 2."""
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGTERM, _stop)
    try:
        app()
    except LeafError as error:
        say(f"error: {error}")
        sys.exit(EXIT_BAD_INPUT)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our pipe went away: nobody is left to talk to


def say(text: str) -> None:
    """Talk to the person at the terminal."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - this is the one door to stderr


def print_json(value: Any) -> None:
    """Print one JSON document on stdout; as `json_text`, indented."""
    text = json.dumps(_finite(value), indent=2, ensure_ascii=False, default=_json_value)
    print(text)  # noqa: T201 - this is the one door to stdout


def json_text(value: Any) -> str:
    """JSON on one line; numbers that are not finite become null, decimals numbers, bytes hex."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_json_value)
    except ValueError:  # rare, and looking for them in every value is not free
        return json.dumps(_finite(value), ensure_ascii=False, default=_json_value)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table on stdout; numbers are shown to four places."""
    table = Table(title=title or None, title_justify="left")
    for index, name in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[index], int | float | None) for row in rows)
        table.add_column(Text(name), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        # As Text, because a name such as [red].png must not be taken for mark-up.
        table.add_row(*(Text(_cell(value)) for value in row))
    # Into a pipe or a file no cell is folded: a hash that is cut in two cannot be searched for.
    Console(width=None if sys.stdout.isatty() else PIPE_COLUMNS).print(table)


@contextmanager
def progress(total: int, *, label: str, unit: str) -> Iterator[Progress]:
    """Show how far a long job is, how fast, and when it will end.

    A live line on a terminal; elsewhere a plain line every 30 seconds and at the end.
    """
    if not sys.stderr.isatty():
        plain = _PlainProgress(total, label, unit)
        try:
            yield plain
        finally:
            plain.line()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with RichProgress(*columns, console=Console(stderr=True)) as rich:
        task = rich.add_task(label, total=total, rate=f"0 {unit}/s", note="")
        yield _RichTask(rich, task, unit)


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
        left = f"{(self._total - self._done) / rate:.0f} s left" if rate else "no end in sight"
        note = f", {self._note}" if self._note else ""
        say(
            f"{self._label}: {self._done} of {self._total} {self._unit},"
            f" {rate:.1f} {self._unit}/s, {left}{note}"
        )


class _RichTask:
    def __init__(self, rich: RichProgress, task: TaskID, unit: str) -> None:
        self._rich, self._task, self._unit = rich, task, unit
        self._done, self._start = 0, time.monotonic()

    def advance(self, count: int = 1) -> None:
        self._done += count
        rate = self._done / max(time.monotonic() - self._start, 1e-9)
        self._rich.update(self._task, advance=count, rate=f"{rate:.1f} {self._unit}/s")

    def note(self, text: str) -> None:
        self._rich.update(self._task, note=text)


def _stop(_signal: int, _frame: FrameType | None) -> None:
    # SystemExit unwinds like any exception, so shard writers commit what they hold; unlike
    # KeyboardInterrupt it is not turned into another exit code on its way.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say("stopping: committing what is done; run the same command again to go on")
    sys.exit(EXIT_STOPPED)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bytes):
        start = value[:SHOWN_BYTES].hex()
        return start if len(value) <= SHOWN_BYTES else f"{start}… ({len(value)} bytes)"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _json_value(value: object) -> int | float | str:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value.hex() if isinstance(value, bytes) else str(value)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and value - value != 0:  # only inf and nan differ from themselves
        return None
    return value
