"""Which rows say something: columns that may be null each, but not all of them.

A row without evidence would be counted as an answer, and nothing would follow from it.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

BoolArray = npt.NDArray[np.bool_]

LEAST_LEVELS = 2
"""A single level has the probability 1 whatever the teacher saw."""


class Evidence(NamedTuple):
    """What the rows of a table must hold."""

    is_there: Callable[[pa.Table], BoolArray]
    """(rows,), True where the row says something."""
    column: str
    """The column that is named where it does not."""
    problem: str
    """What is said of that column."""


def _levels(table: pa.Table) -> BoolArray:
    levels = table.column("level_logprobs").combine_chunks()
    if not levels.flatten().null_count:
        return np.ones(len(levels), dtype=np.bool_)
    known = _known(levels.flatten()).reshape(len(levels), -1)
    return np.asarray(known.sum(axis=1) >= LEAST_LEVELS)


def _levels_or_score(table: pa.Table) -> BoolArray:
    return _levels(table) | _known_column(table, "given_score")


def _order_or_preference(table: pa.Table) -> BoolArray:
    return (
        _known_column(table, "letter_logprobs_ab")
        | _known_column(table, "letter_logprobs_ba")
        | _known_column(table, "given_preference")
    )


def _known_column(table: pa.Table, name: str) -> BoolArray:
    if name not in table.column_names:  # rows of an older version
        return np.zeros(table.num_rows, dtype=np.bool_)
    return _known(table.column(name).combine_chunks())


def _known(column: pa.Array) -> BoolArray:
    return np.asarray(pc.is_valid(column).to_numpy(zero_copy_only=False), dtype=np.bool_)


EVIDENCE = {
    "points": Evidence(
        _levels_or_score,
        "level_logprobs",
        f"holds fewer than {LEAST_LEVELS} levels, and there is no given_score",
    ),
    "probes": Evidence(_levels, "level_logprobs", f"holds fewer than {LEAST_LEVELS} levels"),
    "pairs": Evidence(
        _order_or_preference,
        "given_preference",
        "is null, and so are the letters of both orders",
    ),
}
"""By table; a table that is not here has no such rule."""
