"""What the answers are worth by people's opinions: arrays in, small tables out."""

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data_store.agreement.correlations import plcc, srcc
from data_store.agreement.group_bootstrap import Interval, draw_groups, resampled, spans
from data_store.agreement.reliability import (
    pair_reliability,
    point_reliability,
    right_by_coverage,
    right_pairs,
)
from data_store.index import Connection
from data_store.report.findings import Rows, Tables

FloatArray = NDArray[np.float64]

COVERAGES = 50
LEAST_PAIRS = 10
"""Fewer make no curve."""
DRAWS = 1000
MOST_DRAWN = 20_000
"""Images; of more, the intervals come from a tenth of the draws, which take as long."""


class _Judged(NamedTuple):
    """One teacher beside one source of opinions."""

    teacher: str
    source: str

    @property
    def named(self) -> dict[str, str]:
        return {"teacher": self.teacher, "source": self.source}


def ask(connection: Connection) -> Tables:
    """Each teacher beside each source of opinions.

    Opinions of two sources are never pooled: their scales mean different things.
    """
    found: dict[str, Rows] = {name: [] for name in _SCHEMAS}
    for teacher, source in connection.sql(_BESIDE).fetchall():
        judged = _Judged(teacher, source)
        found["opinions"].append(
            judged.named
            | _points(connection, judged, found["point_reliability"])
            | _pairs(connection, judged, found)
        )
    tables = {name: pa.Table.from_pylist(found[name], schema=_SCHEMAS[name]) for name in found}
    return tables | {"score_opinion": connection.sql(_SCORE_OPINION).to_arrow_table()}


def _points(connection: Connection, judged: _Judged, bins: Rows) -> dict[str, Any]:
    rows = connection.sql(_RATED_IMAGES, params=judged.named).to_arrow_table()
    score, confidence, mos = (_floats(rows, name) for name in ("score", "confidence", "mos_unit"))
    sure = np.isfinite(confidence)
    reliability = point_reliability(score[sure], confidence[sure], mos[sure])
    bins += [judged.named | one._asdict() for one in reliability.bins if one.n]
    spread = _intervals(score, mos, rows["group_id"].combine_chunks())
    return {
        "images": rows.num_rows,
        "srcc": _defined(srcc(score, mos)) if len(score) else None,
        "srcc_low": spread["srcc"][0],
        "srcc_high": spread["srcc"][1],
        "plcc": _defined(plcc(score, mos)) if len(score) else None,
        "plcc_low": spread["plcc"][0],
        "plcc_high": spread["plcc"][1],
        "rmse": _defined(float(np.sqrt(np.mean((score - mos) ** 2)))) if len(score) else None,
        "bias": _defined(float(np.mean(score - mos))) if len(score) else None,
        "error_srcc": _defined(reliability.error_srcc),
    }


def _pairs(connection: Connection, judged: _Judged, found: dict[str, Rows]) -> dict[str, Any]:
    rows = connection.sql(_RATED_PAIRS, params=judged.named).to_arrow_table()
    prob, confidence, difference = (_floats(rows, name) for name in rows.column_names)
    reliability = pair_reliability(prob, confidence, difference)
    found["pair_reliability"] += [judged.named | one._asdict() for one in reliability.bins if one.n]
    right = right_pairs(prob, difference)
    if len(right) >= LEAST_PAIRS:
        found["coverage"] += _coverage(judged, right, confidence)
    return {"pairs": reliability.n} | {name: getattr(reliability, name) for name in _OF_PAIRS}


def _coverage(judged: _Judged, right: FloatArray, confidence: FloatArray) -> Rows:
    count = len(right)
    last = np.unique(np.ceil(count * np.arange(1, COVERAGES + 1) / COVERAGES).astype(np.int64)) - 1
    curves = {"by confidence": confidence, "best possible": right}
    return [
        judged.named
        | {"order": order, "coverage": (place + 1) / count, "agreement": float(running[place])}
        for order, key in curves.items()
        for running in [right_by_coverage(right, key)]
        for place in last.tolist()
    ]


def _intervals(score: FloatArray, mos: FloatArray, groups: pa.Array) -> dict[str, Interval]:
    wanted = ("srcc", "plcc")
    draws = draw_groups(groups, draws=DRAWS if len(score) <= MOST_DRAWN else DRAWS // 10)
    if draws is None:
        return dict.fromkeys(wanted, (None, None))
    return spans(resampled(score, mos, draws, measures=wanted))


def _floats(rows: pa.Table, column: str) -> FloatArray:
    values: FloatArray = rows[column].cast(pa.float64()).to_numpy()
    return values


def _defined(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)


_OF_PAIRS = ("agreement", "mean_prob", "ece", "coverage_area", "best_coverage_area")
_MEASURES = (
    *("srcc", "srcc_low", "srcc_high", "plcc", "plcc_low", "plcc_high", "rmse", "bias"),
    "error_srcc",
)


def _schema(counts: tuple[str, ...], numbers: tuple[str, ...], **more: pa.DataType) -> pa.Schema:
    texts = {"teacher": pa.string(), "source": pa.string()} | more
    return pa.schema(
        list(texts.items())
        + [(name, pa.int64()) for name in counts]
        + [(name, pa.float64()) for name in numbers]
    )


_BIN = ("confidence_from", "confidence_to", "mean_confidence")
_SCHEMAS = {
    "opinions": _schema(("images", "pairs"), (*_MEASURES, *_OF_PAIRS)),
    "pair_reliability": _schema(("n",), (*_BIN, "mean_prob", "agreement")),
    "point_reliability": _schema(("n",), (*_BIN, "mean_error", "mean_absolute_error", "rmse")),
    "coverage": _schema((), ("coverage", "agreement"), order=pa.string()),
}

_BESIDE = """
select teacher, source from chosen, (select distinct source from opinions) as sources
where teacher in (
    select teacher from image_answers join opinions using (image_id)
    where source = sources.source and score is not null
) or teacher in (
    select teacher from pair_answers
        join opinions as a on a.image_id = image_a and a.source = sources.source
        join opinions as b on b.image_id = image_b and b.source = sources.source
)
order by teacher, source
"""

_RATED_IMAGES = """
select score, confidence, mos_unit, coalesce(group_id, image_id) as group_id
from image_answers join opinions using (image_id) left join images using (image_id)
where teacher = $teacher and source = $source and score is not null
order by image_id
"""

_RATED_PAIRS = """
with own as (select image_id, mos_unit from opinions where source = $source)
select avg(preference_prob) as prob, avg(confidence_mean) as confidence,
    any_value(a.mos_unit) - any_value(b.mos_unit) as difference
from pair_answers
    join own as a on a.image_id = image_a
    join own as b on b.image_id = image_b
where teacher = $teacher
group by image_a, image_b
having any_value(a.mos_unit) <> any_value(b.mos_unit) and confidence is not null
order by image_a, image_b
"""

_SCORE_OPINION = """
select teacher, source, avg(score) as score, avg(mos_unit) as mos,
    quantile_cont(mos_unit, 0.1) as low, quantile_cont(mos_unit, 0.9) as high, count(*) as images
from image_answers join opinions using (image_id)
where score between 0 and 1
group by teacher, source, least(floor(score * 20), 19)
order by teacher, source, score
"""
