"""What one run of the teacher did, for the person and for programs."""

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple


class Receipt(NamedTuple):
    """What a worker did with its work."""

    answered: int = 0
    """Rows that were committed."""
    rejected: int = 0
    """Files that could not be decoded, and questions without a usable answer."""
    seconds: float = 0.0
    """From the first question to the last commit, without the engine's start."""


@dataclass(frozen=True, slots=True)
class RunSummary:
    """Counts and rates of one `annotate` run."""

    teacher_id: str
    prompt_ids: tuple[str, ...]
    asked: int
    """Rows that were missing when the run began."""
    answered: int
    """Rows that were committed."""
    rejected: int
    """Files that could not be decoded, and questions without a usable answer."""
    already: int
    """Rows that were there before and were not asked again."""
    seconds: float
    """Time from the first question to the last commit, without the engine's start."""

    @property
    def rows_per_s(self) -> float:
        """Answered rows per second."""
        return self.answered / self.seconds if self.seconds > 0 else 0.0

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self) | {"rows_per_s": self.rows_per_s}

    def line(self, unit: str) -> str:
        """For the person at the terminal."""
        return (
            f"{self.answered} {unit} answered in {self.seconds:.1f} s"
            f" ({self.rows_per_s:.1f} {unit}/s), {self.already} were there already,"
            f" {self.rejected} rejected; teacher {self.teacher_id[:12]}"
        )
