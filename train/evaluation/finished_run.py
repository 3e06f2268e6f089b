"""What a finished run's students say of images they were not trained on.

Of the run's own store: its held-out images, whose scores the run has left in the store. Of
another store: every rated image that the run was not trained on, scored as `train predict` does.
"""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from data_store.console import say
from data_store.index import query
from data_store.layout import Store, open_store
from data_store.splits import held_out
from schemas.errors import InputError, NotEnoughData, StoreError
from train.evaluation.random_splits import Scored
from train.evaluation.rated_images import RatedImages, spread
from train.evaluation.run_summaries import method_and_fraction

FloatArray = NDArray[np.float64]

TEACHER = "teacher"
"""The scorer of that name is the mean score of the run's teachers."""


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """What run.json says that an evaluation needs."""

    folder: Path
    run_id: str
    store_address: str
    split_seed: int
    test_fraction: float
    teacher_ids: tuple[str, ...]
    ancestors: tuple[str, ...] = ()
    """Ids of the runs whose students this one went on from; they were trained on more images."""

    def tested(self, group_ids: pa.Array) -> NDArray[np.bool_]:
        """(N,) True for images of the groups that the run held out."""
        return held_out(group_ids, seed=self.split_seed, test_fraction=self.test_fraction)


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A run's scores of its own held-out images with opinions."""

    run: FinishedRun
    image_ids: pa.Array
    """(N,) string, ascending."""
    group_ids: pa.Array
    """(N,) string."""
    mos: FloatArray
    """(N,) in [0, 1], mean over the sources, as in training."""
    scores: dict[str, FloatArray]
    """(N,) per student and for `TEACHER`; NaN for pictures that could not be read."""


def open_run(folder: Path) -> FinishedRun:
    """Read run.json.

    Raises:
        InputError: the folder holds no run, or one of another release.
    """
    path = folder / "run.json"
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        split = record["settings"]["split"]
        teachers = record.get("teacher_ids") or [record["teacher_id"]]
        return FinishedRun(
            folder=folder,
            run_id=record["run_id"],
            store_address=record["store"],
            split_seed=split["seed"],
            test_fraction=split["test_fraction"],
            teacher_ids=tuple(teachers),
            ancestors=tuple(record.get("parent", {}).get("run_ids", ())),
        )
    except FileNotFoundError as error:
        raise InputError(
            "there is no run here", where=path, fix="give the folder of `train run --run`"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"run.json cannot be read: {error!r}", where=path, fix="give the folder of a run"
        ) from error


def is_own_store(run: FinishedRun, store: Store) -> bool:
    """Whether a run has left its scores in this store."""
    found = query(
        store,
        "select 1 from predictions where run_id = $run_id limit 1",
        {"run_id": run.run_id},
    )
    return bool(found.num_rows)


def held_out_scores(run: FinishedRun, store: Store) -> HeldOut:
    """Read what the run's students said of its held-out images; opinions added since count too.

    Raises:
        NotEnoughData: the run is not finished, or none of its held-out images has an opinion.
    """
    if not is_own_store(run, store):
        raise NotEnoughData(
            "the store has no scores of this run",
            where=run.folder,
            fix="finish it with `train run`, or give the store it was trained on with --store",
        )
    rated = query(
        store,
        """
        select image_id, any_value(group_id) as group_id, avg(mos_unit) as mos_unit
        from mos join images using (image_id)
        group by image_id order by image_id
        """,
    ).combine_chunks()
    tested = pa.array(run.tested(rated["group_id"].combine_chunks()))
    rated = rated.filter(tested).combine_chunks()
    if not rated.num_rows:
        raise NotEnoughData(
            "none of the run's held-out images has an opinion",
            where=run.folder,
            fix="bring opinions of more images in with `store add-mos`",
        )
    image_ids = rated["image_id"].combine_chunks()
    return HeldOut(
        run,
        image_ids,
        rated["group_id"].combine_chunks(),
        rated["mos_unit"].to_numpy(),
        _given_scores(run, store, image_ids),
    )


def _given_scores(run: FinishedRun, store: Store, image_ids: pa.Array) -> dict[str, FloatArray]:
    teacher = query(
        store,
        """
        select image_id, avg(score) as score from teacher_scores
        where list_contains($teachers, teacher_id) group by image_id
        """,
        {"teachers": list(run.teacher_ids)},
    )
    table = query(
        store,
        "select image_id, student, score from predictions where run_id = $run_id",
        {"run_id": run.run_id},
    )
    scores = {TEACHER: spread(teacher, "score", image_ids)}
    for student in sorted(pc.unique(table["student"]).to_pylist(), key=_in_order):
        own = table.filter(pc.equal(table["student"], student))
        scores[student] = spread(own, "score", image_ids)
    return scores


def _in_order(student: str) -> tuple[bool, str, float]:
    """The order of training: label-free, calibrated by share of labels, then the baselines."""
    method, fraction = method_and_fraction(student)
    return method != "leaf", method, fraction


def scores_elsewhere(run: FinishedRun, student: str, images: RatedImages) -> Scored:
    """Let a run's student score the rated images of another store.

    Images that the run was trained on, by their bytes, are left out; so is what cannot be read.

    Raises:
        InputError: there is no such student.
        NotEnoughData: no image is left.
    """
    from train.serving.picture_list import Picture
    from train.serving.predict import predict
    from train.serving.scorer import run_scorer

    usable = pc.and_(
        pc.is_valid(images.paths), pc.invert(pc.is_in(images.image_ids, value_set=_trained_on(run)))
    )
    scorer = run_scorer(run.folder, student)
    pictures = [Picture(path, path) for path in images.paths.filter(usable).to_pylist()]
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "scores.parquet"
        done = predict(scorer, pictures, out, crops=1)
        given = pq.read_table(out, columns=["score"])["score"].combine_chunks()
    if len(images.mos) > done.scored:
        say(
            f"{images.source}: {len(images.mos) - done.scored} of {len(images.mos)} rated images"
            " are left out: no file, unreadable, or trained on"
        )
    if not done.scored:
        raise NotEnoughData(
            "no rated image could be scored",
            where=images.source,
            fix="give a store whose images can be read and are not those of the run",
        )
    scored = pc.is_valid(given)
    rows = np.flatnonzero(usable.to_numpy(zero_copy_only=False))[
        scored.to_numpy(zero_copy_only=False)
    ]
    return Scored(
        scorer.name,
        images.source,
        given.filter(scored).to_numpy().astype(np.float64),
        images.mos[rows],
        images.group_ids.take(pa.array(rows)),
    )


def _trained_on(run: FinishedRun) -> pa.Array:
    """Ids of the images that took part in the run's training, as far as they can be known."""
    nothing = pa.array([], pa.string())
    try:
        table = query(
            open_store(run.store_address),
            """
            select distinct image_id, group_id
            from predictions join images using (image_id)
            where list_contains($run_ids, run_id)
            """,
            {"run_ids": [run.run_id, *run.ancestors]},
        )
    except StoreError as error:
        say(f"images that the run was trained on cannot be left out: {error.what}")
        return nothing
    tested = run.tested(table["group_id"].combine_chunks())
    return table["image_id"].combine_chunks().filter(pa.array(~tested))
