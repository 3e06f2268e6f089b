"""What do 10 % of the opinions do to the published answers of real models?

    LEAF_SHARED=... python -m benchmarks.outside_calibration

Imports Q-Bench's good/poor logits of three models on two data sets as a user would
(`annotate import`), then, ten times, takes a random tenth of the opinions, fits each calibration
to it, and judges it on the other nine tenths. Prints and keeps mean and standard deviation over
the draws of PLCC (never after a fit to what it is judged by), SRCC, RMSE, bias and its size, on
the [0, 1] scale, and one table per data set. Under a minute.

Calibrations: `none`; of the score, keeping its order, `shift_and_scale`, `logistic` (the rising
4-parameter curve of METHOD.md 5), `logistic_rung` (the same as the ladder takes it: a straight line
where the scores see only a part of the curve) and `isotonic`; `ridge_levels`, ridge regression on
the log-probabilities of good and poor, all that the store holds; `ridge_logits`, on the two logits
of the file. A softmax over two levels knows their difference alone, the logits also their height.
"""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from annotate.importing.column_map import Values, column_map
from annotate.importing.request import ImportRequest
from annotate.importing.story import import_judgements
from benchmarks.record import record
from data_store.console import print_table, say
from data_store.index import query
from data_store.layout import Store, open_store
from schemas.ids import sha256_text
from train.calibration.fit_mapping import fit_isotonic, fit_linear, fit_logistic
from train.calibration.ridge import fit_ridge
from train.evaluation.logistic import fit_rising_curve
from train.evaluation.metrics import plcc, srcc

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Scores = Callable[["Evidence", IntArray], FloatArray]

FILES = {"koniq10k": ("koniq.csv", (1.0, 5.0)), "agiqa3k": ("agi.csv", (0.0, 5.0))}
"""Data set: file, and the scale of its opinions."""
LABELLED = 0.1
DRAWS = 10
MEASURES = ("plcc", "srcc", "rmse", "bias", "bias_size")


class Evidence(NamedTuple):
    """One model on one data set."""

    dataset: str
    model: str
    scores: FloatArray
    """(N,) in [0, 1]."""
    levels: FloatArray
    """(N, 2) log-probabilities of good and poor."""
    logits: FloatArray
    """(N, 2) of good and poor, as published."""
    mos: FloatArray
    """(N,) in [0, 1]."""


def main() -> None:
    """Print and keep all figures."""
    folder = Path(os.environ.get("LEAF_SHARED", Path(__file__).parents[2] / "shared"))
    files = folder / "data" / "qbench"
    if not files.is_dir():
        say(f"there are no files at {files}; set LEAF_SHARED to the folder that holds data/")
        sys.exit(2)
    rows: dict[str, list[list[object]]] = {dataset: [] for dataset in FILES}
    with tempfile.TemporaryDirectory() as scratch:
        for evidence in imported(files, Path(scratch) / "store"):
            for name, scores in CALIBRATIONS.items():
                found = judged(evidence, scores)
                cells = _recorded(f"{evidence.dataset}_{evidence.model}_{name}", found)
                rows[evidence.dataset].append([evidence.model, name, *cells])
            _record_straight_lines(evidence)
    for dataset, table in rows.items():
        title = f"{dataset}: mean ± sd of {DRAWS} draws of {LABELLED:.0%} of the opinions"
        print_table(title, ("model", "calibration", *MEASURES), table)


def imported(files: Path, store: Path) -> Iterator[Evidence]:
    """Import the files, then read back what the store says of each model."""
    columns = column_map(
        ("image=image", "good=logit_good", "poor=logit_poor", "mos=mos"), Values.LOGITS
    )
    for dataset, (name, scale) in FILES.items():
        path = files / name
        done = import_judgements(
            str(store),
            ImportRequest(
                (path,),
                columns,
                teacher_column="model",
                without_images=True,
                dataset=dataset,
                mos_scale=scale,
            ),
        )
        for model, teacher_id in sorted(done.teachers.items()):
            yield _read_back(open_store(str(store)), dataset, (model, teacher_id), path)


def _read_back(store: Store, dataset: str, teacher: tuple[str, str], path: Path) -> Evidence:
    stored = query(
        store,
        """
        select image_id, score, level_logprobs[4] as good, level_logprobs[2] as poor, mos_unit
        from points join mos using (image_id)
        where teacher_id = $teacher and source = $source order by image_id
        """,
        {"teacher": teacher[1], "source": dataset},
    )
    published = pa_csv.read_csv(path)
    published = published.filter(pc.equal(published["model"], teacher[0]))
    ids = [sha256_text(f"{dataset}/{name}") for name in published["image"].to_pylist()]
    order = pc.index_in(stored["image_id"].combine_chunks(), value_set=pa.array(ids))
    return Evidence(
        dataset,
        teacher[0],
        stored["score"].to_numpy(),
        np.stack([stored[name].to_numpy().astype(np.float64) for name in ("good", "poor")], 1),
        np.stack(
            [
                published[name].take(order).to_numpy().astype(np.float64)
                for name in ("logit_good", "logit_poor")
            ],
            1,
        ),
        stored["mos_unit"].to_numpy(),
    )


def draws(count: int) -> Iterator[tuple[IntArray, IntArray]]:
    """The labelled rows and all others, draw by draw; the same for every calibration."""
    for draw in range(DRAWS):
        order = np.random.default_rng(draw).permutation(count)
        yield order[: round(LABELLED * count)], order[round(LABELLED * count) :]


def judged(evidence: Evidence, scores: Scores) -> FloatArray:
    """(DRAWS, measures) of one calibration, on the images that were not labelled."""
    found = []
    for labelled, others in draws(len(evidence.mos)):
        given, mos = scores(evidence, labelled)[others], evidence.mos[others]
        bias = float((given - mos).mean())
        rmse = float(np.sqrt(((given - mos) ** 2).mean()))
        found.append([plcc(given, mos), srcc(given, mos), rmse, bias, abs(bias)])
    return np.array(found)


def _raw(evidence: Evidence, _labelled: IntArray) -> FloatArray:
    return evidence.scores


def _shift_and_scale(evidence: Evidence, labelled: IntArray) -> FloatArray:
    return fit_linear(evidence.scores[labelled], evidence.mos[labelled])(evidence.scores)


def _logistic(evidence: Evidence, labelled: IntArray) -> FloatArray:
    curve = fit_rising_curve(evidence.scores[labelled], evidence.mos[labelled], parameters=4)
    return _shift_and_scale(evidence, labelled) if curve is None else curve(evidence.scores)


def _logistic_rung(evidence: Evidence, labelled: IntArray) -> FloatArray:
    return fit_logistic(evidence.scores[labelled], evidence.mos[labelled])(evidence.scores)


def _isotonic(evidence: Evidence, labelled: IntArray) -> FloatArray:
    return fit_isotonic(evidence.scores[labelled], evidence.mos[labelled])(evidence.scores)


def _ridge_levels(evidence: Evidence, labelled: IntArray) -> FloatArray:
    return _ridge(evidence, evidence.levels, labelled)


def _ridge_logits(evidence: Evidence, labelled: IntArray) -> FloatArray:
    return _ridge(evidence, evidence.logits, labelled)


def _ridge(evidence: Evidence, features: FloatArray, labelled: IntArray) -> FloatArray:
    found = fit_ridge(features[labelled], evidence.mos[labelled])
    return found(features, evidence.scores)


CALIBRATIONS: dict[str, Scores] = {
    "none": _raw,
    "shift_and_scale": _shift_and_scale,
    "logistic": _logistic,
    "logistic_rung": _logistic_rung,
    "isotonic": _isotonic,
    "ridge_levels": _ridge_levels,
    "ridge_logits": _ridge_logits,
}


def _recorded(name: str, found: FloatArray) -> list[str]:
    means, deviations = found.mean(axis=0), found.std(axis=0, ddof=1)
    for measure, mean, sd in zip(MEASURES, means, deviations, strict=True):
        unit = "correlation" if measure in ("plcc", "srcc") else "of the [0, 1] scale"
        record("outside_calibration", f"{name}_{measure}_mean", float(mean), unit)
        record("outside_calibration", f"{name}_{measure}_sd", float(sd), unit)
    return [f"{mean:.4f} ± {sd:.4f}" for mean, sd in zip(means, deviations, strict=True)]


def _record_straight_lines(evidence: Evidence) -> None:
    """How often a logistic had to be a straight line."""
    failed = {"logistic": 0, "logistic_rung": 0}
    for labelled, _ in draws(len(evidence.mos)):
        scores, mos = evidence.scores[labelled], evidence.mos[labelled]
        failed["logistic"] += fit_rising_curve(scores, mos, parameters=4) is None
        failed["logistic_rung"] += fit_logistic(scores, mos).kind != "logistic"
    for name, count in failed.items():
        full_name = f"{evidence.dataset}_{evidence.model}_{name}_straight_lines"
        record("outside_calibration", full_name, count, f"of {DRAWS} draws")


if __name__ == "__main__":
    main()
