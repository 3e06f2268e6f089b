"""Degraded crops of photographs with their known quality, made once and held in memory."""

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from tools.crops import CROP_PX, draw_crop
from tools.distortions import degrade, draw_degradation

SHRINK = (1.0, 2.5)
"""Range of the factor by which a photograph is shrunk before it is cropped."""


class CropPool(NamedTuple):
    """N degraded crops of P photographs."""

    pixels: np.ndarray  # (N, CROP_PX, CROP_PX, 3) uint8, RGB
    quality: np.ndarray  # (N,) float32 in [0, 1], known quality
    photograph: np.ndarray  # (N,) int64 in [0, P)


def make_crop_pool(
    photographs: Sequence[Path], *, crops_each: int, seed: int, augment: bool, workers: int
) -> CropPool:
    """Cut and degrade `crops_each` crops of every photograph.

    The same arguments give the same bytes for any number of workers, because each photograph
    has its own generator.

    Args:
        photographs: P files.
        crops_each: crops per photograph; N = P * crops_each.
        seed: of all draws.
        augment: turn, mirror and re-colour crops before they are degraded.
        workers: processes; 1 stays in this one.
    """
    cut = partial(_cut_photograph, crops_each=crops_each, seed=seed, augment=augment)
    with _mapper(workers) as run:
        parts = list(run(cut, enumerate(photographs)))
    return CropPool(
        pixels=np.concatenate([pixels for pixels, _ in parts]),
        quality=np.concatenate([quality for _, quality in parts]),
        photograph=np.repeat(np.arange(len(photographs)), crops_each),
    )


@contextmanager
def _mapper(workers: int) -> Iterator[Callable[..., Iterable[Any]]]:
    if workers == 1:
        yield map
        return
    # Spawned, not forked: a fork of a process whose torch has threads may hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as executor:
        yield partial(executor.map, chunksize=8)


def _cut_photograph(
    numbered: tuple[int, Path], *, crops_each: int, seed: int, augment: bool
) -> tuple[np.ndarray, np.ndarray]:
    number, path = numbered
    rng = np.random.default_rng([seed, number])
    with Image.open(path) as opened:
        source = opened.convert("RGB")
    pixels = np.empty((crops_each, CROP_PX, CROP_PX, 3), dtype=np.uint8)
    quality = np.empty(crops_each, dtype=np.float32)
    for place in range(crops_each):
        crop = draw_crop(source, rng, shrink=SHRINK)
        if augment:
            crop = _recolour(_turn(crop, rng), rng)
        degradation = draw_degradation(rng)
        pixels[place] = np.asarray(degrade(crop, degradation, rng))
        quality[place] = degradation.known_quality
    return pixels, quality


def _turn(crop: Image.Image, rng: np.random.Generator) -> Image.Image:
    if rng.random() < 0.5:
        crop = ImageOps.mirror(crop)
    return crop.rotate(90 * int(rng.integers(4)))


def _recolour(crop: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Grey, swapped channels, another gamma or brightness: none of it touches sharpness.

    Brightness only goes down, since going up clips, and clipping is damage.
    """
    pixels = np.asarray(crop, dtype=np.float32) / 255.0
    draw = rng.random()
    if draw < 0.2:
        pixels = np.repeat(np.asarray(crop.convert("L"), dtype=np.float32)[..., None], 3, 2) / 255.0
    elif draw < 0.4:
        pixels = pixels[..., rng.permutation(3)]
    elif draw < 0.5:
        pixels = 1.0 - pixels
    if rng.random() < 0.5:
        pixels = rng.uniform(0.75, 1.0) * pixels ** rng.uniform(0.75, 1.3)
    return Image.fromarray(np.rint(255.0 * pixels).astype(np.uint8))
