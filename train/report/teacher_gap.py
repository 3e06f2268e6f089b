"""What distillation lost: the student beside its teacher, image by image."""

import numpy as np
import pyarrow as pa

from data_store.pages.blocks import Block, Cell, Figure, Grid
from train.evaluation.comparison import Difference
from train.evaluation.finished_run import TEACHER
from train.evaluation.metrics import plcc, srcc
from train.report.calibration import file_name, sample_note
from train.report.charts import MOST_POINTS, Axes, cloud, dots, sampled
from train.report.intervals import interval_text
from train.report.paired import paired
from train.report.read_run import ReadRun

Lost = dict[tuple[str, str], Difference]
"""By run and student."""


def teacher_gap(runs: list[ReadRun]) -> list[Block]:
    """Student against teacher on all held-out images, rated or not, and the loss in SRCC."""
    known = [
        run
        for run in runs
        if run.images is not None and run.images.scored(run.before, TEACHER).sum() > 2
    ]
    if not known:
        return []
    lost = {
        (run.name, name): found
        for run in known
        for name in run.students
        if (found := _lost(run, name)) is not None
    }
    return [_figure(known), *([_lost_figure(known, lost)] if lost else []), _grid(known, lost)]


def _figure(runs: list[ReadRun]) -> Figure:
    tables, total = [], 0
    for run in runs:
        images = run.images
        if images is None:
            continue
        places = np.flatnonzero(images.scored(run.before, TEACHER))
        total += len(places)
        places = places[sampled(len(places), MOST_POINTS // len(runs))]
        tables.append(
            pa.table(
                {
                    "run": pa.repeat(run.name, len(places)),
                    "image": [file_name(images.paths[place]) for place in places],
                    "teacher": images.scores[TEACHER][places],
                    "student": images.scores[run.before][places],
                }
            )
        )
    rows = pa.concat_tables(tables)
    axes = Axes(
        "teacher", "teacher's score (0 to 1)", "student", "label-free student's score (0 to 1)",
        "run", [run.name for run in runs], ("run", "image", "teacher", "student"),
    )  # fmt: skip
    return Figure(
        "student-and-teacher",
        "The label-free student beside its teacher",
        "Each point is a held-out image that neither training nor calibration saw. On the dashed"
        " line both say the same. A narrow cloud: the student has learnt its teacher. A wide one:"
        " it is too small, trained too shortly, or does not see what the teacher sees. A flat one:"
        " it only learnt the mean." + sample_note(rows.num_rows, total),
        cloud(rows, axes),
        rows,
    )


def _lost_figure(runs: list[ReadRun], lost: Lost) -> Figure:
    rows = [
        {
            "run": run,
            "student": student,
            "difference": one.difference,
            "low": one.low,
            "high": one.high,
        }
        for (run, student), one in lost.items()
        if one.difference is not None
    ]
    schema = pa.schema(
        [("run", pa.string()), ("student", pa.string())]
        + [(name, pa.float64()) for name in ("difference", "low", "high")]
    )
    table = pa.Table.from_pylist(rows, schema=schema)
    axes = Axes(
        "difference", "SRCC with people less the teacher's", "student", "", "run",
        [run.name for run in runs], ("run", "student", "difference", "low", "high"),
    )  # fmt: skip
    return Figure(
        "less-the-teacher",
        "Agreement with people less the teacher's",
        "The difference of the SRCC on the same rated images, and its 95 % interval. Left of 0 the"
        " student agrees less with people than its teacher, the price of being small; right of 0"
        " more: calibration brought in what the teacher did not know, or the teacher's errors"
        " evened out over many answers.",
        dots(table, axes, zero=True),
        table,
    )


def _grid(runs: list[ReadRun], lost: Lost) -> Grid:
    rows: list[list[Cell]] = []
    for run in runs:
        images = run.images
        if images is None:
            continue
        for name in run.students:
            both = images.scored(name, TEACHER)
            if both.sum() < 3:
                continue
            student, teacher = images.scores[name][both], images.scores[TEACHER][both]
            agreement = [_known(srcc(student, teacher)), _known(plcc(student, teacher))]
            one = lost.get((run.name, name))
            told: list[Cell] = [None, None]
            if one is not None:
                told = [one.difference, interval_text(one.low, one.high)]
            rows.append([run.name, name, int(both.sum()), *agreement, *told])
    columns = (
        *("run", "student", "images", "srcc with the teacher", "plcc with the teacher"),
        *("srcc with people less the teacher's", "95 % interval"),
    )
    return Grid(
        "Agreement with the teacher, and what was lost",
        columns,
        rows,
        "Agreement is over all held-out images that the teacher scored, with or without opinions;"
        " the last columns are over the rated ones. An agreement with the teacher that falls with"
        " calibration is no loss where the agreement with people grows.",
    )


def _lost(run: ReadRun, name: str) -> Difference | None:
    """The SRCC with people less the teacher's; None where too few images are rated."""
    found = paired(run, name, TEACHER)
    return None if found is None else found.differences["srcc"]


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None
