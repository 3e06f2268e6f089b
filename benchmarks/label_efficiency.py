"""How few labels are enough? LEAF beside ridge regression and CFT-only, on real photographs.

    python -m benchmarks.label_efficiency --photos FOLDER --weights FILE [--folder WORK]

BIQ2021's third subset (3,000 photographs with MOS), a MobileNetV2 of ImageNet whose features at
288 px are computed once (mean and deviation of each channel), 5 splits by group with a fifth of
the groups held out, nested label fractions that all methods share. Trained depth: the score
head. Two teachers: the tiny teacher through vLLM, and a SIMULATED one (simulated_evidence.py),
another draw of it in each split.

Prints and keeps figures and writes results/label_efficiency.svg. With --folder it goes on where
it was stopped.
"""

import argparse
import json
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.curve_plot import write_curves
from benchmarks.label_store import (
    SPLITS,
    ask_tiny,
    filled_store,
    frozen_features,
    frozen_student,
    import_simulated,
    teachers_of,
)
from benchmarks.label_study import (
    FRACTIONS,
    RUNGS,
    SELECTED_FRACTION,
    Row,
    Split,
    baselines,
    label_free,
    selections,
    students,
)
from benchmarks.record import RESULTS, record
from data_store.console import say
from data_store.files import write_atomically
from data_store.layout import Store
from train.evaluation.label_curve import Measured, label_curves, labels_needed
from train.features import FrozenFeatures
from train.settings import StudentSettings
from train.training_data import read_training_data

MEASURES = ("srcc", "plcc", "rmse", "bias")
BASELINES = ("ridge", "cft_only")
LADDER_FRACTION = 0.1
"""Where single rungs are recorded too."""
PLOTTED = ("leaf", *BASELINES)


def main() -> None:
    """Prepare what is missing, study what is missing, print and keep all figures."""
    shared = Path(os.environ.get("LEAF_SHARED", "../shared"))
    weights = shared / "weights" / "mobilenetv2_100_imagenet1001.safetensors"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, default=shared / "data" / "biq2021")
    parser.add_argument("--weights", type=Path, default=weights)
    parser.add_argument("--folder", type=Path, help="keeps store, features and finished parts")
    parser.add_argument("--splits", type=int, default=len(SPLITS))
    parser.add_argument("--only", choices=("tiny", "simulated"))
    options = parser.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        store = filled_store(folder, options.photos)
        student = frozen_student(options.weights)
        features = frozen_features(folder, store, student)
        kinds = [options.only] if options.only else ["simulated", "tiny"]
        splits = SPLITS[: options.splits]
        rows = {
            kind: list(_studied(folder, store, features, student, kind, splits)) for kind in kinds
        }
    for kind, found in rows.items():
        _report(kind, found)
    write_curves(RESULTS / "label_efficiency.svg", {k: _points(v) for k, v in rows.items()})
    record("label_efficiency", "seconds", time.monotonic() - start, "s")


def _studied(
    folder: Path,
    store: Store,
    features: FrozenFeatures,
    student: StudentSettings,
    kind: str,
    splits: Iterable[int],
) -> Iterator[Row]:
    """All rows of a teacher, split by split; finished splits are read."""
    if kind == "tiny":
        ask_tiny(folder, store)
    else:
        import_simulated(folder, store, features)
    for seed in splits:
        split = Split(
            read_training_data(store, teachers_of(store, kind, seed)), features, student, seed
        )
        yield from _part(folder / f"baselines_{seed}.json", partial(baselines, split))
        yield from _part(folder / f"{kind}_{seed}.json", partial(_leaf, split))


def _leaf(split: Split) -> Iterator[Row]:
    distilled = label_free(split)
    yield from students(split, distilled)
    yield from selections(split, distilled)


def _part(path: Path, study: Callable[[], Iterable[Row]]) -> list[Row]:
    """A finished part as it was kept, or the study's rows, which are kept."""
    if not path.exists():
        start = time.monotonic()
        rows = [row._asdict() for row in study()]
        write_atomically(path, json.dumps(rows).encode())
        say(f"{path.stem}: {time.monotonic() - start:.0f} s")
    return [Row(**row) for row in json.loads(path.read_text(encoding="utf-8"))]


def _points(rows: list[Row]) -> dict[str, list[tuple[float, list[float]]]]:
    """Of the plotted methods SRCC by share of labels, one per split."""
    found: dict[str, dict[float, list[float]]] = {name: defaultdict(list) for name in PLOTTED}
    for row in rows:
        if row.method in found:
            found[row.method][row.fraction].append(row.srcc)
    return {name: sorted(curve.items()) for name, curve in found.items()}


def _report(kind: str, rows: list[Row]) -> None:
    for measure in MEASURES:
        curves = label_curves(
            Measured(row.method, row.fraction, 0, getattr(row, measure)) for row in rows
        )
        for point in curves:
            rung = point.method.startswith("rung ")
            if rung and point.fraction != LADDER_FRACTION:
                continue
            name = f"{measure}_{kind}_{point.method.replace(' ', '_')}_{100 * point.fraction:g}"
            for statistic in ("median",) if rung else ("median", "mean", "sd"):
                value = getattr(point, statistic)
                if value is not None:
                    record("label_efficiency", f"{name}_{statistic}", value, measure.upper())
        if measure == "srcc":
            curves_of = [point for point in curves if point.method in PLOTTED]
            for needed in labels_needed(curves_of):
                if needed.fraction is not None:
                    name = f"labels_for_95_percent_{kind}_{needed.method}"
                    record("label_efficiency", name, needed.fraction, "share of labels")
    _report_targets(kind, rows)


def _report_targets(kind: str, rows: list[Row]) -> None:
    """The figures that issue 5 asks for, as medians over the splits."""

    def median(measure: str, method: str, fraction: float) -> float:
        values = [getattr(r, measure) for r in rows if (r.method, r.fraction) == (method, fraction)]
        return float(np.median(values))

    for fraction in FRACTIONS:
        better = max(median("srcc", name, fraction) for name in BASELINES)
        gain = median("srcc", "leaf", fraction) - better
        name = f"gain_{kind}_{100 * fraction:g}"
        record("label_efficiency", name, gain, "SRCC over the better baseline")
        single = ["ridge", *(f"rung {rung}" for rung in RUNGS if rung != "ridge")]
        least = min(median("rmse", method, fraction) for method in single)
        excess = median("rmse", "leaf", fraction) - least
        name = f"ladder_excess_{kind}_{100 * fraction:g}"
        record("label_efficiency", name, excess, "RMSE over the best single rung")
    at = SELECTED_FRACTION
    chosen = {r.method for r in rows if r.method.startswith("select ")} - {"select random"}
    for method in sorted(chosen):
        gain = median("srcc", method, at) - median("srcc", "select random", at)
        name = f"gain_{kind}_{method.replace(' ', '_')}_{100 * at:g}"
        record("label_efficiency", name, gain, "SRCC over random")


if __name__ == "__main__":
    main()
