"""How agreement grows with the share of labels, beside the baseline without a teacher."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from data_store.pages.blocks import Block, Figure, Grid, Note
from schemas.ids import canonical_json
from train.evaluation.label_curve import CurvePoint, Measured, label_curves, labels_needed
from train.evaluation.run_summaries import REPEATS, measured_of_runs, method_and_fraction
from train.report.charts import Axes, banded
from train.report.read_run import ReadRun
from train.report.stage_records import CALIBRATED

MOST_SERIES = 8
MOST_VARIANTS = 4
"""Of a sweep: more curves with their bands hide one another, and the ablation has them all."""
MEASURES = {"srcc": "SRCC with people", "rmse": "RMSE (0 to 1)"}
_SCHEMA = pa.schema(
    [("method", pa.string()), ("percent", pa.float64()), ("runs", pa.int64())]
    + [(name, pa.float64()) for name in ("value", "low", "high")]
)


class _Interval(NamedTuple):
    low: float | None
    high: float | None


def label_efficiency(runs: list[ReadRun], sweeps: Sequence[Path]) -> list[Block]:
    """Curves over the share of labels with bands, and how many labels are enough."""
    figures: list[Block] = []
    others: list[Block] = []
    for measure, title in MEASURES.items():
        measured, intervals = _measured(runs, measure)
        for sweep in sweeps:
            own, note = _of_sweep(sweep, measure)
            measured += own
            others += [note] if note is not None and measure == "srcc" else []
        if not any(row.fraction > 0 for row in measured):
            continue
        points = label_curves(measured)
        shown = _largest(points, least=measure == "rmse")
        figures.append(_figure(measure, title, [p for p in points if p.method in shown], intervals))
        if left_out := len({point.method for point in points}) - len(shown):
            others.append(
                Note(
                    f"Of {measure} the {MOST_SERIES} methods are shown that are best at their"
                    f" largest share of labels; {left_out} more are left out of the figure."
                )
            )
        if measure == "srcc":
            others.append(_needed(points))
    return [*figures, *others]


def _of_sweep(folder: Path, measure: str) -> tuple[list[Measured], Note | None]:
    """A sweep's students; of many variants those of the best one, and a note that says so."""
    measured = measured_of_runs([folder], measure="srcc")
    last: dict[str, float] = {}
    for point in label_curves(measured):
        method, _, variant = point.method.partition(" ")
        if method == CALIBRATED and point.median is not None:
            last[variant] = point.median
    measured = measured if measure == "srcc" else measured_of_runs([folder], measure=measure)
    if len(last) <= MOST_VARIANTS:
        return measured, None
    best = max(last, key=lambda variant: last[variant])
    note = Note(
        f"Of the {len(last)} variants of the sweep {folder.resolve().name} the one is shown that is"
        f" best at its most labels, “{best}”; `train curve {folder}` prints them all."
    )
    return [row for row in measured if row.method.partition(" ")[2] == best], note


def _measured(
    runs: list[ReadRun], measure: str
) -> tuple[list[Measured], dict[tuple[str, float], _Interval]]:
    """Every student's measure; runs that differ in seeds alone are repeats of one method."""
    kinds: dict[str, list[ReadRun]] = {}
    for run in runs:
        kinds.setdefault(_kind(run), []).append(run)
    measured, intervals = [], {}
    for same in kinds.values():
        told = "" if len(kinds) == 1 else f" {same[0].name}"
        if told and len(same) > 1:
            told += f" and {len(same) - 1} like it"
        for number, run in enumerate(same):
            for row in run.rows:
                method, fraction = method_and_fraction(row["name"])
                if not method:
                    continue
                name = f"{method}{told}"
                measured.append(Measured(name, fraction, number, row.get(measure)))
                ends = _Interval(row.get(f"{measure}_low"), row.get(f"{measure}_high"))
                intervals[name, fraction] = ends
    return measured, intervals


def _kind(run: ReadRun) -> str:
    """What two runs share that are repeats of one another."""
    settings: dict[str, Any] = {
        key: dict(value) if isinstance(value, dict) else value
        for key, value in run.record["settings"].items()
    }
    for key in REPEATS:
        *outer, last = key.split(".")
        inner = settings
        for step in outer:
            inner = inner.get(step, {})
        inner.pop(last, None)
    return canonical_json({"settings": settings, "evidence": run.record.get("evidence")})


def _largest(points: list[CurvePoint], *, least: bool) -> set[str]:
    last = {point.method: point.median for point in points if point.median is not None}
    order = sorted(last, key=lambda method: last[method] or 0.0, reverse=not least)
    return set(order[:MOST_SERIES])


def _figure(
    measure: str,
    title: str,
    points: list[CurvePoint],
    intervals: dict[tuple[str, float], _Interval],
) -> Figure:
    rows: list[dict[str, Any]] = []
    for point in points:
        if point.median is None:
            continue
        spread = _Interval(point.low, point.high)
        if point.runs == 1:
            spread = intervals.get((point.method, point.fraction), _Interval(None, None))
        rows.append(
            {
                "method": point.method,
                "percent": 100 * point.fraction,
                "runs": point.runs,
                "value": point.median,
                "low": spread.low,
                "high": spread.high,
            }
        )
    table = pa.Table.from_pylist(rows, schema=_SCHEMA)
    axes = Axes(
        "percent", "labels used, % of the training images with MOS", "value", title,
        "method", list(dict.fromkeys(table["method"].to_pylist())),
        ("method", "percent", "value", "low", "high", "runs"),
    )  # fmt: skip
    several = any(point.runs > 1 for point in points)
    band = (
        "from the worst to the best of the repeated runs, where there are several, else the"
        if several
        else "the"
    )
    wanted = "lower" if measure == "rmse" else "higher"
    return Figure(
        f"labels-{measure}",
        f"{measure.upper()} by share of labels",
        f"leaf starts from the distilled student (at 0 without any label), cft_only from the"
        f" weights that nobody taught; {wanted} is better. The band is {band} 95 % interval over"
        " the held-out images. What the teacher is worth is the gap between the two at few labels;"
        " where the lines meet, labels have made it superfluous.",
        banded(table, axes),
        table,
    )


def _needed(points: list[CurvePoint]) -> Grid:
    rows = [
        [
            needed.method,
            None if needed.fraction is None else 100 * needed.fraction,
            "at most" if needed.at_most else None,
            needed.target,
            None if needed.full_fraction is None else 100 * needed.full_fraction,
        ]
        for needed in labels_needed(points)
    ]
    return Grid(
        "Labels needed for 95 % of the SRCC at the most labels measured",
        ["method", "labels, %", "bound", "SRCC to reach", "most labels measured, %"],
        rows,
        "By straight lines over the logarithm of the share. “At most”: no smaller share with"
        " labels was measured. It speaks of all labels only where 100 % was measured; 0 % means"
        " that the student without labels is good enough already.",
    )
