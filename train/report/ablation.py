"""What each change of a sweep is worth, with intervals, against one of its variants."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data_store.pages.blocks import Block, Cell, Figure, Grid, Note
from train.report.charts import Axes, dots
from train.report.intervals import interval_text
from train.report.read_sweep import ReadSweep
from train.report.variant_worth import Worth, all_worth

FloatArray = NDArray[np.float64]

REFERENCES = ("base", "reference", "default")
"""A case of such a name is what the others are compared with; else the best variant is."""


def ablation(sweep: ReadSweep, number: int, *, store: str = "") -> list[Block]:
    """Table, figures and failed cells of one sweep.

    Args:
        sweep: with its cells' folders, if they are still there.
        number: of the sweep on the page; part of its figures' names.
        store: where the cells left their scores; empty for each run's own.
    """
    students = sweep.students
    failed = [cell for cell in sweep.cells if cell.error or not cell.rows]
    blocks: list[Block] = []
    if students:
        reference = _reference(sweep, students[-1])
        worth, trouble = all_worth(sweep, reference, store=store)
        blocks += [
            _absolute(sweep, number),
            *([_relative(sweep, number, reference, worth)] if worth else []),
            _grid(sweep, reference, worth),
        ]
        if trouble:
            blocks.append(Note(f"{sweep.name}: differences without intervals, because {trouble}."))
    if failed:
        rows: list[list[Cell]] = [
            [cell.name, cell.error or "it has no students"] for cell in failed
        ]
        blocks.append(
            Grid(
                f"{sweep.name}: {len(failed)} of {len(sweep.cells)} cells failed",
                ["cell", "error"],
                rows,
                "They are in no figure and no mean. `train sweep` again trains only these.",
            )
        )
    return blocks


def _reference(sweep: ReadSweep, student: str) -> str:
    named = [variant for variant in sweep.variants if variant in REFERENCES]
    best = max(sweep.variants, key=lambda variant: _mean(sweep, variant, student, "srcc") or -2.0)
    return (named or [best])[0]


def _values(sweep: ReadSweep, variant: str, student: str, measure: str) -> list[float]:
    rows = [cell.rows[student] for cell in sweep.of(variant, student)]
    return [row[measure] for row in rows if row.get(measure) is not None]


def _mean(sweep: ReadSweep, variant: str, student: str, measure: str) -> float | None:
    values = _values(sweep, variant, student, measure)
    return float(np.mean(values)) if values else None


def _absolute(sweep: ReadSweep, number: int) -> Figure:
    rows: list[dict[str, Any]] = []
    for variant in sweep.variants:
        for student in sweep.students:
            for cell in sweep.of(variant, student):
                row = cell.rows[student]
                if row.get("srcc") is not None:
                    spans_of = {"low": row.get("srcc_low"), "high": row.get("srcc_high")}
                    told = {"variant": variant, "student": student, "cell": cell.name}
                    rows.append({**told, "srcc": row["srcc"], **spans_of})
    table = pa.Table.from_pylist(rows, schema=_absolute_schema())
    axes = Axes(
        "srcc", "SRCC with people", "variant", "", "student", sweep.students,
        ("variant", "student", "cell", "srcc", "low", "high"),
    )  # fmt: skip
    return Figure(
        f"ablation-{number}",
        f"{sweep.name}: every cell",
        "A dot is one cell's SRCC on its held-out images, its line the 95 % interval; repeats with"
        " other seeds lie on one line. Dots of one variant that lie far apart say that the seed"
        " matters as much as the change does. The intervals are wide because they hold the choice"
        " of the test images, which all variants share: compare variants by their differences.",
        dots(table, axes),
        table,
    )


def _relative(
    sweep: ReadSweep, number: int, reference: str, worth: dict[tuple[str, str], Worth]
) -> Figure:
    rows = [
        {"variant": variant, "student": student, **one._asdict()}
        for (variant, student), one in worth.items()
        if one.difference is not None
    ]
    schema = pa.schema(
        [("variant", pa.string()), ("student", pa.string())]
        + [(name, pa.float64()) for name in Worth._fields]
    )
    table = pa.Table.from_pylist(rows, schema=schema)
    axes = Axes(
        "difference", f"SRCC less that of “{reference}”", "variant", "", "student", sweep.students,
        ("variant", "student", "difference", "low", "high"),
    )  # fmt: skip
    return Figure(
        f"ablation-{number}-differences",
        f"{sweep.name}: differences from “{reference}”",
        "The mean over the seeds of a variant's SRCC less the reference's on the same images, and"
        " its 95 % interval over the images. A line that crosses 0 is no difference that these"
        " images can show. Where the reference is the best of many it owes a part of its lead to"
        " chance, so its rivals are a little better than they look.",
        dots(table, axes, zero=True),
        table,
    )


def _grid(sweep: ReadSweep, reference: str, worth: dict[tuple[str, str], Worth]) -> Grid:
    rows: list[list[Cell]] = []
    for variant in sweep.variants:
        for student in sweep.students:
            values = _values(sweep, variant, student, "srcc")
            if not values:
                continue
            one = worth.get((variant, student), Worth(None, None, None))
            span = interval_text(one.low, one.high)
            cells = sweep.of(variant, student)
            seconds = [cell.seconds for cell in cells if cell.seconds is not None]
            rows.append(
                [
                    *(variant, student, len(values)),
                    *(float(np.mean(values)), min(values), max(values)),
                    *(_mean(sweep, variant, student, "rmse"), one.difference, span),
                    round(float(np.mean(seconds))) if seconds else None,
                ]
            )
    columns = (
        *("variant", "student", "cells", "srcc", "least", "greatest", "rmse"),
        *("difference", "95 % interval", "seconds"),
    )
    return Grid(
        f"{sweep.name}: variants",
        columns,
        rows,
        f"srcc and rmse are means over the cells that differ in seeds alone; “difference” is of"
        f" the srcc, paired, to “{reference}”. Seconds count the whole cell, without stages that"
        " another cell had trained already.",
    )


def _absolute_schema() -> pa.Schema:
    text = [(name, pa.string()) for name in ("variant", "student", "cell")]
    return pa.schema(text + [(name, pa.float64()) for name in ("srcc", "low", "high")])
