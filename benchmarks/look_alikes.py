"""How far apart are the perceptual hashes of copies of a photograph, and of different ones?

    python -m benchmarks.look_alikes --images FOLDER

Makes usual copies of each photograph and prints, for each kind, the share of copies within some
distances of their original; and for all pairs of different photographs how many lie that near.
"""

import argparse
import io
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from benchmarks.record import record
from data_store.images.look_alikes import hashes_of, perceptual_hash
from data_store.images.names import SUFFIXES
from data_store.images.pictures import open_checked, small_grey

DISTANCES = (0, 2, 4, 6, 8, 10)


def jpeg(quality: int) -> Callable[[Image.Image], Image.Image]:
    """Store as JPEG and read again."""

    def copy(image: Image.Image) -> Image.Image:
        stored = io.BytesIO()
        image.save(stored, "JPEG", quality=quality)
        return Image.open(stored)

    return copy


def crop(share: float) -> Callable[[Image.Image], Image.Image]:
    """Keep the middle, so much of each side."""

    def copy(image: Image.Image) -> Image.Image:
        across, down = (round(side * (1 - share) / 2) for side in image.size)
        return image.crop((across, down, image.width - across, image.height - down))

    return copy


COPIES: Mapping[str, Callable[[Image.Image], Image.Image]] = {
    "half_size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "jpeg_90": jpeg(90),
    "jpeg_10": jpeg(10),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(2)),
    "crop_98_percent": crop(0.98),
    "crop_95_percent": crop(0.95),
    "crop_90_percent": crop(0.90),
    "mirrored": ImageOps.mirror,
}


def main() -> None:
    """Hash the photographs and their copies; print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=1000)
    options = parser.parse_args()
    paths = sorted(p for p in options.images.rglob("*") if p.suffix.lower() in SUFFIXES)
    images = [Image.open(path).convert("RGB") for path in paths[: options.limit]]
    originals = _hashes(images)
    for kind, make in COPIES.items():
        distance = np.bitwise_count(originals ^ _hashes([make(image) for image in images]))
        for limit in (4, 6):
            share = float((distance <= limit).mean())
            record("look_alikes", f"{kind}_within_{limit}_bits", share, "share")
    apart = np.concatenate(
        [np.bitwise_count(originals[n] ^ originals[n + 1 :]) for n in range(len(originals))]
    )
    record("look_alikes", "pairs_of_different_photographs", float(len(apart)), "pairs")
    for limit in DISTANCES:
        record("look_alikes", f"pairs_within_{limit}_bits", float((apart <= limit).sum()), "pairs")


def _hashes(images: list[Image.Image]) -> np.ndarray:
    """(N,) uint64."""
    texts = []
    for image in images:
        stored = io.BytesIO()
        image.save(stored, "PNG", compress_level=1)
        opened = open_checked(stored.getvalue(), where="copy", max_pixels=10**9)
        texts.append(perceptual_hash(small_grey(opened, where="copy")))
    return hashes_of(texts)


if __name__ == "__main__":
    main()
