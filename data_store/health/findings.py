"""What `store verify` found, and what `--repair` may do about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """How bad a finding is."""

    DAMAGE = "damage"
    """Rows are lost, hidden or wrong, or queries fail."""
    NOTE = "note"
    """Answers are right; somebody may still want to know."""


class Remedy(StrEnum):
    """What a repair does with the file."""

    LEAVE = "leave"
    QUARANTINE = "quarantine"
    DELETE = "delete"
    """Only for temporary files that nobody writes any more."""
    MOVE_HOME = "move home"
    """A sound shard in the wrong folder goes where readers look for it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be."""

    severity: Severity
    name: str
    """The file, relative to the store, or the table."""
    what: str
    fix: str
    remedy: Remedy = Remedy.LEAVE
    home: str = ""
    """For `MOVE_HOME`: the right name."""
    then: str = ""
    """What is left to do after the repair."""
    row_count: int | None = None
    """Rows that the file holds or held, or that are concerned, where that is known."""
    repaired: str = ""
    """What a repair did; empty if it did nothing."""

    @property
    def where(self) -> str:
        """The name, fit for printing: a file's name may hold bytes that are no text."""
        return self.name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")

    @property
    def is_open(self) -> bool:
        """Whether it is damage that is still there."""
        return self.severity is Severity.DAMAGE and not self.repaired

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "severity": self.severity.value,
            "where": self.where,
            "what": self.what,
            "fix": self.fix,
            "row_count": self.row_count,
            "repaired": self.repaired,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """All findings, and how much was looked at."""

    findings: Sequence[Finding]
    shard_count: int
    row_count: int
    """Rows of the sound shards, copies of a key included."""
    read_bytes: int
    seconds: float
    index: str
    """Whether the index was up to date, was made anew, or cannot be made."""

    @property
    def open_count(self) -> int:
        """Findings of damage that no repair has mended."""
        return sum(finding.is_open for finding in self.findings)

    @property
    def summary(self) -> str:
        """One line for a person."""
        rate = self.read_bytes / 1e6 / max(self.seconds, 1e-9)
        return (
            f"{self.shard_count} shards, {self.row_count} rows, {self.read_bytes / 1e6:.1f} MB"
            f" in {self.seconds:.1f} s ({rate:.0f} MB/s): {self.open_count} damaged,"
            f" {sum(bool(one.repaired) for one in self.findings)} repaired,"
            f" {sum(one.severity is Severity.NOTE for one in self.findings)} notes;"
            f" index: {self.index}"
        )

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "damage": self.open_count,
            "shards": self.shard_count,
            "rows": self.row_count,
            "bytes": self.read_bytes,
            "seconds": round(self.seconds, 3),
            "index": self.index,
            "findings": [finding.as_dict() for finding in self.findings],
        }


def damage(name: str, what: str, fix: str, **more: Any) -> Finding:
    """A finding of damage."""
    return Finding(Severity.DAMAGE, name, what, fix, **more)


def note(name: str, what: str, fix: str, **more: Any) -> Finding:
    """A finding that harms no answer."""
    return Finding(Severity.NOTE, name, what, fix, **more)
