"""What a training would do: stages, epochs, and what of them is done. No weight is loaded.

Time comes from epochs that were trained in the same folder, and of sweeps from finished cells.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from data_store.layout import Store
from data_store.plans import Figure, Plan
from schemas.errors import LeafError
from train.results import PREDICTIONS_FILE
from train.run import held_out_images, require_enough
from train.run_record import RUN_FILE, record_run
from train.settings import RunSettings
from train.stage_plan import seconds_of, stage_epochs, stages_left
from train.student import empty_student
from train.sweep import SUMMARY_FILE, Sweep, require_one_process
from train.sweep_settings import Cell
from train.training_data import choose_teachers, read_training_data

BYTES_PER_NUMBER = 4


def run_plan(
    store: Store, folder: Path, settings: RunSettings, *, teacher: Sequence[str] = ()
) -> Plan:
    """What `train run` would do. Raises as it does before it decodes the first picture."""
    data = read_training_data(store, choose_teachers(store, teacher))
    tested = held_out_images(data, settings)
    require_enough(data, ~tested, settings)
    if (folder / RUN_FILE).exists():  # then the record is compared, and not written
        record_run(folder, settings, store, data)
    left = stages_left(settings, folder)
    finished = [name for name in stage_epochs(settings) if name not in left]
    done = not left and all((folder / name).exists() for name in (SUMMARY_FILE, PREDICTIONS_FILE))
    rated = np.isfinite(data.mos)
    return Plan(
        "train run",
        "stages",
        len(left),
        len(finished),
        seconds_of(left, folder),
        _weights(settings, len(left)),
        {
            "finished": done,
            "epochs": left,
            "images": len(data.image_ids),
            "held_out": int(tested.sum()),
            "mos_to_learn_from": int((rated & ~tested).sum()),
            "mos_held_out": int((rated & tested).sum()),
            "pairs": len(data.pairs),
        },
        _notes(settings),
    )


def sweep_plan(store: Store, folder: Path, cells: Sequence[Cell]) -> Plan:
    """What `train sweep` would do. Raises as it does before it trains the first cell."""
    require_one_process()
    sweep = Sweep(store, folder, cells)
    left, past = sweep.left(), sweep.seconds_of_finished()
    seconds = Figure(None, "no cell of this sweep is finished yet")
    if past:
        mean = sum(past) / len(past)
        seconds = Figure(mean * len(left), f"{mean:,.0f} s a cell, over {len(past)} finished")
    return Plan(
        "train sweep",
        "cells",
        len(left),
        len(cells) - len(left),
        seconds,
        Figure(None, "stages that cells have in common are stored once"),
        {"cells": [cell.name for cell in left]},
        tuple(_would_fail(sweep, cell) for cell in left if _would_fail(sweep, cell)),
    )


def _would_fail(sweep: Sweep, cell: Cell) -> str:
    try:
        data = sweep.evidence(cell)
        require_enough(data, ~held_out_images(data, cell.settings), cell.settings)
    except LeafError as error:
        return f"{cell.name} would fail: {error.what}"
    return ""


def _weights(settings: RunSettings, stage_count: int) -> Figure:
    """Of the students that are kept; a checkpoint on the way is gone in the end."""
    with torch.device("meta"):  # shapes alone: no memory, no random numbers
        student = empty_student(settings.student)
    numbers = sum(value.numel() for value in student.parameters())
    return Figure(
        float(BYTES_PER_NUMBER * numbers * stage_count),
        f"{numbers:,} weights a student; decoded pictures go to the cache, at most"
        f" {settings.images.cache_bytes:,} bytes",
    )


def _notes(settings: RunSettings) -> tuple[str, ...]:
    ladder = settings.ladder
    if len(ladder.rungs) == 1 and not ladder.cross_validate_one:
        return ()
    return (
        f"each share of labels tries {', '.join(ladder.rungs)} on {ladder.folds} folds, which takes"
        " several times the epochs of one calibration",
    )
