"""What calibration did: scores against opinions before and after it, and how it was chosen."""

from typing import Any

import numpy as np
import pyarrow as pa

from data_store.pages.blocks import Block, Cell, Figure, Grid, Note
from train.report.charts import MOST_POINTS, Axes, cloud, sampled
from train.report.read_run import ReadRun
from train.report.stage_records import CALIBRATED, StageRecord

_SCHEMA = pa.schema(
    [("run", pa.string()), ("image", pa.string()), ("student", pa.string())]
    + [(name, pa.float64()) for name in ("opinion", "score", "label_free")]
)


def calibration(runs: list[ReadRun]) -> list[Block]:
    """Scatter before and after, what the scores became, and the ladder's tables."""
    blocks: list[Block] = []
    for when, title, names in (
        ("before", "Before calibration", [(run, run.before) for run in runs]),
        ("after", "After calibration", [(run, run.after) for run in runs]),
    ):
        rows = scatter_rows([(run, name) for run, name in names if name])
        if rows.num_rows:
            blocks.append(_scatter(f"{when}-calibration", title, rows, runs))
    moved = scatter_rows([(run, run.after) for run in runs if run.after], with_opinion=False)
    moved = moved.filter(pa.compute.is_valid(moved["label_free"]))
    if moved.num_rows:
        blocks.append(_moved(moved, runs))
    if labels := _labels_grid(runs):
        blocks.append(labels)
    if ladder := _ladder_grid(runs):
        blocks.append(ladder)
    if runs and not any(run.after for run in runs):
        blocks.append(
            Note(
                "No student of these runs was calibrated: label_fractions is empty, or none of the"
                " calibrated students is finished. Scores are on the teacher's scale."
            )
        )
    return blocks


def scatter_rows(wanted: list[tuple[ReadRun, str]], *, with_opinion: bool = True) -> pa.Table:
    """A row per image and run, sampled to `MOST_POINTS` in all.

    Args:
        wanted: which student of which run.
        with_opinion: rated images alone.
    """
    tables = []
    for run, student in wanted:
        images = run.images
        if images is None or student not in images.scores:
            continue
        known = images.known(student) if with_opinion else images.scored(student)
        places = np.flatnonzero(known)
        places = places[sampled(len(places), MOST_POINTS // len(wanted))]
        free = images.scores.get(run.before, np.full(len(images.mos), np.nan))
        tables.append(
            pa.table(
                {
                    "run": pa.repeat(run.name, len(places)),
                    "image": [file_name(images.paths[place]) for place in places],
                    "student": pa.repeat(student, len(places)),
                    "opinion": pa.array(images.mos[places], from_pandas=True),
                    "score": images.scores[student][places],
                    "label_free": pa.array(free[places], from_pandas=True),
                },
                schema=_SCHEMA,
            )
        )
    return pa.concat_tables(tables) if tables else _SCHEMA.empty_table()


def file_name(path: str | None) -> str:
    """The last part of a path, also of one within an archive."""
    return (path or "no file").replace("\\", "/").rsplit("/", 1)[-1]


def sample_note(count: int, total: int) -> str:
    """Says that a cloud is a sample, where it is one."""
    return f" Shown are {count:,} of {total:,} images, drawn by chance." if count < total else ""


def _scatter(name: str, title: str, rows: pa.Table, runs: list[ReadRun]) -> Figure:
    students = sorted(set(rows["student"].to_pylist()))
    total = sum(
        int(run.images.known(student).sum())
        for run in runs
        for student in students
        if run.images is not None
    )
    axes = Axes(
        "opinion", "people's opinion (MOS, 0 to 1)", "score", "student's score (0 to 1)",
        "run", [run.name for run in runs], ("run", "image", "opinion", "score"),
    )  # fmt: skip
    return Figure(
        name,
        f"{title}: {', '.join(students)}",
        "Each point is a held-out image; on the dashed line score and opinion are equal. A cloud"
        " above or below the line is a bias, a flatter one a student that avoids the ends of the"
        " scale, a round one a student that cannot tell good from bad."
        + sample_note(rows.num_rows, total),
        cloud(rows, axes),
        rows,
    )


def _moved(rows: pa.Table, runs: list[ReadRun]) -> Figure:
    axes = Axes(
        "label_free", "label-free score (0 to 1)", "score", "calibrated score (0 to 1)",
        "run", [run.name for run in runs], ("run", "image", "label_free", "score"),
    )  # fmt: skip
    return Figure(
        "what-calibration-moved",
        "What calibration moved",
        "Each point is an image before and after. A thin rising curve means that only the scale"
        " was changed and every rank kept; a cloud means that the order of images was changed too,"
        " which should show as a better SRCC above and is worth suspicion if it does not.",
        cloud(rows, axes),
        rows,
    )


def _labels_grid(runs: list[ReadRun]) -> Grid | None:
    rows: list[list[Cell]] = []
    for run in runs:
        bias = {row["name"]: row.get("bias") for row in run.rows}
        for stage in run.stages:
            if "labelled_count" in stage.facts:
                rows.append(
                    [
                        *(run.name, stage.name, stage.facts["labelled_count"]),
                        *(stage.facts.get("chosen"), _curve(stage), stage.interval),
                        *(bias.get(run.before) if stage.name.startswith(CALIBRATED) else None,),
                        bias.get(stage.name),
                    ]
                )
    if not rows:
        return None
    columns = (
        *("run", "student", "labels", "chosen rung", "curve", "interval ±"),
        *("bias before", "bias after"),
    )
    return Grid(
        "Labels used, and what was chosen",
        columns,
        rows,
        "The rung is the way of calibrating that erred least on labelled images it was not fitted"
        " to. “interval ±” is the half width that is to hold people's opinion; a dash where the"
        " labels are too few for one or nothing was cross-validated. Bias is the mean of score"
        " less opinion on held-out images: after calibration it should be near 0.",
    )


def _ladder_grid(runs: list[ReadRun]) -> Grid | None:
    rows: list[list[Cell]] = []
    for run in runs:
        for stage in run.stages:
            for rung in stage.facts.get("ladder") or []:
                chosen = "yes" if rung["rung"] == stage.facts.get("chosen") else None
                measured = [rung.get(key) for key in ("rmse", "bias", "srcc", "plcc")]
                seconds = rung.get("duration_s") or None
                told = [stage.name, rung["rung"], chosen, *measured, seconds, rung.get("error")]
                rows.append([run.name, *told])
    if not rows:
        return None
    return Grid(
        "The ladder: ways of calibrating, by cross-validation on the labelled images",
        ["run", "student", "rung", "chosen", "rmse", "bias", "srcc", "plcc", "seconds", "error"],
        rows,
        "Measured on labelled training images that each fit had not seen, in turn; the least rmse"
        " is chosen. Dashes stand where a single rung was used without a comparison. An expensive"
        " rung that is no better than a cheap one is a reason to leave it out next time.",
    )


def _curve(stage: StageRecord) -> str | None:
    mapping: dict[str, Any] | None = stage.mapping
    if mapping is None:
        return None
    numbers = ", ".join(f"{value:.3g}" for value in mapping["parameters"][:5])
    more = " …" if len(mapping["parameters"]) > 5 else ""
    return f"{mapping['kind']}{f' ({numbers}{more})' if numbers else ''}"
