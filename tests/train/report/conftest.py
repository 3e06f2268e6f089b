"""Small runs for reports: trained once for all tests, and copied where a test changes them."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from train.run import train_run

QUICK = ("distil.epochs=3", "cft_only.epochs=2", "calibrate.epochs=2")
RUNGS = 'ladder.rungs=["none", "shift_and_scale", "isotonic"]'


@pytest.fixture(scope="session")
def reported(tmp_path_factory, simulated_store, settings) -> Path:
    """A run with labels and a ladder of closed forms."""
    folder = tmp_path_factory.mktemp("reported") / "calibrated"
    train_run(simulated_store, folder, settings(*QUICK, RUNGS))
    return folder


@pytest.fixture(scope="session")
def unlabelled(tmp_path_factory, simulated_store, settings) -> Path:
    """A run on the same images with another seed, that used no label."""
    folder = tmp_path_factory.mktemp("reported") / "unlabelled"
    train_run(simulated_store, folder, settings(*QUICK, "label_fractions=[]", "seed=1"))
    return folder


@pytest.fixture
def without_store(reported, tmp_path) -> Path:
    """A copy of the run, whose store is no longer where it was."""
    folder = copied(reported, tmp_path / "moved")
    path = folder / "run.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(record | {"store": str(tmp_path / "gone")}), encoding="utf-8")
    return folder


def copied(run: Path, folder: Path) -> Path:
    """A copy of a run that a test may change."""
    shutil.copytree(run, folder)
    return folder


@pytest.fixture(scope="session")
def sweep_folder(tmp_path_factory, reported, unlabelled) -> Path:
    """A sweep of three cells, of which one failed; its runs are those above."""
    folder = tmp_path_factory.mktemp("sweep") / "choices"
    shared = {"seed": 0, "error": None, "seconds": 2.0, "shared_stages": 0}
    rows = []
    for case, run in (("with_labels", reported), ("without_labels", unlabelled)):
        copied(run, folder / "cells" / case)
        measured = json.loads((run / "summary.json").read_text(encoding="utf-8"))
        told = {"cell": case, "case": case, "distil.epochs": 3}
        rows += [{**told, **shared, **row, "run_id": case} for row in measured]
    lost = dict.fromkeys(rows[0]) | shared | {"cell": "lost", "case": "lost", "error": "too few"}
    order = ["cell", "case", "distil.epochs", "seed", "name"]
    columns = [*order, *(key for key in rows[0] if key not in order)]
    table = {name: [row[name] for row in [*rows, lost]] for name in columns}
    pq.write_table(pa.table(table), folder / "sweep.parquet")
    return folder
