"""What is to be imported, and how: checked before any file is opened."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from annotate.importing.column_map import ColumnMap
from schemas.errors import InputError

Scale = tuple[float, float]


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """Files, what their columns hold, whose judgements they are, and of which images."""

    paths: tuple[Path, ...]
    """Read as if they were one file."""
    columns: ColumnMap
    teacher: str = ""
    """Name of the system whose judgements these are."""
    teacher_column: str = ""
    """Or the column that names it in each row."""
    where: tuple[tuple[str, str], ...] = ()
    """Columns and the text that a row must hold there to be read."""
    scale: Scale | None = None
    """Worst and best value of the score."""
    mos_scale: Scale | None = None
    """Worst and best value of the MOS."""
    without_images: bool = False
    """Whether the judged images are not in the store, and the names alone stand for them."""
    dataset: str = ""
    """The data set that these names belong to."""

    def check(self) -> None:
        """Make sure that the parts fit together.

        Raises:
            InputError: they do not; all that is wrong is named.
        """
        problems = [*self._who(), *self._scales(), *self._whose_images()]
        if problems:
            raise InputError(
                "; ".join(problems),
                where="annotate import",
                fix="see `annotate import --help` and docs/outside-judgements.md",
            )

    def _who(self) -> Sequence[str]:
        problems = []
        if bool(self.teacher.strip()) == bool(self.teacher_column):
            problems.append("give either --teacher NAME or --teacher-column COLUMN")
        columns = [column for column, _ in self.where]
        if len(set(columns)) < len(columns):
            problems.append("--where names a column twice")
        return problems

    def _scales(self) -> Sequence[str]:
        problems = []
        for option, key, scale in (
            ("--scale", "score", self.scale),
            ("--mos-scale", "mos", self.mos_scale),
        ):
            mapped = key in self.columns.columns
            if mapped and scale is None:
                problems.append(f"{key} is mapped, its worst and best value are not: {option}")
            elif scale is not None and not mapped:
                problems.append(f"{option} is given, and no column is mapped to {key}")
            elif scale is not None and not (
                all(map(math.isfinite, scale)) and math.isfinite(scale[1] - scale[0])
            ):
                problems.append(f"{option} holds a number that is not finite")
        if self.scale and self.scale[0] == self.scale[1]:
            problems.append("the worst and the best value of --scale are equal")
        if self.mos_scale and not self.mos_scale[0] < self.mos_scale[1]:
            problems.append("--mos-scale takes the worst value first, and a MOS rises with quality")
        return problems

    def _whose_images(self) -> Sequence[str]:
        if not self.without_images:
            problems = ["--dataset goes with --without-images"] if self.dataset else []
            if "mos" in self.columns.columns:
                problems.append("mos is for --without-images; of images there, `store add-mos`")
            return problems
        if not self.dataset or "/" in self.dataset:
            return [f"--dataset is {self.dataset!r}: --without-images takes a name without a slash"]
        return []
