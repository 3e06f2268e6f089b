"""How good every student is, beside its teacher, and which differences are more than chance."""

from typing import Any

import pyarrow as pa

from data_store.agreement.group_bootstrap import DRAWS
from data_store.pages.blocks import Block, Cell, Figure, Grid, Note
from schemas.errors import InputError
from train.evaluation.finished_run import TEACHER
from train.evaluation.judging import compare_students
from train.report.charts import Axes, dots
from train.report.intervals import interval_text
from train.report.paired import COMPARED, Paired, paired
from train.report.read_run import ReadRun

MEASURES = (
    *("srcc", "plcc", "plcc_fitted", "krcc", "pair_accuracy", "rmse", "bias", "n"),
)  # fmt: skip
WITH_INTERVAL = ("srcc", "plcc", "krcc", "pair_accuracy", "rmse", "bias")


def overview(runs: list[ReadRun]) -> list[Block]:
    """A sentence per run, the table of all students with intervals, and paired comparisons."""
    blocks: list[Block] = [Note(sentence(run)) for run in runs]
    rows = [(run.name, row) for run in runs for row in run.rows]
    if not rows:
        return blocks
    measures = [name for name in MEASURES if any(name in row for _, row in rows)]
    blocks += [_students_figure(runs, measure) for measure in ("srcc", "rmse")]
    blocks.append(
        Grid(
            "Agreement with people on held-out images",
            ["run", "student", *measures],
            [
                [name, row["name"], *(row.get(measure) for measure in measures)]
                for name, row in rows
            ],
            "srcc, plcc and krcc are correlations, 1 at best and 0 for guessing; a negative one"
            " means that the order is upside down. plcc_fitted is after a rising curve fitted on"
            " these very opinions, for comparison with papers. pair_accuracy is the share of pairs"
            " put in the right order, 0.5 by chance. rmse and bias (mean of score less opinion)"
            " are on the [0, 1] scale of quality: a bias far from 0 with a good srcc asks for"
            " calibration, a poor srcc for better training.",
        )
    )
    if compared := comparisons(runs):
        blocks.append(compared)
    blocks.append(
        Grid(
            "95 % intervals of these measures",
            ["run", "student", *WITH_INTERVAL],
            [[name, row["name"], *(_span(row, measure) for measure in WITH_INTERVAL)]
             for name, row in rows],
            "Percentile intervals from draws of whole groups of images. They say how far a"
            " figure would move with other test images; two that overlap can still differ surely,"
            " which is what the paired comparison is for.",
        )
    )  # fmt: skip
    return blocks


def sentence(run: ReadRun) -> str:
    """What a run did and what came of it, in a sentence or two."""
    counts, settings = run.record.get("counts", {}), run.record["settings"]
    backbone = settings.get("student", {}).get("backbone", "a student")
    told = (
        f"{run.name}: {backbone}, taught by {' and '.join(run.teachers)} with"
        f" {counts.get('teacher_points', 0):,} scores and {counts.get('teacher_pairs', 0):,} pairs"
        f" about {counts.get('images', 0):,} images."
    )
    by_name = {row["name"]: row for row in run.rows}
    parts = []
    for name in dict.fromkeys((run.before, run.after, run.baseline, TEACHER)):
        value = by_name.get(name or "", {}).get("srcc")
        if name and value is not None:
            parts.append(f"{name} {value:.3f}")
    if parts:
        count = run.rows[0].get("n", 0)
        told += f" SRCC with people on {count:,} held-out images: {', '.join(parts)}."
    elif run.stages:
        told += f" Finished: {', '.join(stage.name for stage in run.stages)}."
    return told


def comparisons(runs: list[ReadRun]) -> Grid | None:
    """Pairs of scorers on the same images; None where no single scores are known."""
    rows: list[list[Cell]] = []
    for run in runs:
        wanted = [(run.after, run.before), (run.after, run.baseline), (run.best_informed, TEACHER)]
        for first, second in wanted:
            found = paired(run, first, second) if first and second else None
            if found is not None:
                told = first if len(runs) == 1 else f"{run.name}: {first}"
                rows.append(_compared(told or "", second or "", found))
    refused: list[str] = []
    for other in runs[1:]:
        rows += _between(other, runs[0], refused)
    if not rows:
        return None
    reading = (
        "First less second, image by image, with the 95 % interval of the difference from the same"
        " draws of groups for both. An interval without 0 is more than chance; p is two-sided."
        " A better student has a positive difference in srcc and a negative one in rmse."
    )
    if refused:
        reading += f" Not comparable: {'; '.join(dict.fromkeys(refused))}."
    columns = ["first", "second", "images"]
    for measure in COMPARED:
        columns += [f"{measure} difference", f"{measure} 95 % interval", f"{measure} p"]
    return Grid("Paired comparisons", columns, rows, reading)


def _between(run: ReadRun, other: ReadRun, refused: list[str]) -> list[list[Cell]]:
    """The same students of two runs; what was tested on other images is added to `refused`."""
    if run.images is None or other.images is None:
        return []
    rows = []
    pair = run.images.as_held_out(), other.images.as_held_out()
    for name in dict.fromkeys((other.best_informed, other.before)):
        if not all(name in each.scores for each in pair):
            continue
        try:
            found = compare_students(pair, (name, name), draws=DRAWS, measures=COMPARED)
        except InputError as error:
            refused.append(f"{run.name} and {other.name}, {name}: {error.what}")
            continue
        told = f"{run.name}: {name}", f"{other.name}: {name}"
        differences = {difference.measure: difference for difference in found.differences}
        rows.append(_compared(*told, Paired(found.image_count, differences)))
    return rows


def _compared(first: str, second: str, found: Paired) -> list[Cell]:
    row: list[Cell] = [first, second, found.image_count]
    for measure in COMPARED:
        one = found.differences[measure]
        row += [one.difference, interval_text(one.low, one.high), one.p_bootstrap]
    return row


def _students_figure(runs: list[ReadRun], measure: str) -> Figure:
    rows: list[dict[str, Any]] = [
        {
            "run": run.name,
            "student": row["name"],
            "value": row.get(measure),
            "low": row.get(f"{measure}_low"),
            "high": row.get(f"{measure}_high"),
        }
        for run in runs
        for row in run.rows
        if row.get(measure) is not None
    ]
    table = pa.Table.from_pylist(rows, schema=_FIGURE_SCHEMA)
    title, x_title, reading = _FIGURES[measure]
    axes = Axes(
        "value", x_title, "student", "", "run", [run.name for run in runs],
        ("run", "student", "value", "low", "high"),
    )  # fmt: skip
    return Figure(f"{measure}-of-students", title, reading, dots(table, axes), table)


_FIGURES = {
    "srcc": (
        "Rank agreement of every student",
        "SRCC with people",
        "A dot is the SRCC on held-out images, its line the 95 % interval; further right is"
        " better. The label-free student should come near its teacher; a calibrated one should not"
        " fall behind it, and should be right of the baseline (cft_only) that had the same labels"
        " but no teacher.",
    ),
    "rmse": (
        "Error of every student",
        "RMSE to people's opinion (0 to 1)",
        "The same of the root mean square error; further left is better. A student that ranks well"
        " and errs much is on another scale than people: calibration moves it left.",
    ),
}
_FIGURE_SCHEMA = pa.schema(
    [("run", pa.string()), ("student", pa.string())]
    + [(name, pa.float64()) for name in ("value", "low", "high")]
)


def _span(row: dict[str, Any], measure: str) -> str | None:
    return interval_text(row.get(f"{measure}_low"), row.get(f"{measure}_high"))
