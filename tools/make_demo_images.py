"""Make the demo images: degraded crops with known quality.

    python -m tools.make_demo_images OUT --count 3000 --seed 0

Sources are the photographs inside scikit-image and scikit-learn and scenes drawn by code.
`OUT/mos.csv` has columns image, mos, group, kind; `mos` there is KNOWN QUALITY in [0, 1]
(1 is pristine), computed from what was done to the crop, and not human opinion. PNG keeps
every pixel as the distortion left it and its format tells nothing about quality.
"""

import argparse
import csv
import hashlib
import json
import multiprocessing
import shutil
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from schemas.errors import InputError, LeafError
from tools.crops import draw_crop
from tools.distortions import degrade, draw_degradation
from tools.packaged_photographs import PACKAGED_PHOTOGRAPHS, open_packaged
from tools.procedural_scenes import draw_scene, scene_names

SCENE_COUNT = 144
"""With the photographs 160 groups, of which about 32 are held out: the mean error of a whole
scene varies by about .09, so with 10 held-out groups the bias of any student was mostly chance."""
COLUMNS = ("image", "mos", "group", "kind")
RECIPE_FILE = "recipe.json"

README = """\
Demo images of leaf-iqa, made by tools/make_demo_images.py. Do not edit: make them again.

mos.csv   image, mos, group, kind
          mos is KNOWN QUALITY, NOT HUMAN OPINION: a number in [0, 1] computed from the
          distortions that were applied, 1 for none. It stands where a MOS would stand so that
          the whole pipeline can be tried, and says nothing about agreement with people.
          group is the source picture; crops of one source must not straddle a split.
images/   112 x 112 px PNG: the format adds no damage and is the same for all.

Sources: photographs inside the packages scikit-image and scikit-learn, and scenes drawn by code.
"""


def make_demo_images(
    out: Path, *, count: int, seed: int, workers: int, scenes: int = SCENE_COUNT
) -> bool:
    """Write the folder, unless it is already there with the same arguments.

    Args:
        out: folder to make; it appears when it is complete.
        count: images in all, spread evenly over the sources.
        seed: of scenes, crops and distortions; the same seed gives the same bytes.
        workers: processes; the number changes nothing in the result.
        scenes: drawn scenes beside the packaged photographs.

    Returns:
        whether anything was written.

    Raises:
        InputError: something else lies at `out`, or a packaged photograph is missing.
    """
    recipe = {"count": count, "seed": seed, "scenes": scenes, "version": 1}
    if out.exists():
        _refuse_other_recipe(out, recipe)
        return False
    out.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}-"))
    try:
        (fresh / "images").mkdir()
        sources = source_names(scenes)
        rows = _write_images(fresh / "images", sources, count=count, seed=seed, workers=workers)
        with (fresh / "mos.csv").open("w", newline="", encoding="utf-8") as lines:
            csv.writer(lines, lineterminator="\n").writerows([COLUMNS, *rows])
        (fresh / "README.txt").write_text(README, encoding="utf-8")
        (fresh / RECIPE_FILE).write_text(json.dumps(recipe) + "\n", encoding="utf-8")
        fresh.chmod(0o755)
        fresh.rename(out)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return True


def source_names(scenes: int) -> list[str]:
    """Names of all sources, which are the groups: packaged photographs, then scenes."""
    return [*(photo.name for photo in PACKAGED_PHOTOGRAPHS), *scene_names(scenes)]


def _refuse_other_recipe(out: Path, recipe: dict[str, int]) -> None:
    found = out / RECIPE_FILE
    if not found.is_file() or json.loads(found.read_text(encoding="utf-8")) != recipe:
        raise InputError(
            "the folder exists and was not made with these arguments",
            where=out,
            fix="choose another folder, or delete this one first",
        )


def _write_images(
    folder: Path, sources: Sequence[str], *, count: int, seed: int, workers: int
) -> list[tuple[str, str, str, str]]:
    """Write all images; rows of `COLUMNS` in the order of the images' names."""
    numbers = range(min(len(sources), count))  # a source without a share is not drawn
    shares = [len(range(number, count, len(sources))) for number in numbers]
    write = partial(_write_crops, folder=folder, seed=seed)
    if workers == 1:
        parts = list(map(write, numbers, sources, shares))
    else:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context) as executor:
            parts = list(executor.map(write, numbers, sources, shares))
    return sorted(row for rows in parts for row in rows)


def _write_crops(
    number: int, name: str, share: int, *, folder: Path, seed: int
) -> list[tuple[str, str, str, str]]:
    """Write the crops of one source; each source has its own generator."""
    rng = np.random.default_rng([seed, number])
    source, shrink = _open_source(number, name, seed)
    rows = []
    for _ in range(share):
        degradation = draw_degradation(rng)
        crop = degrade(draw_crop(source, rng, shrink=shrink), degradation, rng)
        # A name from the pixels tells neither source nor quality to who sorts by name.
        file_name = hashlib.sha256(crop.tobytes()).hexdigest()[:16] + ".png"
        crop.save(folder / file_name, compress_level=3)
        rows.append((file_name, f"{degradation.known_quality:.4f}", name, degradation.kind))
    return rows


def _open_source(number: int, name: str, seed: int) -> tuple[Image.Image, tuple[float, float]]:
    """The source, and the range of factors by which its crops are shrunk."""
    if number < len(PACKAGED_PHOTOGRAPHS):
        photograph = PACKAGED_PHOTOGRAPHS[number]
        return open_packaged(photograph), (photograph.shrink, 2.0 * photograph.shrink)
    return draw_scene(name, seed), (1.0, 2.0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and make the images; 2 for what the user can mend."""
    parser = argparse.ArgumentParser(
        description="Make degraded crops with KNOWN QUALITY (not human opinion) in mos.csv."
    )
    parser.add_argument("out", type=Path, help="folder to make")
    parser.add_argument("--count", type=int, default=3000, help="images in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2, help="processes")
    options = parser.parse_args(arguments)
    try:
        written = make_demo_images(
            options.out, count=options.count, seed=options.seed, workers=options.workers
        )
    except LeafError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{options.out}: {'written' if written else 'already complete'}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
