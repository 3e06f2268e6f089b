"""What happened in a run, one JSON object per line, for plots and post-mortems.

A run that was killed and goes on keeps one file in which every epoch stands once: the epochs that
are trained again, because the kill came before the next checkpoint, take the place of their lines.
Of several processes the first one writes.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from data_store.files import write_atomically
from train.parallel import is_first
from train.tensorboard import Scalars

EVENTS_FILE = "events.jsonl"
FINISHED = "stage finished"

Fact = str | float | int | None


class EventLog:
    """Appends to RUN/events.jsonl; a continued run goes on in the same file.

    Args:
        run: the run's folder.
        scalars: told the numbers of every epoch too, where somebody wants to watch them.
    """

    def __init__(self, run: Path, scalars: Scalars | None = None) -> None:
        self._path, self._scalars = run / EVENTS_FILE, scalars
        self._lines = _whole_lines(self._path) if is_first() else []

    def write(self, event: str, **facts: Fact) -> None:
        """Add a line: when, what, and its numbers."""
        if not is_first():
            return
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._append({"time": time, "event": event, **facts})

    def write_epoch(self, stage: str, epoch: int, **facts: Fact) -> None:
        """Add the line of an epoch; lines of the stage from that epoch on are taken away first."""
        if not is_first():
            return
        kept = [line for line in self._lines if not _is_epoch_of(line, stage, first=epoch)]
        if len(kept) < len(self._lines):
            self._lines = kept
            write_atomically(self._path, "".join(map(_text, kept)).encode())
        self.write("epoch", stage=stage, epoch=epoch, **facts)
        if self._scalars is not None:
            self._scalars.write(stage, epoch, facts)

    def write_finished(self, stage: str) -> None:
        """Add the line of a finished stage, unless it stands there already."""
        written = {one.get("stage") for one in self._lines if one.get("event") == FINISHED}
        if stage not in written:
            self.write(FINISHED, stage=stage)

    def close(self) -> None:
        """Let go of what watchers were given."""
        if self._scalars is not None:
            self._scalars.close()

    def _append(self, line: dict[str, Any]) -> None:
        self._lines.append(line)
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(_text(line))


def _whole_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a file, which is rid of what a kill left torn."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8", errors="replace")
    lines = [line for line in map(_parsed, text.split("\n")) if line is not None]
    whole = "".join(map(_text, lines))
    if whole != text:
        write_atomically(path, whole.encode())
    return lines


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _text(line: dict[str, Any]) -> str:
    return f"{json.dumps(line)}\n"


def _is_epoch_of(line: dict[str, Any], stage: str, *, first: int) -> bool:
    is_epoch = line.get("event") == "epoch" and line.get("stage") == stage
    return is_epoch and int(line.get("epoch", 0)) >= first
