"""What calibrating a finished student needs of a store: rated images, and no teacher's answers."""

import numpy as np
import pyarrow as pa

from data_store.index import query
from data_store.layout import Store
from schemas.errors import InputError, NotEnoughData
from train.evaluation.finished_run import FinishedRun
from train.training_data import FloatArray, TrainingData


def read_rated_data(store: Store, run: FinishedRun, *, source: str) -> TrainingData:
    """Read the images with MOS that a student is calibrated and judged on, and no teacher's answer.

    Args:
        store: where.
        run: whose student it is, and which images it held out.
        source: MOS of the training split are of this source alone; empty takes the mean over the
            sources, as `train run` does. Held-out images have that mean in any case, as where a
            finished run is evaluated.

    Returns:
        As `read_training_data`, of these images alone; all that teachers give is missing. So
        answers that come in later do not make it other data.

    Raises:
        NotEnoughData: no image has a MOS.
        InputError: there is none of this source.
    """
    sources = query(store, "select distinct source from mos order by source")["source"].to_pylist()
    if source and source not in sources:
        raise InputError(
            f"there is no opinion of {source!r}; there are {', '.join(sources) or 'none at all'}",
            where="--source",
            fix="choose one of these, or leave it out",
        )
    rated = query(
        store,
        """
        select image_id, path, group_id, avg(mos_unit order by mos.source) as every,
            avg(mos_unit order by mos.source) filter ($source in ('', mos.source)) as wanted
        from mos join images using (image_id)
        group by all order by image_id
        """,
        {"source": source},
    ).combine_chunks()
    if not rated.num_rows:
        raise NotEnoughData(
            "no image of the store has a MOS",
            where=store.address,
            fix="let people rate some (`train select --page`), and bring the ratings in with"
            " `store add-mos --ratings`",
        )
    tested = run.tested(rated["group_id"].combine_chunks())
    mos = np.where(tested, _floats(rated["every"]), _floats(rated["wanted"]))
    rated = rated.filter(pa.array(np.isfinite(mos))).combine_chunks()
    ids, paths, groups = (rated[name].combine_chunks() for name in ("image_id", "path", "group_id"))
    count = rated.num_rows
    nothing = np.empty(0)
    return TrainingData(
        image_ids=ids,
        paths=paths,
        group_ids=groups,
        teacher_ids=run.teacher_ids,
        teacher_score=np.full(count, np.nan),
        level_probs=np.full((count, 5), np.nan),
        point_confidence=np.full(count, np.nan),
        mos=mos[np.isfinite(mos)],
        pairs=np.empty((0, 2), np.int64),
        pair_teacher=np.empty(0, np.int64),
        preference_prob=nothing,
        pair_confidence=nothing,
        logit_ab=nothing,
        logit_ba=nothing,
    )


def teacher_scores(store: Store, teacher_ids: tuple[str, ...], ids: pa.Array) -> FloatArray:
    """(N,) mean over the teachers that scored an image, to compare with; NaN where none did."""
    found = query(
        store,
        """
        select image_id, avg(score order by teacher_id) as score
        from teacher_scores join wanted using (image_id)
        where list_contains($teachers, teacher_id)
        group by image_id
        """,
        {"teachers": list(teacher_ids)},
        tables={"wanted": pa.table({"image_id": ids})},
    )
    place = {image_id: row for row, image_id in enumerate(ids.to_pylist())}
    scores = np.full(len(ids), np.nan)
    rows = [place[image_id] for image_id in found["image_id"].to_pylist()]
    scores[rows] = found["score"].to_numpy()
    return scores


def _floats(column: pa.ChunkedArray) -> FloatArray:
    """Nulls become NaN."""
    values: FloatArray = column.to_numpy().astype(np.float64)
    return values
