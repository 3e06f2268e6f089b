"""A run's held-out images: what people, the teacher and its students say of each."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data_store.index import query
from data_store.layout import Store
from schemas.errors import NotEnoughData
from train.evaluation.finished_run import TEACHER, FinishedRun, HeldOut
from train.evaluation.rated_images import spread
from train.report.stage_records import student_order

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class HeldOutImages:
    """N images that took no part in training, by ascending id, rated or not."""

    run: FinishedRun
    image_ids: pa.Array
    """(N,) string."""
    paths: list[str | None]
    """(N,) where each file is, or was when it was added."""
    group_ids: pa.Array
    """(N,) string."""
    mos: FloatArray
    """(N,) in [0, 1], mean over the sources; NaN where people gave none."""
    confidence: FloatArray
    """(N,) of the teacher, in [0, 1]; NaN where it gave none."""
    scores: dict[str, FloatArray]
    """(N,) per student and for "teacher"; NaN where there is none."""

    @property
    def rated(self) -> BoolArray:
        """(N,) True where people gave an opinion."""
        known: BoolArray = np.isfinite(self.mos)
        return known

    def known(self, *names: str) -> BoolArray:
        """(N,) True where all these scorers gave a score, and people an opinion."""
        return self.rated & self.scored(*names)

    def scored(self, *names: str) -> BoolArray:
        """(N,) True where all these scorers gave a score."""
        known = np.ones(len(self.mos), dtype=bool)
        for name in names:
            known &= np.isfinite(self.scores.get(name, np.full(len(self.mos), np.nan)))
        return known

    def as_held_out(self) -> HeldOut:
        """The rated ones, as evaluations take them."""
        mask = pa.array(self.rated)
        return HeldOut(
            self.run,
            self.image_ids.filter(mask),
            self.group_ids.filter(mask),
            self.mos[self.rated],
            {name: given[self.rated] for name, given in self.scores.items()},
        )


def read_held_out(run: FinishedRun, store: Store) -> HeldOutImages:
    """Read a run's held-out images with the scores that it left in the store.

    Raises:
        NotEnoughData: the store has no scores of this run.
    """
    given = query(
        store,
        "select image_id, student, score from predictions where run_id = $run_id",
        {"run_id": run.run_id},
    )
    if not given.num_rows:
        raise NotEnoughData(
            "the store has no scores of this run",
            where=store.address,
            fix="finish it with `train run`, or give the store it was trained on with --store",
        )
    images = query(
        store,
        """
        with opinion as (select image_id, avg(mos_unit) as mos from mos group by image_id),
        answer as (
            select image_id, avg(score) as teacher, avg(confidence) as confidence
            from teacher_scores where list_contains($teachers, teacher_id) group by image_id
        )
        select image_id, path, group_id, mos, teacher, confidence
        from images left join opinion using (image_id) left join answer using (image_id)
        where mos is not null
            or image_id in (select image_id from predictions where run_id = $run_id)
        order by image_id
        """,
        {"teachers": list(run.teacher_ids), "run_id": run.run_id},
    ).combine_chunks()
    tested = pa.array(run.tested(images["group_id"].combine_chunks()))
    images = images.filter(tested).combine_chunks()
    ids = images["image_id"].combine_chunks()
    scores = {TEACHER: _floats(images["teacher"])}
    for student in sorted(pc.unique(given["student"]).to_pylist(), key=student_order):
        own = given.filter(pc.equal(given["student"], student))
        scores[student] = spread(own, "score", ids)
    return HeldOutImages(
        run,
        ids,
        images["path"].to_pylist(),
        images["group_id"].combine_chunks(),
        _floats(images["mos"]),
        _floats(images["confidence"]),
        scores,
    )


def _floats(column: pa.ChunkedArray) -> FloatArray:
    values: FloatArray = pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False)
    return values
