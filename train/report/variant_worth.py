"""What a variant of a sweep is worth: paired differences from a reference, over the same images."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data_store.agreement.group_bootstrap import draw_groups, resampled, spans
from data_store.console import progress
from data_store.layout import Store, open_store
from schemas.errors import LeafError
from train.evaluation.finished_run import open_run
from train.evaluation.metrics import srcc
from train.report.held_out_images import read_held_out
from train.report.read_sweep import ReadCell, ReadSweep

FloatArray = NDArray[np.float64]

MOST_CELLS = 100
"""Sweeps of more cells are compared by their table alone, without drawing images anew."""


class _Drawn(NamedTuple):
    """The SRCC of one student of one cell, and of it in every draw of groups of images."""

    image_ids: pa.Array
    value: float
    moved: FloatArray


class Worth(NamedTuple):
    """A variant less the reference, over the repeats that both have."""

    difference: float | None
    low: float | None
    high: float | None


def all_worth(
    sweep: ReadSweep, reference: str, *, store: str
) -> tuple[dict[tuple[str, str], Worth], str]:
    """Every variant but the reference against it.

    Args:
        sweep: whose cells' runs lie below it.
        reference: a variant.
        store: where the cells left their scores; empty for each run's own.

    Returns:
        By variant and student; and why there are no intervals, or nothing where there are.
    """
    if len(sweep.variants) < 2:
        return {}, ""
    drawn: dict[tuple[str, str], _Drawn] = {}
    trouble = f"it has more than {MOST_CELLS} cells" if len(sweep.cells) > MOST_CELLS else ""
    stores: dict[str, Store] = {}
    if not trouble:
        try:
            with progress(len(sweep.cells), label="compare", unit="cells") as bar:
                for cell in sweep.cells:
                    drawn |= _draw(cell, sweep.students, store, stores) if cell.rows else {}
                    bar.advance()
        except LeafError as error:
            drawn, trouble = {}, f"{error.what} ({error.where})"
    worth = {}
    for variant in sweep.variants:
        for student in sweep.students:
            if variant != reference and sweep.of(variant, student):
                worth[variant, student] = _worth(sweep, (variant, reference), student, drawn)
    return worth, trouble


def _draw(
    cell: ReadCell, students: list[str], store: str, stores: dict[str, Store]
) -> dict[tuple[str, str], _Drawn]:
    run = open_run(cell.folder)
    address = store or run.store_address
    if address not in stores:
        stores[address] = open_store(address)
    images = read_held_out(run, stores[address])
    found = {}
    for student in students:
        known = images.known(student)
        draws = draw_groups(images.group_ids.filter(pa.array(known)))
        if student in cell.rows and draws is not None:
            scores, mos = images.scores[student][known], images.mos[known]
            moved = resampled(scores, mos, draws, measures=("srcc",))["srcc"]
            ids = images.image_ids.filter(pa.array(known))
            found[cell.name, student] = _Drawn(ids, srcc(scores, mos), moved)
    return found


def _worth(
    sweep: ReadSweep,
    variants: tuple[str, str],
    student: str,
    drawn: dict[tuple[str, str], _Drawn],
) -> Worth:
    """The mean difference over the repeats; its interval is over the images, not over seeds."""
    own, others = ({c.repeat: c for c in sweep.of(variant, student)} for variant in variants)
    pairs = [(own[repeat], others[repeat]) for repeat in own if repeat in others]
    differences: list[float] = []
    moved: list[FloatArray] = []
    for first, second in pairs:
        both = drawn.get((first.name, student)), drawn.get((second.name, student))
        if both[0] is None or both[1] is None or not both[0].image_ids.equals(both[1].image_ids):
            values = first.rows[student].get("srcc"), second.rows[student].get("srcc")
            if values[0] is not None and values[1] is not None:
                differences.append(values[0] - values[1])
            continue
        differences.append(both[0].value - both[1].value)
        moved.append(both[0].moved - both[1].moved)
    if not differences:
        return Worth(None, None, None)
    low, high = None, None
    if len(moved) == len(pairs):
        low, high = spans({"srcc": np.mean(moved, axis=0)})["srcc"]
    return Worth(float(np.mean(differences)), low, high)
