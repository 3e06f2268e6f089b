"""Where scores are wrong: how far, for which images, and whether anybody could have known."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data_store.agreement.group_bootstrap import COVERAGE, draw_groups
from data_store.pages.blocks import Block, Cell, Figure, Grid
from train.evaluation.finished_run import TEACHER
from train.report.calibration import sample_note, scatter_rows
from train.report.charts import Axes, cloud, lines, steps
from train.report.held_out_images import HeldOutImages
from train.report.intervals import interval_text
from train.report.read_run import ReadRun

FloatArray = NDArray[np.float64]

BINS = 30
CONFIDENCE_BINS = 8
LEAST_IN_A_BIN = 5


def residuals(runs: list[ReadRun]) -> list[Block]:
    """Errors by size, by opinion and by the teacher's confidence, and the interval's coverage."""
    known = [
        (run, run.images)
        for run in runs
        if run.images is not None and run.images.known(run.best_informed).any()
    ]
    if not known:
        return []
    blocks: list[Block] = [_sizes(known), _by_opinion([run for run, _ in known])]
    if by_confidence := _by_confidence(known):
        blocks.append(by_confidence)
    if coverage := _coverage_grid(known):
        blocks.append(coverage)
    return blocks


def _errors(images: HeldOutImages, student: str) -> FloatArray:
    known = images.known(student)
    errors: FloatArray = images.scores[student][known] - images.mos[known]
    return errors


def _shown(run: ReadRun, images: HeldOutImages, *, several: bool) -> Iterator[tuple[str, str]]:
    """Scorers and how the legend calls them: of one run before and after, of several the best."""
    wanted = (run.best_informed,) if several else (run.before, run.after, TEACHER)
    for name in dict.fromkeys(wanted):
        if name and images.known(name).any():
            yield name, f"{run.name}: {name}" if several else name


def _sizes(known: list[tuple[ReadRun, HeldOutImages]]) -> Figure:
    several = len(known) > 1
    found = {
        legend: _errors(images, name)
        for run, images in known
        for name, legend in _shown(run, images, several=several)
    }
    widest = max(float(np.fabs(errors).max()) for errors in found.values())
    edges = np.linspace(-max(widest, 0.05), max(widest, 0.05), BINS + 1)
    tables = []
    for legend, errors in found.items():
        counts = np.histogram(errors, edges)[0]
        tables.append(
            pa.table(
                {
                    "scorer": pa.repeat(legend, BINS),
                    "error": (edges[:-1] + edges[1:]) / 2,
                    "share": counts / counts.sum(),
                    "images": counts,
                }
            )
        )
    rows = pa.concat_tables(tables)
    axes = Axes(
        "error", "score less opinion", "share", "share of the images",
        "scorer", list(found), ("scorer", "error", "share", "images"),
    )  # fmt: skip
    return Figure(
        "residuals",
        "Errors by size",
        "How often a score is so far off. Good is a narrow hill about 0. A hill beside 0 is a bias"
        " that calibration should take away; a long tail on one side is a kind of image that is"
        " misjudged, to be looked at below; two hills are two kinds of images.",
        steps(rows, axes),
        rows,
    )


def _by_opinion(runs: list[ReadRun]) -> Figure:
    wanted = [(run, run.best_informed) for run in runs]
    rows = scatter_rows(wanted)
    errors = pa.compute.subtract(rows["score"], rows["opinion"])
    rows = rows.drop_columns(["label_free"]).append_column("error", errors)
    axes = Axes(
        "opinion", "people's opinion (MOS, 0 to 1)", "error", "score less opinion",
        "run", [run.name for run in runs], ("run", "image", "opinion", "score", "error"),
    )  # fmt: skip
    total = sum(int(run.images.known(name).sum()) for run, name in wanted if run.images is not None)
    return Figure(
        "residuals-by-opinion",
        f"Errors by opinion: {', '.join(dict.fromkeys(name for _, name in wanted))}",
        "Each point is an image, the thick line the mean error of images of like opinion. It"
        " falls a little in every honest student, because one that is unsure keeps to the middle;"
        " a steep fall means that bad images are scored too high and good ones too low."
        + sample_note(rows.num_rows, total),
        cloud(rows, axes, mean_line=True),
        rows,
    )


def _by_confidence(known: list[tuple[ReadRun, HeldOutImages]]) -> Figure | None:
    several = len(known) > 1
    rows: list[dict[str, str | float | int]] = []
    for run, images in known:
        for name, legend in _shown(run, images, several=several):
            sure = images.known(name) & np.isfinite(images.confidence)
            confidence = images.confidence[sure]
            errors = np.fabs(images.scores[name][sure] - images.mos[sure])
            order = np.argsort(confidence, kind="stable")
            count = min(CONFIDENCE_BINS, len(order) // LEAST_IN_A_BIN)
            for part in np.array_split(order, count) if count > 1 else []:
                rows.append(
                    {
                        "scorer": legend,
                        "confidence": float(confidence[part].mean()),
                        "error": float(errors[part].mean()),
                        "images": len(part),
                    }
                )
    if not rows:
        return None
    table = pa.Table.from_pylist(rows)
    axes = Axes(
        "confidence", "teacher's confidence (0 to 1)", "error", "mean absolute error",
        "scorer", list(dict.fromkeys(str(row["scorer"]) for row in rows)),
        ("scorer", "confidence", "error", "images"),
    )  # fmt: skip
    return Figure(
        "residuals-by-confidence",
        "Errors by the teacher's confidence",
        "Images in order of the teacher's confidence, in parts of equal size; a point is the mean"
        " absolute error of a part. If confidence is worth anything the lines fall to the right:"
        " where they are flat, weighing the teacher's answers by it teaches the student nothing.",
        lines(table, axes),
        table,
    )


def _coverage_grid(known: list[tuple[ReadRun, HeldOutImages]]) -> Grid | None:
    rows: list[list[Cell]] = []
    for run, images in known:
        wanted = run.record["settings"].get("ladder", {}).get("coverage")
        for stage in run.stages:
            if stage.interval is None or not images.known(stage.name).any():
                continue
            inside = np.fabs(_errors(images, stage.name)) <= stage.interval
            groups = images.group_ids.filter(pa.array(images.known(stage.name)))
            low, high = _share_interval(inside, groups)
            span = interval_text(low, high, digits=3)
            rows.append(
                [
                    *(run.name, stage.name, stage.interval, wanted),
                    *(float(inside.mean()), span, len(inside)),
                ]
            )
    if not rows:
        return None
    return Grid(
        "Do the intervals hold what they promise?",
        ["run", "student", "interval ±", "promised", "held", "95 % interval of held", "images"],
        rows,
        "The share of held-out images whose opinion lies within the score's interval. It should be"
        " about what was promised; clearly less means that the held-out images are harder than the"
        " labelled ones, and the interval must not be relied on.",
    )


def _share_interval(
    inside: NDArray[np.bool_], group_ids: pa.Array
) -> tuple[float | None, float | None]:
    """Ends of the interval of a share, from draws of whole groups (as `group_bootstrap`)."""
    draws = draw_groups(group_ids)
    if draws is None:
        return None, None
    shares = np.concatenate(
        [weights @ inside / weights.sum(axis=1) for weights in draws.blocks(len(inside))]
    )
    low, high = np.quantile(shares, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    return float(low), float(high)
