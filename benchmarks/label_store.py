"""What the label-efficiency study stands on: a store with MOS and evidence, and frozen features.

Everything is made by the project's own commands and kept in a folder, each part once.
"""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np

from annotate.importing.column_map import Values, column_map
from annotate.importing.request import ImportRequest
from annotate.importing.story import import_judgements
from benchmarks import simulated_evidence as simulated
from data_store import queries
from data_store.console import say
from data_store.files import write_atomically
from data_store.layout import Store, open_store
from schemas.scale import LEVEL_WORDS
from train.dataset import Pictures
from train.features import FrozenFeatures, pooled_features
from train.settings import ImageSettings, StudentSettings
from train.student import initial_student
from train.training_data import choose_teachers

SPLITS = range(5)
SIDE_PX = 288
PAIRS_PER_IMAGE = 5
SIMULATED_SRCC = 0.6


def frozen_student(weights: Path) -> StudentSettings:
    """ImageNet's MobileNetV2 with a linear score on each channel's mean and deviation."""
    return StudentSettings(
        backbone="mobilenetv2_100",
        backbone_args={"pad_type": "same"},
        init="path",
        init_weights=str(weights),
        input_mean=(0.5, 0.5, 0.5),
        input_std=(0.5, 0.5, 0.5),
        pooling="mean_std",
        trained="head",
    )


def filled_store(folder: Path, photos: Path) -> Store:
    """The photographs and their MOS."""
    address = folder / "store"
    if not (folder / "store.done").exists():
        _call("store", "init", str(address))
        _call("store", "add-images", str(photos / "images"), "--store", str(address))
        layout = ("--layout", "biq2021")
        _call("store", "add-mos", str(photos / "mos.csv"), *layout, "--store", str(address))
        (folder / "store.done").touch()
    return open_store(address)


def frozen_features(folder: Path, store: Store, student: StudentSettings) -> FrozenFeatures:
    """What the frozen backbone sees of every photograph, in the order of the image ids."""
    path = folder / "features.npy"
    if not path.exists():
        human = queries.human_scores(store)
        ids, paths = human["image_id"].to_pylist(), human["path"].to_pylist()
        images = ImageSettings(crop_px=SIDE_PX, short_side_px=SIDE_PX)
        pictures = Pictures(ids, paths, images, None)
        say(f"computing features of {len(ids)} photographs")
        found = pooled_features(initial_student(student, seed=0), pictures, np.arange(len(ids)))
        stream = io.BytesIO()
        np.save(stream, found)
        write_atomically(path, stream.getvalue())
    return FrozenFeatures(np.load(path, allow_pickle=False))


def ask_tiny(folder: Path, store: Store) -> None:
    """The tiny teacher judges every photograph, and five pairs of each."""
    if (folder / "tiny.done").exists():
        return
    count = len(queries.human_scores(store))
    asked = ("--model", "tiny", "--engine", "vllm", "--store", store.address)
    _call("annotate", "points", *asked)
    _call("annotate", "pairs", *asked, "--n-pairs", str(count * PAIRS_PER_IMAGE // 2))
    (folder / "tiny.done").touch()


def import_simulated(folder: Path, store: Store, features: FrozenFeatures) -> None:
    """One simulated teacher per split, through `annotate import`."""
    if (folder / "simulated.done").exists():
        return
    human = queries.human_scores(store)
    names, mos = human["image_id"].to_pylist(), human["mos_unit"].to_numpy()
    points, pairs = folder / "points.parquet", folder / "pairs.parquet"
    levels = column_map(["image=image", *(f"{w}={w}" for w in LEVEL_WORDS)], Values.PROBS)
    keys = ("image_a", "image_b", "logit_a", "logit_b")
    letters = column_map([f"{key}={key}" for key in keys], Values.LOGITS)
    for seed, bias in enumerate(simulated.smooth_biases(features.values, SPLITS)):
        perceived = simulated.percept(mos, bias, srcc=SIMULATED_SRCC, seed=seed)
        believed = simulated.belief(perceived, mos)
        simulated.write_points(points, names, believed)
        simulated.write_pairs(pairs, names, believed, per_image=PAIRS_PER_IMAGE, seed=seed)
        for path, columns in ((points, levels), (pairs, letters)):
            request = ImportRequest((path,), columns, teacher=f"simulated_{seed}")
            import_judgements(store.address, request)
    (folder / "simulated.done").touch()


def teachers_of(store: Store, kind: str, seed: int) -> list[str]:
    """The id of the tiny teacher, or of the simulated one that belongs to a split."""
    if kind == "simulated":
        return choose_teachers(store, [f"simulated_{seed}"])
    known = queries.teachers(store).to_pylist()
    return [row["teacher_id"] for row in known if not row["name"].startswith("simulated")]


def _call(command: str, *arguments: str) -> None:
    subprocess.run(
        [str(Path(sys.executable).parent / command), *arguments], check=True, stdout=sys.stderr
    )
