"""How long does the page of a large store take, and how large is it?

    python -m benchmarks.report --images 100000

Makes a store of so many images with opinions, points of two teachers (one of them with two
prompts), as many pairs and some rejections, all made up; few picture files stand for all images.
Then `store report` runs in a process of its own, on a store whose index is fresh, and once more
with the plots as files.
"""

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from benchmarks.record import record
from data_store.index import refresh
from data_store.layout import Store, create_store, open_store
from data_store.report.report import write_report
from data_store.shards import commit_rows
from schemas.ids import sha256_text
from schemas.images import IMAGES
from schemas.mos import MOS
from schemas.pairs import PAIRS
from schemas.points import POINTS
from schemas.rejections import REJECTIONS
from schemas.teacher_spec import TeacherSpec

FloatArray = NDArray[np.float64]
Measured = dict[str, tuple[float, str]]

SHARD_ROWS = 20_000
FILES = 60
FILE_PX = (1600, 1200)
GROUP_SIZE = 4
PROMPTS = tuple(sha256_text(f"prompt {n}") for n in range(3))


def main() -> None:
    """Build the store, write its page, print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="keep the store and the page here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        for step in (_build, _page, _page_and_plots):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                measured: Measured = pool.apply(step, (folder, options.images))
            for name, (value, unit) in measured.items():
                record("report", name, value, unit)


def build_store(folder: Path, image_count: int, *, shard_rows: int = SHARD_ROWS) -> Store:
    """Make the store of this benchmark in `folder/store`, with its pictures beside it."""
    store = create_store(folder / "store")
    rng = np.random.default_rng(0)
    ids = pa.array([sha256_text(f"image {n}") for n in range(image_count)])
    quality = rng.random(image_count)
    paths = _pictures(folder / "pictures", rng)
    teachers = [_teacher(name) for name in ("made-up 8B", "made-up 2B")]
    for teacher in teachers:
        store.write_teacher(teacher)
    for start in range(0, image_count, shard_rows):
        part = slice(start, start + shard_rows)
        own = ids[start : start + shard_rows]
        commit_rows(store, "images", _images(own, start, paths), producer="benchmark")
        commit_rows(store, "mos", _mos(own, quality[part], rng), producer="benchmark")
        for place, (spread, prompts) in enumerate(((0.7, PROMPTS[:2]), (1.4, PROMPTS[:1]))):
            teacher_id = teachers[place].teacher_id
            for prompt in prompts:
                rows = _points(own, quality[part], (teacher_id, prompt), spread, rng)
                commit_rows(store, "points", rows, producer="benchmark", teacher_id=teacher_id)
        rows = _pairs(ids, quality, (start, shard_rows), teachers[0].teacher_id, rng)
        commit_rows(store, "pairs", rows, producer="benchmark", teacher_id=teachers[0].teacher_id)
    commit_rows(store, "rejections", _rejections(image_count // 100), producer="benchmark")
    return store


def _build(folder: Path, image_count: int) -> Measured:
    started = time.perf_counter()
    store = build_store(folder, image_count)
    refresh(store)
    return {"store_build": (time.perf_counter() - started, "s")}


def _page(folder: Path, _image_count: int) -> Measured:
    store = open_store(folder / "store")
    seconds = _timed(lambda: write_report([store], folder / "report.html"))
    return {
        "report": (seconds, "s"),
        "report_size": ((folder / "report.html").stat().st_size / 1e6, "MB"),
        "report_peak_memory": (_peak_gb(), "GB"),
    }


def _page_and_plots(folder: Path, _image_count: int) -> Measured:
    store = open_store(folder / "store")
    path, plots = folder / "report.html", folder / "plots"
    return {"report_with_plots": (_timed(lambda: write_report([store], path, plots=plots)), "s")}


def _pictures(folder: Path, rng: np.random.Generator) -> list[str]:
    folder.mkdir(parents=True)
    paths = []
    for number in range(FILES):
        coarse = rng.integers(0, 255, (12, 16, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize(FILE_PX, Image.Resampling.BICUBIC)
        paths.append(str((folder / f"{number:03d}.jpg").resolve()))
        image.save(paths[-1], quality=90)
    return paths


def _teacher(name: str) -> TeacherSpec:
    return TeacherSpec(
        name=name,
        revision="",
        architecture="MadeUp",
        weights_sha256=sha256_text(name),
        preprocessing_sha256=sha256_text("preprocessing"),
        max_tiles=1,
        dtype="bfloat16",
        quantization="none",
    )


def _images(ids: pa.Array, start: int, paths: list[str]) -> pa.Table:
    numbers = np.arange(start, start + len(ids))
    columns = {
        "image_id": ids,
        "path": [paths[n % len(paths)] for n in numbers],
        "name": [f"{n // 1000:05d}/{n:08d}.jpg" for n in numbers],
        "file_bytes": numbers + 1,
        "width_px": np.full(len(ids), FILE_PX[0], np.int32),
        "height_px": np.full(len(ids), FILE_PX[1], np.int32),
        "format": ["JPEG"] * len(ids),
        "mode": ["RGB"] * len(ids),
        "group_id": [sha256_text(f"group {n // GROUP_SIZE}") for n in numbers],
        "grouped_by": ["given"] * len(ids),
        "perceptual_hash": pa.nulls(len(ids), pa.string()),
        "modified_ns": pa.nulls(len(ids), pa.int64()),
    }
    return pa.table(columns, schema=IMAGES)


def _mos(ids: pa.Array, quality: FloatArray, rng: np.random.Generator) -> pa.Table:
    count = len(ids)
    columns = {
        "image_id": ids,
        "source": ["made-up"] * count,
        "mos": 1 + 4 * np.clip(quality + rng.normal(0, 0.08, count), 0, 1),
        "scale_min": np.ones(count),
        "scale_max": np.full(count, 5.0),
        "mos_std": np.full(count, 0.6),
        "rating_count": np.full(count, 20, np.int32),
    }
    return pa.table(columns, schema=MOS)


def _points(
    ids: pa.Array,
    quality: FloatArray,
    asked: tuple[str, str],
    spread: float,
    rng: np.random.Generator,
) -> pa.Table:
    """Levels near 1 + 4 quality, blurred by `spread` levels."""
    count = len(ids)
    seen = 1 + 4 * quality + rng.normal(0, spread / 2, count)
    logits = -((np.arange(1, 6) - seen[:, np.newaxis]) ** 2) / (2 * spread**2)
    logits += rng.normal(0, 0.3, (count, 5))
    columns = {
        "image_id": ids,
        "teacher_id": [asked[0]] * count,
        "prompt_id": [asked[1]] * count,
        "level_logprobs": _logprobs(logits, rng, POINTS.field("level_logprobs").type),
        "given_score": pa.nulls(count, pa.float64()),
        "given_confidence": pa.nulls(count, pa.float64()),
        "prompt_tokens": np.full(count, 1800, np.int32),
        "cached_tokens": np.full(count, 40, np.int32),
    }
    return pa.table(columns, schema=POINTS)


def _pairs(
    ids: pa.Array,
    quality: FloatArray,
    part: tuple[int, int],
    teacher_id: str,
    rng: np.random.Generator,
) -> pa.Table:
    start, stop = part[0], min(sum(part), len(ids))
    ends = np.stack([np.arange(start, stop), rng.integers(0, len(ids), stop - start)])
    ends[1] = np.where(ends[0] == ends[1], (ends[0] + 1) % len(ids), ends[1])
    texts = np.stack([ids.take(pa.array(one)).to_numpy(zero_copy_only=False) for one in ends])
    first, second = np.where(texts[0] < texts[1], ends, ends[::-1])
    gap = 8 * (quality[first] - quality[second]) + rng.normal(0, 1, len(first))
    bias = rng.normal(0.4, 0.5, len(first))
    kind = PAIRS.field("letter_logprobs_ab").type
    columns = {
        "image_a": ids.take(pa.array(first)),
        "image_b": ids.take(pa.array(second)),
        "teacher_id": [teacher_id] * len(first),
        "prompt_id": [PROMPTS[2]] * len(first),
        "letter_logprobs_ab": _logprobs(_two(bias + gap), rng, kind),
        "letter_logprobs_ba": _logprobs(_two(bias - gap), rng, kind),
        "given_preference": pa.nulls(len(first), pa.float64()),
        "prompt_tokens": np.full(len(first), 6000, np.int32),
        "cached_tokens": np.full(len(first), 900, np.int32),
    }
    return pa.table(columns, schema=PAIRS)


def _two(logit: FloatArray) -> FloatArray:
    return np.stack([logit, np.zeros_like(logit)], axis=1)


def _logprobs(
    logits: FloatArray, rng: np.random.Generator, kind: pa.DataType
) -> pa.FixedSizeListArray:
    """(N, K) log-probabilities of which nearly all the mass is on the K labels."""
    missing = 10 ** rng.uniform(-4, -1.5, len(logits))
    top = logits.max(axis=1, keepdims=True)
    total = np.log(np.exp(logits - top).sum(axis=1, keepdims=True)) + top
    values = logits - total + np.log1p(-missing)[:, np.newaxis]
    return pa.FixedSizeListArray.from_arrays(pa.array(values.astype(np.float32).ravel()), type=kind)


def _rejections(count: int) -> pa.Table:
    columns = {
        "path": [f"/photos/{n}.jpg" for n in range(count)],
        "stage": ["add-images"] * count,
        "reason": [("truncated", "not_an_image")[n % 2] for n in range(count)],
        "detail": [f"/photos/{n}.jpg: the file cannot be read" for n in range(count)],
        "image_id": pa.nulls(count, pa.string()),
        "teacher_id": pa.nulls(count, pa.string()),
    }
    return pa.table(columns, schema=REJECTIONS)


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


if __name__ == "__main__":
    main()
