"""The pool of a store: every image of the training split, and all that is known of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_store import queries
from data_store.console import progress, say
from data_store.layout import Store
from data_store.splits import held_out
from schemas.errors import InputError, NotEnoughData
from train.selection.pool import BoolArray, FloatArray, IntArray, Matrix, Pool
from train.settings import SplitSettings
from train.training_data import TrainingData, choose_teachers, read_training_data


@dataclass(frozen=True, slots=True)
class StorePool:
    """A pool, and which images its rows are."""

    image_ids: pa.Array
    """(N,) string, ascending."""
    paths: pa.Array
    """(N,) string, absolute."""
    pool: Pool


@dataclass(frozen=True, slots=True)
class FromStore:
    """What a pool is read from."""

    store: Store
    split: SplitSettings
    teachers: Sequence[str]
    """Names or starts of ids; none: the only one."""
    run: Path | None = None
    """Whose student gives features and scores."""
    student: str = ""
    """Which of the run's students; empty: the one calibrated on most labels."""
    include_labelled: bool = False
    """Let images with MOS be chosen too, for studies of what choosing is worth."""


def read_pool(source: FromStore) -> StorePool:
    """Read the pool; images of held-out groups are not in it, whatever is known of them.

    With a student, pictures that cannot be decoded are left out.

    Raises:
        NotEnoughData: no image is left.
        InputError: no such teacher or student.
    """
    images = queries.images_to_compare(source.store, folder=None).sort_by("image_id")
    tested = held_out(
        images["group_id"].combine_chunks(),
        seed=source.split.seed,
        test_fraction=source.split.test_fraction,
    )
    images = images.filter(pa.array(~tested)).combine_chunks()
    if not images.num_rows:
        raise NotEnoughData(
            "the training split has no image",
            where=source.store.address,
            fix="add images with `store add-images`, or choose another split",
        )
    seen = _seen_by_student(images, source) if source.run else None
    if seen is not None:
        images = images.filter(pa.array(seen.readable)).combine_chunks()
    data = _judgements(source)
    ids = images["image_id"].combine_chunks()
    human = queries.human_scores(source.store)
    labelled = pc.is_in(ids, value_set=human["image_id"].combine_chunks())
    pool = Pool(
        group=pc.dictionary_encode(images["group_id"].combine_chunks())
        .indices.to_numpy()
        .astype(np.int64),
        labelled=None if source.include_labelled else labelled.to_numpy(zero_copy_only=False),
        teacher_score=_at(ids, data, data.teacher_score) if data else None,
        confidence=_at(ids, data, data.point_confidence) if data else None,
        inconsistency=_at(ids, data, inconsistency(data)) if data else None,
        student_score=seen.scores if seen else None,
        features=seen.features if seen else None,
    )
    return StorePool(ids, images["path"].combine_chunks(), pool)


def inconsistency(data: TrainingData) -> FloatArray:
    """How far the two orders of an image's pairs are apart: mean |p_ab - p_ba| over its pairs.

    Returns:
        (N,) in [0, 1]; NaN for images without a pair that was asked in both orders.
    """
    apart = np.abs(_probability(data.logit_ab) - _probability(data.logit_ba))
    known = np.isfinite(apart)
    total, count = np.zeros(len(data.image_ids)), np.zeros(len(data.image_ids))
    for side in data.pairs[known].T:
        np.add.at(total, side, apart[known])
        np.add.at(count, side, 1.0)
    mean = np.full(len(total), np.nan)
    np.divide(total, count, out=mean, where=count > 0)
    return mean


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a student makes of the images."""

    readable: BoolArray  # (M,) of all images that it was shown
    scores: FloatArray  # (N,) of the readable ones
    features: Matrix  # (N, D) likewise


def _judgements(source: FromStore) -> TrainingData | None:
    """What teachers said; None where no teacher has said anything and none was asked for."""
    try:
        teachers = choose_teachers(source.store, source.teachers)
    except NotEnoughData:
        if source.teachers:
            raise
        return None
    return read_training_data(source.store, teachers)


def _seen_by_student(images: pa.Table, source: FromStore) -> _Seen:
    from train.dataset import Pictures
    from train.features import FrozenFeatures, pooled_features
    from train.pixel_cache import pixel_cache_folder
    from train.scoring import score_pictures
    from train.serving.scorer import open_stage

    if source.run is None:
        raise InputError("no run is named", where="--run", fix="give the folder of a finished run")
    stage = open_stage(source.run, source.student)
    pictures = Pictures(
        images["image_id"].to_pylist(),
        images["path"].to_pylist(),
        stage.images,
        pixel_cache_folder(),
    )
    with progress(images.num_rows, label="decode", unit="images") as bar:
        failures = pictures.check(bar.advance)
    if failures:
        say(f"{len(failures)} of {images.num_rows} images cannot be decoded and are left out")
    readable = np.ones(images.num_rows, dtype=bool)
    readable[list(failures)] = False
    features = pooled_features(stage.student, pictures, np.flatnonzero(readable))
    rows = np.arange(len(features))
    scores = score_pictures(stage.student, FrozenFeatures(features), rows)
    return _Seen(readable, scores, features)


def _at(ids: pa.Array, data: TrainingData, values: FloatArray) -> FloatArray:
    """(N,) values of the judged images at the rows of the pool, NaN for the others."""
    place: IntArray = (
        pc.fill_null(pc.index_in(ids, value_set=data.image_ids), -1).to_numpy().astype(np.int64)
    )
    return np.where(place >= 0, values[place], np.nan) if len(values) else np.full(len(ids), np.nan)


def _probability(logits: FloatArray) -> FloatArray:
    return 0.5 * (1.0 + np.tanh(0.5 * logits))  # the logistic function, without overflow
