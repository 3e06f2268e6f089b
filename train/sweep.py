"""`train sweep`: many runs from one file, each resumable, into one table.

    OUT/cells/<name>/     the runs, as `train run` leaves them
    OUT/cells.json        seconds, shared stages and error of each cell so far
    OUT/errors/<name>.txt the trace of a cell that met a bug
    OUT/sweep.parquet     a row per cell and scorer, written again after every cell

Killed anywhere, the same command goes on: finished cells are read, the one that was being trained
goes on as a run does, cells that failed are tried again.
"""

import json
import os
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from data_store.console import say
from data_store.files import write_atomically
from data_store.layout import Store
from schemas.errors import InputError, LeafError, RunMismatch, TrainingError
from train.results import PREDICTIONS_FILE
from train.run import train_run
from train.run_record import RUN_FILE, record_run
from train.shared_stages import StageShelf, stage_digests
from train.sweep_settings import Cell
from train.sweep_table import CellResult, Row, write_table
from train.training_data import TrainingData, choose_teachers, read_training_data

CELLS = "cells"
CELLS_FILE = "cells.json"
SUMMARY_FILE = "summary.json"
ERRORS = "errors"


class _Past(NamedTuple):
    """What earlier calls noted of a cell."""

    seconds: float = 0.0
    shared: tuple[str, ...] = ()


class Sweep:
    """The cells of one sweep, one after the other."""

    def __init__(self, store: Store, folder: Path, cells: Sequence[Cell]) -> None:
        """Look at what is there.

        Raises:
            RunMismatch: a cell's folder holds another run.
            InputError: no such teacher.
        """
        self._store, self._folder, self._cells = store, folder, cells
        self._data: dict[tuple[str, ...], TrainingData] = {}
        self._shelf = StageShelf()
        self._past = _read_past(folder)
        self._results: dict[str, CellResult] = {}
        for cell in cells:
            data = self.evidence(cell)
            if (self._run(cell) / RUN_FILE).exists():
                self._open(cell, data)
                self._shelf.note(self._run(cell), stage_digests(cell.settings, data))

    def train(self) -> list[CellResult]:
        """Train what is missing; a cell that fails is noted, and the next one follows."""
        left = self.left()
        if len(left) < len(self._cells):
            say(f"{len(self._cells) - len(left)} of {len(self._cells)} cells finished before")
        start = time.monotonic()
        for number, cell in enumerate(left):
            say(_forecast(number, len(left), time.monotonic() - start) + cell.name)
            self._results[cell.name] = self._trained(cell)
            self._write()
        for cell in self._cells:
            if cell.name not in self._results:
                self._results[cell.name] = self._read(cell)
        self._write()
        return [self._results[cell.name] for cell in self._cells]

    def left(self) -> list[Cell]:
        """The cells that are not finished, in the order in which they are trained."""
        return [cell for cell in self._cells if not self._finished(cell)]

    def seconds_of_finished(self) -> list[float]:
        """What each finished cell took, stages taken from another cell left out."""
        done = [cell for cell in self._cells if self._finished(cell)]
        return [self._past[cell.name].seconds for cell in done if cell.name in self._past]

    def evidence(self, cell: Cell) -> TrainingData:
        """What the cell's teachers said; read once for all cells that have the same."""
        if cell.teachers not in self._data:
            teachers = choose_teachers(self._store, cell.teachers)
            self._data[cell.teachers] = read_training_data(self._store, teachers)
        return self._data[cell.teachers]

    def _trained(self, cell: Cell) -> CellResult:
        start, past = time.monotonic(), self._past.get(cell.name, _Past())
        run, data = self._run(cell), self.evidence(cell)
        digests, error = stage_digests(cell.settings, data), None
        try:
            self._open(cell, data)
            shared = tuple(dict.fromkeys([*past.shared, *self._shelf.fill(run, digests)]))
            past = self._past[cell.name] = past._replace(shared=shared)
            self._write_notes()
            train_run(self._store, run, cell.settings, teacher=data.teacher_ids)
            self._trace(cell).unlink(missing_ok=True)
        except LeafError as failure:
            error = failure.what
            say(f"failed: {failure}")
        except Exception as failure:  # a bug in one cell must not lose the others
            error = f"{type(failure).__name__}: {failure}"
            write_atomically(self._trace(cell), traceback.format_exc().encode())
            say(f"failed: {error}; its trace is in {self._trace(cell)}")
        finally:  # also when it is stopped: the time was spent
            seconds = past.seconds + time.monotonic() - start
            self._past[cell.name] = past._replace(seconds=round(seconds, 3))
            self._write_notes()
        self._shelf.note(run, digests)
        return self._read(cell, error)

    def _open(self, cell: Cell, data: TrainingData) -> None:
        """Make the cell's folder its run's, so that stages can be put into it."""
        try:
            record_run(self._run(cell), cell.settings, self._store, data)
        except RunMismatch as error:
            raise RunMismatch(
                error.what,
                where=error.where,
                fix="give a new folder with --out, or go back to the settings and store of this"
                " sweep",
            ) from error

    def _read(self, cell: Cell, error: str | None = None) -> CellResult:
        past, run = self._past.get(cell.name, _Past()), self._run(cell)
        run_id, measured = None, list[Row]()
        if (run / RUN_FILE).exists():
            run_id = json.loads((run / RUN_FILE).read_text(encoding="utf-8"))["run_id"]
        if error is None:
            measured = json.loads((run / SUMMARY_FILE).read_text(encoding="utf-8"))
        return CellResult(cell, run_id, measured, error, past.seconds, past.shared)

    def _finished(self, cell: Cell) -> bool:
        run = self._run(cell)  # the summary is what a run writes last
        return (run / SUMMARY_FILE).exists() and (run / PREDICTIONS_FILE).exists()

    def _run(self, cell: Cell) -> Path:
        return self._folder / CELLS / cell.name

    def _trace(self, cell: Cell) -> Path:
        return self._folder / ERRORS / f"{cell.name}.txt"

    def _write_notes(self) -> None:
        notes: dict[str, Any] = {name: past._asdict() for name, past in self._past.items()}
        for name, result in self._results.items():
            notes.setdefault(name, _Past()._asdict())
            notes[name] |= {"error": result.error, "changes": result.cell.changes}
        write_atomically(self._folder / CELLS_FILE, json.dumps(notes, indent=2).encode())

    def _write(self) -> None:
        """The notes first: a table without them would lose the seconds."""
        self._write_notes()
        done = [self._results[c.name] for c in self._cells if c.name in self._results]
        write_table(self._folder, done)


def sweep(store: Store, folder: Path, cells: Sequence[Cell]) -> list[CellResult]:
    """Train all cells, and leave OUT/sweep.parquet.

    Args:
        store: with the teachers' answers and the MOS.
        folder: of the sweep, new or of the same sweep; cells may have been added to its file.
        cells: in the order in which to train them.

    Returns:
        One result per cell; `require_no_failure` turns failed ones into an error.

    Raises:
        RunMismatch: a cell's folder holds another run; nothing was trained.
        InputError: under torchrun; or there is no such teacher.
    """
    require_one_process()
    return Sweep(store, folder, cells).train()


def require_one_process() -> None:
    """Refuse torchrun. Raises InputError."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError(
            "a sweep is one process",
            where="torchrun",
            fix="start `train sweep` without torchrun, or train single runs with it",
        )


def require_no_failure(results: Sequence[CellResult], folder: Path) -> None:
    """Turn failed cells into an error, after the table was written.

    Raises:
        TrainingError: naming them.
    """
    failed = [result for result in results if result.error is not None]
    if failed:
        names = "; ".join(f"{result.cell.name}: {result.error}" for result in failed[:5])
        more = f"; and {len(failed) - 5} more" if len(failed) > 5 else ""
        raise TrainingError(
            f"{len(failed)} of {len(results)} cells failed: {names}{more}",
            where=folder,
            fix="their rows in the table hold the errors; mend the cause and run the same command"
            " again: only they are trained anew",
        )


def _read_past(folder: Path) -> dict[str, _Past]:
    try:
        notes: Mapping[str, Any] = json.loads((folder / CELLS_FILE).read_text(encoding="utf-8"))
        return {n: _Past(note["seconds"], tuple(note["shared"])) for n, note in notes.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"the notes of the sweep cannot be read: {error!r}",
            where=folder / CELLS_FILE,
            fix="delete that file: what the cells were trained for is in their own folders",
        ) from error


def _forecast(number: int, count: int, seconds: float) -> str:
    """How far a sweep is, and how long the rest takes if it goes on like this."""
    done = f"cell {number + 1} of {count}"
    if not number:
        return f"{done}: "
    left = seconds / number * (count - number)
    return f"{done}, {seconds / 60:.1f} min done, about {left / 60:.1f} min left: "
