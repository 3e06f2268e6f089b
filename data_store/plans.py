"""What a long command will do, said before it does it; with --dry-run it stops there.

A time is measured or it is not given: from shards that the same worker committed before, never
from what a machine is thought to do.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from data_store.console import print_json, print_table, say
from data_store.progress import span_of

NOTHING_TO_DO = "nothing is left to do"


class Figure(NamedTuple):
    """A number that is sure only when the work is done."""

    value: float | None
    """None where nothing tells it."""
    basis: str
    """What it rests on, or why it is unknown."""

    def times(self, count: int) -> "Figure":
        """Of so many things, where this is of one."""
        return self._replace(value=None if self.value is None else self.value * count)


UNKNOWN = Figure(None, "nothing tells it")


@dataclass(frozen=True, slots=True)
class Plan:
    """How much a command has to do."""

    command: str
    unit: str
    """What is counted: images, pairs, files."""
    todo: int
    already: int = 0
    """Of these, how many are done and are not done again."""
    seconds: Figure = UNKNOWN
    disk_bytes: Figure = UNKNOWN
    """What will be written."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """Further facts by name, fit for JSON."""
    notes: tuple[str, ...] = ()
    """What a person should know before starting."""

    def as_dict(self) -> dict[str, Any]:
        """For `--json`: figures that nothing tells are null."""
        return {
            "command": self.command,
            "dry_run": True,
            "unit": self.unit,
            "todo": self.todo,
            "already": self.already,
            "seconds": self.seconds.value,
            "seconds_basis": self.seconds.basis,
            "disk_bytes": self.disk_bytes.value,
            "disk_basis": self.disk_bytes.basis,
            **self.details,
            "notes": list(self.notes),
        }

    def forecast(self) -> str:
        """Time and disk in one line, for the person who has just started the command."""
        if not self.todo:
            return NOTHING_TO_DO
        return f"time: {_shown(self.seconds, span_of)}; disk: {_shown(self.disk_bytes, size_of)}"


def give_plan(plan: Plan, *, as_json: bool) -> None:
    """Print a plan on stdout, and that nothing else was done."""
    if as_json:
        print_json(plan.as_dict())
    else:
        rows: list[tuple[str, str]] = [
            (f"{plan.unit} to do", f"{plan.todo:,}"),
            ("done already", f"{plan.already:,}"),
            *((name.replace("_", " "), _plain(value)) for name, value in plan.details.items()),
            ("time", _shown(plan.seconds, span_of) if plan.todo else NOTHING_TO_DO),
            ("disk", _shown(plan.disk_bytes, size_of) if plan.todo else NOTHING_TO_DO),
        ]
        print_table("", (plan.command, "plan"), rows)
    for note in plan.notes:
        say(note)
    say("dry run: nothing was started and nothing was written")


def size_of(count: float) -> str:
    """Bytes as people say them: 12 byte, 3.4 kB, 1.2 GB; units of thousands."""
    size, unit = count, "byte"
    for unit in ("byte", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "byte" else f"{size:.1f} {unit}"


def _shown(figure: Figure, in_words: Any) -> str:
    if figure.value is None:
        return f"unknown: {figure.basis}"
    return f"about {in_words(figure.value)} ({figure.basis})"


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value)) or "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_plain(item)}" for name, item in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return "-" if value is None else str(value)
