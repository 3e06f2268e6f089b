"""Is the store fast at ten million rows?

    python -m benchmarks.store --rows 10000000

Makes a store of so many images, points and pairs in 5,000 shards with made-up answers, then
measures, each in a process of its own: writing against a bare `pyarrow.parquet.write_table`,
making the index from nothing, confidence histograms, planning what is missing, compaction.
Rates are of this machine; the ratio of the writers is measured in one run, turn by turn.
"""

import argparse
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.record import record
from data_store import queries
from data_store.compact import compact
from data_store.index import query, refresh
from data_store.layout import Store, create_store, open_store
from data_store.shards import commit_rows
from schemas.ids import sha256_text
from schemas.images import IMAGES
from schemas.pairs import PAIRS
from schemas.points import POINTS

USUAL_ROWS = 20_000
"""What `annotate` writes in a shard when the teacher is fast enough."""
FEW_ROWS = 1_334
"""Half of the points lie in shards as small as a slow teacher's, to make 5,000 shards in all."""
TEACHERS = tuple(sorted(sha256_text(f"teacher {n}") for n in range(2)))
PROMPT = sha256_text("prompt")
UNANSWERED = 1_000
HISTOGRAM = """
select teacher_id, least(floor(confidence * 20), 19) / 20 as confidence_from, count(*) as rows
from {view} group by all order by all
"""

Measured = dict[str, tuple[float, str]]


def main() -> None:
    """Build the store, measure it, print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument(
        "--folder", type=Path, help="where to build; a temporary folder if left out"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        folder = Path(scratch)
        for step in STEPS:
            for name, (value, unit) in _in_own_process(step, folder, options.rows).items():
                record("store", name, value, unit)


def _in_own_process(step: Callable[[Path, int], Measured], folder: Path, rows: int) -> Measured:
    # Spawned, so that no step inherits the memory or the caches of the one before.
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(step, (folder, rows))


def _write(folder: Path, rows: int) -> Measured:
    store = create_store(folder / "store")
    bare = folder / "bare"
    bare.mkdir()
    ids = _ids(rows)
    seconds: dict[str, list[tuple[float, float]]] = {}
    counts: Counter[str] = Counter()
    for number, (table, teacher_id, made) in enumerate(_tables(ids)):
        turns = [
            partial(commit_rows, store, table, made, producer="benchmark", teacher_id=teacher_id),
            partial(pq.write_table, made, bare / f"{number}.parquet", compression="zstd"),
        ]
        # Turn by turn, and each first as often as second: the disk is never the same twice.
        order = (0, 1) if number % 2 else (1, 0)
        spent = {turn: _timed(turns[turn]) for turn in order}
        (bare / f"{number}.parquet").unlink()
        kind = table if made.num_rows > FEW_ROWS else f"{table}_few_rows"
        seconds.setdefault(kind, []).append((spent[0], spent[1]))
        counts[kind] += made.num_rows
    figures: Measured = {}
    for kind, spent_on in seconds.items():
        ours, theirs = (sum(column) for column in zip(*spent_on, strict=True))
        figures[f"{kind}_write_rate"] = (counts[kind] / ours, "row/s")
        figures[f"{kind}_write_rate_ratio_to_bare_write_table"] = (theirs / ours, "ratio")
    return figures | _sizes(store, "")


def _sizes(store: Store, suffix: str) -> Measured:
    found = query(
        store,
        "select table_name, sum(file_bytes) / sum(row_count) as size from shards group by all",
    )
    return {
        f"{row['table_name']}_size{suffix}": (row["size"], "byte/row") for row in found.to_pylist()
    }


def _rebuild(folder: Path, _rows: int) -> Measured:
    store = open_store(folder / "store")
    store.index_path.unlink(missing_ok=True)
    seconds = _timed(lambda: refresh(store))
    return {
        "index_rebuild": (seconds, "s"),
        "index_rebuild_shards": (float(len(store.shards())), "shards"),
        "index_rebuild_peak_memory": (_peak_gb(), "GB"),
        "index_size": (store.index_path.stat().st_size / 1e6, "MB"),
    }


def _one_new_shard(folder: Path, rows: int) -> Measured:
    store = open_store(folder / "store")
    teacher_id = TEACHERS[1]
    new = _points(_ids(rows + 1).slice(rows), teacher_id, np.random.default_rng(2))
    commit_rows(store, "points", new, producer="benchmark", teacher_id=teacher_id)
    seconds = _timed(lambda: refresh(store))
    return {"index_refresh_after_one_new_shard": (seconds, "s")}


def _histograms(folder: Path, _rows: int) -> Measured:
    return _histogram_figures(folder, "")


def _histograms_of_few_shards(folder: Path, _rows: int) -> Measured:
    figures = _histogram_figures(folder, "_compacted")
    return figures | _sizes(open_store(folder / "store"), "_compacted")


def _histogram_figures(folder: Path, suffix: str) -> Measured:
    store = open_store(folder / "store")
    figures: Measured = {}
    for view in ("points", "pairs"):
        sql = HISTOGRAM.format(view=view)
        counted = sum(query(store, sql).column("rows").to_pylist())  # warms the disk's cache
        spent = [_timed(partial(query, store, sql)) for _ in range(5)]
        figures[f"{view}_confidence_histogram{suffix}"] = (statistics.median(spent), "s")
        figures[f"{view}_confidence_histogram{suffix}_rows"] = (float(counted), "rows")
    return figures


def _plan(folder: Path, _rows: int) -> Measured:
    store = open_store(folder / "store")
    started = time.perf_counter()
    missing = queries.images_without_point(store, TEACHERS[0], PROMPT, folder=None)
    seconds = time.perf_counter() - started
    if missing.num_rows != UNANSWERED:
        raise RuntimeError(f"{missing.num_rows} images lack a point, not {UNANSWERED}")
    return {"plan_missing_points": (seconds, "s"), "plan_peak_memory": (_peak_gb(), "GB")}


def _compact(folder: Path, _rows: int) -> Measured:
    store = open_store(folder / "store")
    seconds = _timed(lambda: compact(store))
    return {
        "compact": (seconds, "s"),
        "compact_shards_left": (float(len(store.shards())), "shards"),
        "compact_peak_memory": (_peak_gb(), "GB"),
    }


def _tables(ids: pa.StringArray) -> Iterator[tuple[str, str, pa.Table]]:
    """Every shard to write: table, teacher_id of its folder, rows."""
    rng = np.random.default_rng(0)
    for start, count in _slices(0, len(ids), USUAL_ROWS):
        yield "images", "", _images(ids.slice(start, count), start)
    half, answered = len(ids) // 2, len(ids) - UNANSWERED
    for start, count in (*_slices(0, half, USUAL_ROWS), *_slices(half, answered, FEW_ROWS)):
        yield "points", TEACHERS[0], _points(ids.slice(start, count), TEACHERS[0], rng)
    yield "points", TEACHERS[1], _points(ids.slice(0, UNANSWERED), TEACHERS[1], rng)
    for number, (start, count) in enumerate(_slices(0, len(ids), USUAL_ROWS)):
        teacher_id = TEACHERS[number % 2]
        yield "pairs", teacher_id, _pairs(ids, start, count, teacher_id, rng)


def _slices(start: int, stop: int, size: int) -> list[tuple[int, int]]:
    return [(place, min(size, stop - place)) for place in range(start, stop, size)]


def _ids(count: int) -> pa.StringArray:
    """(count,) made-up hashes."""
    digits = np.random.default_rng(1).bytes(32 * count).hex().encode()
    offsets = np.arange(0, 64 * (count + 1), 64, dtype=np.int32)
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(digits))


def _images(ids: pa.StringArray, start: int) -> pa.Table:
    numbers = range(start, start + len(ids))
    rng = np.random.default_rng(start)
    columns = {
        "image_id": ids,
        "path": [f"/photos/{n // 1000:05d}/{n:08d}.jpg" for n in numbers],
        "name": [f"{n // 1000:05d}/{n:08d}.jpg" for n in numbers],
        "file_bytes": rng.integers(20_000, 4_000_000, len(ids)),
        "width_px": _same(640, len(ids)),
        "height_px": _same(480, len(ids)),
        "format": ["JPEG"] * len(ids),
        "mode": ["RGB"] * len(ids),
        "group_id": ids,
        "grouped_by": ["alone"] * len(ids),
        "perceptual_hash": [rng.bytes(8).hex() for _ in numbers],
        "modified_ns": rng.integers(10**18, 2 * 10**18, len(ids)),
    }
    return pa.table(columns, schema=IMAGES)


def _points(ids: pa.StringArray, teacher_id: str, rng: np.random.Generator) -> pa.Table:
    columns = {
        "image_id": ids,
        "teacher_id": [teacher_id] * len(ids),
        "prompt_id": [PROMPT] * len(ids),
        "level_logprobs": _logprobs(len(ids), 5, rng),
        "given_score": pa.nulls(len(ids), pa.float64()),
        "given_confidence": pa.nulls(len(ids), pa.float64()),
        "prompt_tokens": _same(300, len(ids)),
        "cached_tokens": _same(0, len(ids)),
    }
    return pa.table(columns, schema=POINTS)


def _pairs(
    ids: pa.StringArray, start: int, count: int, teacher_id: str, rng: np.random.Generator
) -> pa.Table:
    first = np.arange(start, start + count)
    second = (first + 7919) % len(ids)
    texts = np.stack(
        [ids.take(pa.array(column)).to_numpy(zero_copy_only=False) for column in (first, second)]
    )
    texts.sort(axis=0)
    columns = {
        "image_a": texts[0],
        "image_b": texts[1],
        "teacher_id": [teacher_id] * count,
        "prompt_id": [PROMPT] * count,
        "letter_logprobs_ab": _logprobs(count, 2, rng),
        "letter_logprobs_ba": _logprobs(count, 2, rng),
        "given_preference": pa.nulls(count, pa.float64()),
        "prompt_tokens": _same(600, count),
        "cached_tokens": _same(300, count),
    }
    return pa.table(columns, schema=PAIRS)


def _same(value: int, count: int) -> np.ndarray:
    return np.full(count, value, np.int32)


def _logprobs(count: int, labels: int, rng: np.random.Generator) -> pa.FixedSizeListArray:
    """(count, labels) log-probabilities of about .98 of the mass."""
    logits = 2 * rng.standard_normal((count, labels))
    logprobs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)) - 0.02
    values = pa.array(logprobs.astype(np.float32).ravel())
    return pa.FixedSizeListArray.from_arrays(
        values,
        type=POINTS.field("level_logprobs").type
        if labels == 5
        else PAIRS.field("letter_logprobs_ab").type,
    )


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


STEPS = (_write, _rebuild, _histograms, _plan, _one_new_shard, _compact, _histograms_of_few_shards)

if __name__ == "__main__":
    main()
