"""A conversion-error audit, as a table for a person and as JSON for a program."""

from collections.abc import Sequence
from typing import Any

from annotate.errors.label_costs import LabelCost
from annotate.errors.level_scale import LevelScale
from annotate.errors.readings import Reading
from data_store.console import print_table, say

LABEL_COLUMNS = ("mos", "labels", "n", "L1", "RMSE", "L1 if even", "RMSE if even")

COLUMNS = (
    "mos",
    "scale",
    "teacher",
    "read as",
    "n",
    "label²",
    "restoration²",
    "cross",
    "total²",
    "RMSE",
    "L1",
    "slope in level",
    "SRCC",
    "raw PLCC",
)


def as_dict(
    readings: Sequence[Reading], costs: Sequence[LabelCost], scale: LevelScale
) -> dict[str, Any]:
    """The levels, what labels cost by themselves, and every reading."""
    return {
        "levels": scale.count,
        "labels": scale.labels,
        "level_values": scale.values.tolist(),
        "label_costs": [one._asdict() for one in costs],
        "readings": [one.as_dict() for one in readings],
    }


def print_report(
    readings: Sequence[Reading], costs: Sequence[LabelCost], scale: LevelScale
) -> None:
    """Print what labels cost, then one row per source, teacher and reading; errors on [0, 1]."""
    print_table("what labels cost by themselves", LABEL_COLUMNS, costs)
    numbers = ", ".join(f"{value:g}" for value in scale.values.tolist())
    say(f"below: {scale.count} levels of equal width, labels at {numbers} on [0, 1]")
    print_table("label² + restoration² + cross = total²", COLUMNS, [_row(one) for one in readings])


def _row(one: Reading) -> tuple[object, ...]:
    errors = one.errors
    squares = (errors.label_square, errors.restoration_square, errors.cross, errors.total_square)
    return (
        one.source,
        f"{one.scale[0]:g} … {one.scale[1]:g}",
        one.teacher,
        one.reading,
        errors.n,
        # Squares on [0, 1] are small: four places would show half of them as zero.
        *(f"{square:+.6f}" if square < 0 else f"{square:.6f}" for square in squares),
        errors.rmse,
        errors.total_l1,
        errors.slope_within_levels,
        one.srcc,
        one.plcc,
    )
