"""What happened in a run, one JSON object per line, for plots and post-mortems."""

import json
from datetime import UTC, datetime
from pathlib import Path

EVENTS_FILE = "events.jsonl"


class EventLog:
    """Appends to RUN/events.jsonl; a continued run goes on in the same file."""

    def __init__(self, run: Path) -> None:
        self._path = run / EVENTS_FILE

    def write(self, event: str, **facts: str | float | int | None) -> None:
        """Add a line: when, what, and its numbers."""
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"time": time, "event": event, **facts})
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(f"{line}\n")
