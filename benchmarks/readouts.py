"""What is each readout of the same teacher worth, at each number of labels?

    LEAF_SHARED=... python -m benchmarks.readouts --demo demo/store [--folder WORK]

The tiny teacher on two stores: the demo's (`make demo` makes it; KNOWN quality, not opinion) and
3,000 photographs of BIQ2021 with MOS. Of each image the store has the five level probabilities
and the hidden state; from these, on the same 5 splits by group and the same labels,

    expectation    (i)    the level expectation, to which nothing is fitted
    ridge_levels   (ii)   ridge regression on the five log-probabilities
    ridge_state    (iii)  ridge regression on the hidden state
    mlp_state      (iii)  an MLP on the hidden state
    q_scorer       (iv)   LoRA, K = 5 score tokens and an MLP, trained together

at 1, 10, 30 and 100 % of the labels. SRCC, raw PLCC and RMSE on the held-out groups, medians over
the splits; all scores clipped to [0, 1]. With --folder it goes on where it was stopped.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from annotate.embed import annotate_states
from annotate.prompts import Prompt, shipped_prompt
from annotate.readouts.fit import EXPECTATION, FitRequest, fit_readout
from annotate.readouts.labels import LabelChoice
from annotate.readouts.readout import Kind
from annotate.run import annotate_points
from annotate.teachers.teacher import Teacher, find_teacher
from benchmarks.label_store import filled_store
from benchmarks.record import record
from data_store.console import print_table, say
from data_store.files import write_atomically
from data_store.layout import Store, open_store
from schemas.errors import LeafError

SPLITS = range(5)
FITTED: tuple[Kind, ...] = ("ridge_levels", "ridge_state", "mlp_state")
TUNED = "q_scorer"
READOUTS: tuple[str, ...] = (EXPECTATION, *FITTED, TUNED)
MEASURES = ("srcc", "plcc", "rmse", "bias")
EPOCHS = {0.01: 30, 0.1: 15, 0.3: 8, 1.0: 4}
"""Of the tuning, by share of the labels: fixed beforehand; few labels are seen more often."""
RATE = 1e-3
"""Of the tuning. Chosen on held-out figures of one split of 1,000 of the photographs, on which the
default for large models, 2e-4, was too low (docs/experiments.md)."""
WANTED_GAIN = 0.05
"""In raw PLCC at all labels, of the hidden state's readouts over the level expectation."""

Row = dict[str, Any]


def main() -> None:
    """Measure both stores, print tables and figures, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demo", type=Path, help="the demo's store; it is copied, not changed")
    parser.add_argument("--folder", type=Path, help="keeps what was done, to go on")
    parser.add_argument("--splits", type=int, default=len(SPLITS), help="the first so many")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        for name, store in _stores(options.demo, folder):
            teacher, prompt = find_teacher("tiny", engine="transformers"), shipped_prompt("point")
            annotate_points(store, teacher, [prompt])
            annotate_states(store, teacher, prompt)
            rows: list[Row] = []
            for split in SPLITS[: options.splits]:
                rows += _split(folder / name, store, teacher, prompt, split)
            _report(name, rows)


def _stores(demo: Path | None, folder: Path) -> Iterator[tuple[str, Store]]:
    if demo is not None:
        copy = folder / "demo" / "store"
        if not copy.exists():
            shutil.copytree(demo, copy)
        yield "demo", open_store(str(copy))
    photos = Path(os.environ.get("LEAF_SHARED", "../shared")) / "data" / "biq2021"
    if not photos.is_dir():
        say(f"there are no photographs at {photos}; set LEAF_SHARED to the folder that holds data/")
        sys.exit(2)
    yield "biq2021", filled_store(folder / "biq2021", photos)


def _split(folder: Path, store: Store, teacher: Teacher, prompt: Prompt, split: int) -> list[Row]:
    """All readouts on one split; what an earlier call measured is not measured again."""
    kept = folder / f"split_{split}.json"
    if kept.exists():
        rows: list[Row] = json.loads(kept.read_text(encoding="utf-8"))
        return rows
    start = time.monotonic()
    rows = [*_fitted(store, teacher, split), *_tuned(folder, store, teacher, prompt, split)]
    write_atomically(kept, json.dumps(rows).encode())
    say(f"{folder.name}, split {split}: {time.monotonic() - start:.0f} s")
    return rows


def _fitted(store: Store, teacher: Teacher, split: int) -> Iterator[Row]:
    for fraction in EPOCHS:
        labels = LabelChoice(fraction, seed=split, split_seed=split)
        for kind in FITTED:
            request = FitRequest(kind, labels, teacher=teacher.teacher_id)
            try:
                measured = fit_readout(store, request).measured
            except LeafError as error:
                say(f"{kind} at {fraction:.0%}: {error.what}")
                continue
            for one in measured:
                # The expectation is shown beside every readout; once is enough.
                if one.readout == kind or kind == FITTED[0]:
                    yield asdict(one) | {"fraction": fraction, "split": split}


def _tuned(
    folder: Path, store: Store, teacher: Teacher, prompt: Prompt, split: int
) -> Iterator[Row]:
    from annotate.tuning.settings import TuneSettings
    from annotate.tuning.tune import look, tune

    if store.address not in _LOOKED_AT:
        limit = TuneSettings().feature_bytes
        _LOOKED_AT[store.address] = look(teacher, prompt, limit_bytes=limit)
    pictures = _LOOKED_AT[store.address]
    for fraction, epochs in EPOCHS.items():
        settings = TuneSettings(
            label_fraction=fraction,
            epochs=epochs,
            learning_rate=RATE,
            seed=split,
            split_seed=split,
        )
        goal = folder / "tuned" / f"{split}_{100 * fraction:g}"
        start = time.monotonic()
        done = tune(store, teacher, prompt, goal, settings, pictures=pictures)
        took_s = time.monotonic() - start
        shutil.rmtree(goal)  # 20 checkpoints of it are of no use
        yield {
            "readout": TUNED,
            "n": done.held_out,
            **done.measures,
            "fraction": fraction,
            "split": split,
            "seconds": took_s,
        }


_LOOKED_AT: dict[str, Any] = {}
"""Pictures as the frozen tower sees them, by store: the same for every tuning."""


def _report(dataset: str, rows: list[Row]) -> None:
    found: dict[tuple[str, float], list[Row]] = defaultdict(list)
    for row in rows:
        found[row["readout"], row["fraction"]].append(row)
    table = []
    for readout in READOUTS:
        for fraction in EPOCHS:
            of = found.get((readout, fraction), [])
            if not of:
                table.append([readout, f"{fraction:.0%}", *["-"] * len(MEASURES)])
                continue
            cells = [readout, f"{fraction:.0%}"]
            for measure in MEASURES:
                values = [row[measure] for row in of]
                middle = statistics.median(values)
                name = f"{dataset}_{readout}_{100 * fraction:g}_{measure}"
                record("readouts", name, middle, measure.upper())
                cells.append(f"{middle:.3f} ({min(values):.3f} to {max(values):.3f})")
            table.append(cells)
    base = statistics.median(row["plcc"] for row in found[EXPECTATION, 1.0])
    for readout in READOUTS[1:]:
        if of := found[readout, 1.0]:
            gain = statistics.median(row["plcc"] for row in of) - base
            record("readouts", f"{dataset}_{readout}_100_plcc_gain", gain, "PLCC")
    title = f"{dataset}: median (least to most) of {len({r['split'] for r in rows})} splits"
    print_table(title, ("readout", "labels", *MEASURES), table)
    say(f"wanted: {WANTED_GAIN:+} in raw PLCC over the expectation at all labels")


if __name__ == "__main__":
    main()
