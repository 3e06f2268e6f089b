"""Comparisons of two images, prepared as rows of the table `pairs`.

A file says who stood first, the store says whose id is smaller. A pair that a file holds in both
orders becomes one row: of letters each order keeps its place, of preferences the mean is taken.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from annotate.importing.evidence import FloatArray, Misfit, log_probs, outside
from annotate.importing.image_ids import KnownNames
from annotate.importing.judged_rows import TEACHER, Cells, JudgedRows
from annotate.importing.new_rows import repeated_rows
from annotate.importing.point_rows import numbers
from schemas.pairs import PAIRS

BoolArray = npt.NDArray[np.bool_]

_FIRST, _SECOND = ("a", "first", "left"), ("b", "second", "right")
_TIE = ("tie", "equal", "same", "draw")


def prepared_pairs(rows: JudgedRows, known: KnownNames) -> pa.Table:
    """The judged pairs and the evidence about them; what is wrong with the rows is noted.

    Args:
        rows: as they were read.
        known: the images that their names mean.

    Returns:
        One row per teacher and pair whose images are both known: row (of the first of the file's
        rows), teacher, image_a, image_b, letter_logprobs_ab, letter_logprobs_ba,
        given_preference.
    """
    first = known.ids_of(rows.table.column("image_a"))
    second = known.ids_of(rows.table.column("image_b"))
    both = np.asarray(pc.and_(pc.is_valid(first), pc.is_valid(second)))
    same = both & np.asarray(pc.fill_null(pc.equal(first, second), fill_value=False))
    rows.blame(same, lambda cells: f"{_pair(cells)} are one image")
    swapped = np.asarray(pc.fill_null(pc.greater(first, second), fill_value=False))
    prepared = pa.table(
        {
            "row": rows.table.column("row"),
            "teacher": rows.table.column(TEACHER),
            "image_a": pc.if_else(pa.array(swapped), second, first),
            "image_b": pc.if_else(pa.array(swapped), first, second),
            "swapped": pa.array(swapped),
            **_evidence(rows, swapped),
        }
    ).filter(pa.array(both & ~same))
    by = ["teacher", "image_a", "image_b"]
    twice = repeated_rows(prepared, [*by, "swapped"])
    rows.blame_rows(twice, lambda cells: f"{_pair(cells)} stand twice in this order")
    return _merged(prepared, by)


def _evidence(rows: JudgedRows, swapped: BoolArray) -> dict[str, pa.Array]:
    """The evidence of each row for the order that it was asked in."""
    columns = rows.request.columns
    if columns.kind == "letters" and columns.values:
        logs, misfits = log_probs(rows.numbers("logit_a", "logit_b"), columns.values)
        preference = np.full(len(logs), np.nan)
    else:
        logs = np.full((rows.table.num_rows, 2), np.nan)
        preference, misfits = _preference(rows)
    for misfit in misfits:
        rows.blame(misfit.rows, lambda cells, misfit=misfit: f"{_pair(cells)}: {misfit.text}")  # type: ignore[misc]
    return {
        "a_in_ab": numbers(np.where(swapped, np.nan, logs[:, 0])),
        "b_in_ab": numbers(np.where(swapped, np.nan, logs[:, 1])),
        "a_in_ba": numbers(np.where(swapped, logs[:, 0], np.nan)),
        "b_in_ba": numbers(np.where(swapped, logs[:, 1], np.nan)),
        # Rounded, because 1 - .9 is not .1: the same pair in the other order must be the same.
        "preference": numbers(np.round(np.where(swapped, 1 - preference, preference), 12)),
    }


def _preference(rows: JudgedRows) -> tuple[FloatArray, list[Misfit]]:
    """(N,) P(the image named first is better)."""
    if rows.request.columns.kind == "preference":
        given = rows.numbers("preference")[:, 0]
        return given, [outside(given, "the preference is outside 0 to 1")]
    winner = rows.table.column("winner")
    word = pc.utf8_lower(winner)
    preference = np.full(len(winner), np.nan)
    for value, words, image in ((1.0, _FIRST, "image_a"), (0.0, _SECOND, "image_b")):
        preference[np.asarray(pc.is_in(word, value_set=pa.array(words)))] = value
        # A file that is called `b` and stands first is what a winner `b` means.
        preference[np.asarray(pc.equal(winner, rows.table.column(image)))] = value
    preference[np.asarray(pc.is_in(word, value_set=pa.array(_TIE)))] = 0.5
    unclear = np.isnan(preference) & np.asarray(pc.not_equal(winner, ""))
    rows.blame(
        unclear,
        lambda cells: (
            f"the winner of {_pair(cells)} is {cells['winner']!r}: say a, b, tie or a name"
        ),
    )
    return preference, []


def _merged(prepared: pa.Table, by: list[str]) -> pa.Table:
    letters = ("a_in_ab", "b_in_ab", "a_in_ba", "b_in_ba")
    merged = prepared.group_by(by).aggregate(
        [("row", "min"), ("preference", "mean"), *((name, "max") for name in letters)]
    )
    found = {name: merged.column(f"{name}_max").to_numpy() for name in letters}
    return pa.table(
        {
            "row": merged.column("row_min"),
            "teacher": merged.column("teacher"),
            "image_a": merged.column("image_a"),
            "image_b": merged.column("image_b"),
            "letter_logprobs_ab": _letters(found["a_in_ab"], found["b_in_ab"]),
            "letter_logprobs_ba": _letters(found["a_in_ba"], found["b_in_ba"]),
            "given_preference": merged.column("preference_mean"),
        }
    ).sort_by("row")


def _letters(a: FloatArray, b: FloatArray) -> pa.Array:
    there = ~np.isnan(a)
    values = np.stack([a[there], b[there]], axis=1).astype(np.float32).reshape(-1)
    known = pa.FixedSizeListArray.from_arrays(
        pa.array(values), type=PAIRS.field("letter_logprobs_ab").type
    )
    places = np.cumsum(there) - 1
    return pc.take(known, pa.array(places, mask=~there))


def _pair(cells: Cells) -> str:
    return f"{cells['image_a']} and {cells['image_b']}"
