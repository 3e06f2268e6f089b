"""What is measured of a checkpoint: unseen photographs, demo images, agreement with vLLM."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from tools.tiny_teacher.crop_pool import make_crop_pool
from tools.tiny_teacher.judge import Judge, draw_pairs, score_answers

MEASURE_SEED = 1
MAX_PAIRS = 900
"""Pairs asked at most; the standard error of their accuracy is then about 0.01."""

VLLM_COUNT = 48
"""Images, and pairs, that are asked through both engines."""


class Measured(NamedTuple):
    """One figure."""

    name: str
    value: float
    unit: str  # "1" for none


def measure_photographs(
    teacher: Judge, photographs: Sequence[Path], *, crops_each: int
) -> Iterator[Measured]:
    """Agreement with known quality on degraded crops of photographs, up to `MAX_PAIRS` pairs."""
    images, quality = degraded_crops(photographs, crops_each=crops_each)
    yield from _measure(teacher, images, quality, prefix="")


def measure_demo(teacher: Judge, folder: Path) -> Iterator[Measured]:
    """The same on a folder that `make_demo_images.py` wrote."""
    with (folder / "mos.csv").open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    images = [Image.open(folder / "images" / row["image"]).convert("RGB") for row in rows]
    quality = np.array([float(row["mos"]) for row in rows])
    yield from _measure(teacher, images, quality, prefix="demo_")


def measure_parity(
    teacher: Judge, checkpoint: Path, photographs: Sequence[Path]
) -> Iterator[Measured]:
    """Largest difference of a label's log-probability between vLLM and transformers."""
    images, _ = degraded_crops(photographs[:VLLM_COUNT], crops_each=1)
    pairs = draw_pairs(len(images), len(images), np.random.default_rng(MEASURE_SEED))
    ours = teacher.answer(images, pairs)
    theirs = Judge(checkpoint, "vllm").answer(images, pairs)
    for name, left, right in zip(ours._fields, ours, theirs, strict=True):
        yield Measured(f"vllm_max_difference_{name}", float(np.abs(left - right).max()), "nat")


def degraded_crops(
    photographs: Sequence[Path], *, crops_each: int
) -> tuple[list[Image.Image], np.ndarray]:
    """Degraded crops of photographs, always the same ones.

    Returns:
        N RGB images and their (N,) known quality.
    """
    pool = make_crop_pool(
        photographs, crops_each=crops_each, seed=MEASURE_SEED, augment=False, workers=1
    )
    return [Image.fromarray(pixels) for pixels in pool.pixels], pool.quality


def _measure(
    teacher: Judge, images: Sequence[Image.Image], quality: np.ndarray, *, prefix: str
) -> Iterator[Measured]:
    pair_count = min(len(images), MAX_PAIRS)
    pairs = draw_pairs(len(images), pair_count, np.random.default_rng(MEASURE_SEED))
    figures = score_answers(teacher.answer(images, pairs), quality, pairs)
    for name, value in figures.items():
        yield Measured(prefix + name, value, "1")
