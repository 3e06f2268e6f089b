"""How training went: losses by epoch, time by stage, images per second."""

import re
from collections import defaultdict
from typing import Any

import numpy as np
import pyarrow as pa

from data_store.pages.blocks import MOST_ROWS, Block, Cell, Figure, Grid
from train.report.charts import Axes, bars, lines
from train.report.read_run import ReadRun
from train.report.stage_records import LABEL_FREE, Epoch, StageRecord

_FOLD = re.compile(r"-fold-\d+$")
_LOSSES = {"loss": "all", "point_loss": "scores", "pair_loss": "pairs"}
_SCHEMA = pa.schema(
    {"series": pa.string(), "epoch": pa.int64(), "loss": pa.float64(), "trainings": pa.int64()}
)


def training(runs: list[ReadRun]) -> list[Block]:
    """Learning curves of distillation and calibration, and what the stages took."""
    blocks: list[Block] = []
    # One run's losses stand together; of several runs the same loss does.
    parts = {told: {name: told} for name, told in _LOSSES.items()}
    for part, losses in ({"": _LOSSES} if len(runs) == 1 else parts).items():
        rows = _distillation(runs, losses)
        if rows.num_rows:
            blocks.append(_distillation_figure(rows, part))
    for measure, name, title in (
        ("validation_loss", "validation", "validation loss"),
        ("loss", "fitting", "training loss"),
    ):
        rows = _calibration(runs, measure)
        if rows.num_rows:
            blocks.append(_calibration_figure(name, title, rows))
    times = _times(runs)
    if times:
        blocks += [_times_figure(runs, times), _times_grid(times)]
    return blocks


def _distillation(runs: list[ReadRun], losses: dict[str, str]) -> pa.Table:
    rows = [
        {
            "series": told if len(runs) == 1 else run.name,
            "epoch": epoch.epoch,
            "loss": epoch.numbers[name],
            "trainings": 1,
        }
        for run in runs
        for name, told in losses.items()
        for epoch in run.epochs
        if epoch.stage == LABEL_FREE and name in epoch.numbers
    ]
    return pa.Table.from_pylist(rows[:MOST_ROWS], schema=_SCHEMA)


def _distillation_figure(rows: pa.Table, loss: str) -> Figure:
    """Of one loss, or of all of them together where none is named."""
    return Figure(
        f"distillation-{loss}" if loss else "distillation",
        f"Distillation: loss on {loss} by epoch" if loss else "Distillation: loss by epoch",
        "The mean loss of each epoch on the teacher's scores and on its preferences between pairs."
        " Both should fall and then flatten. Still falling at the end: train longer. Rising or"
        " jumping: the learning rate is too high. One that stays where it began is not learnt.",
        lines(rows, _axes(rows, "loss")),
        rows,
    )


def _calibration(runs: list[ReadRun], measure: str) -> pa.Table:
    """Per stage and training; the folds of a cross-validation as their mean."""
    several = len(runs) > 1
    found: dict[tuple[str, int], list[float]] = defaultdict(list)
    for run in runs:
        for epoch in run.epochs:
            if epoch.stage != LABEL_FREE and measure in epoch.numbers:
                series = f"{run.name}: {_series(epoch)}" if several else _series(epoch)
                found[series, epoch.epoch].append(epoch.numbers[measure])
    rows = [
        {"series": series, "epoch": epoch, "loss": float(np.mean(values)), "trainings": len(values)}
        for (series, epoch), values in found.items()
    ]
    return pa.Table.from_pylist(rows[:MOST_ROWS], schema=_SCHEMA)


def _series(epoch: Epoch) -> str:
    if not epoch.part:
        return epoch.stage
    told = _FOLD.sub("", epoch.part)
    return f"{epoch.stage} {told}" + (" (mean of folds)" if _FOLD.search(epoch.part) else "")


def _calibration_figure(name: str, title: str, rows: pa.Table) -> Figure:
    readings = {
        "validation": "On labelled images that were put aside: the epoch where it is least is the"
        " one that is kept. A rise after an early least is over-fitting, harmless because of that"
        " choice; a least in the last epoch asks for more epochs.",
        "fitting": "On the labelled images trained on. It goes towards 0 where there are few"
        " labels; that alone says nothing about other images. A line that does not fall at all"
        " learns nothing.",
    }
    return Figure(
        name,
        f"Calibration and baseline: {title}",
        readings[name],
        lines(rows, _axes(rows, title)),
        rows,
    )


def _axes(rows: pa.Table, y_title: str) -> Axes:
    order = list(dict.fromkeys(rows["series"].to_pylist()))
    columns = ("series", "epoch", "loss", "trainings")
    return Axes("epoch", "epoch", "loss", y_title, "series", order, columns)


def _times(runs: list[ReadRun]) -> list[dict[str, Any]]:
    rows = []
    for run in runs:
        stages = {stage.name: stage for stage in run.stages}
        for name in dict.fromkeys(epoch.stage for epoch in run.epochs):
            own = [epoch for epoch in run.epochs if epoch.stage == name]
            seconds = sum(epoch.numbers.get("duration_s", 0.0) for epoch in own)
            rows.append(
                {
                    "run": run.name,
                    "stage": name,
                    "epochs": len(own),
                    "seconds": seconds,
                    "images": _images_per_epoch(stages.get(name), own),
                    "finished": name in stages,
                }
            )
    return rows


def _images_per_epoch(stage: StageRecord | None, epochs: list[Epoch]) -> int | None:
    """Images of one epoch, where the stage is one training and says so."""
    if stage is None or any(_FOLD.search(epoch.part) for epoch in epochs):
        return None
    facts = stage.facts
    if "image_count" in facts:
        return int(facts["image_count"])
    if "labelled_count" in facts and "validation_count" in facts:
        return int(facts["labelled_count"]) - int(facts["validation_count"])
    return None


def _times_figure(runs: list[ReadRun], times: list[dict[str, Any]]) -> Figure:
    columns = ("stage", "run", "seconds", "epochs")
    table = pa.Table.from_pylist([{name: row[name] for name in columns} for row in times])
    axes = Axes(
        "seconds", "seconds of training", "stage", "", "run", [run.name for run in runs], columns
    )
    return Figure(
        "stage-times",
        "Time by stage",
        "The sum of the epochs' durations, the folds of a cross-validation included; decoding,"
        " frozen features and scoring are not in it. A stage trained in another cell of a sweep"
        " has no bar.",
        bars(table, axes),
        table,
    )


def _times_grid(times: list[dict[str, Any]]) -> Grid:
    rows: list[list[Cell]] = []
    for row in times:
        images, seconds = row["images"], row["seconds"]
        rate = images * row["epochs"] / seconds if images and seconds else None
        rows.append(
            [
                *(row["run"], row["stage"], row["epochs"], round(seconds, 1), images),
                *(None if rate is None else round(rate, 1), row["finished"]),
            ]
        )
    return Grid(
        "Time and speed of the stages",
        ["run", "stage", "epochs", "seconds", "images per epoch", "images per second", "finished"],
        rows,
        "A dash where a stage is several trainings. With a frozen backbone the images per second"
        " are of features that were computed once before, and say nothing about pictures. The"
        " learning rate is not logged: it rises for warmup_fraction of the steps and then falls"
        " along a cosine to 0, from the settings under provenance.",
    )
