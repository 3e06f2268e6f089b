"""What the trainer reads of a store: columns over images, and pairs as row numbers.

Read once, before any training; nothing later opens a shard. Rows are ordered by image id and
pairs by their two rows, so the same evidence gives the same numbers whatever wrote it.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data_store import queries
from data_store.layout import Store
from schemas.errors import InputError, NotEnoughData

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TrainingData:
    """N images that a teacher or a person judged, and P pairs that the teacher compared."""

    image_ids: pa.Array
    """(N,) string, ascending."""
    paths: pa.Array
    """(N,) string, absolute."""
    group_ids: pa.Array
    """(N,) string."""
    teacher_score: FloatArray
    """(N,) in [0, 1]; NaN where the teacher gave none."""
    mos: FloatArray
    """(N,) scaled to [0, 1]; NaN where people gave none."""
    pairs: IntArray
    """(P, 2) image rows."""
    preference_prob: FloatArray
    """(P,) P(first better)."""
    pair_confidence: FloatArray
    """(P,) in [0, 1]."""

    def content_hashes(self) -> dict[str, str]:
        """SHA-256 per kind of evidence, to see later which of them changed; paths do not count."""
        ids = "\n".join(self.image_ids.to_pylist()).encode()
        groups = "\n".join(self.group_ids.to_pylist()).encode()
        return {
            "images": _sha256(ids, groups),
            "teacher points": _sha256(ids, self.teacher_score.tobytes()),
            "teacher pairs": _sha256(
                ids,
                self.pairs.tobytes(),
                self.preference_prob.tobytes(),
                self.pair_confidence.tobytes(),
            ),
            "mos": _sha256(ids, self.mos.tobytes()),
        }


def choose_teacher(store: Store, wanted: str) -> str:
    """Find a teacher by name or by the start of its id; an empty text means the only one.

    Raises:
        NotEnoughData: no teacher has answered anything yet.
        InputError: none or several fit.
    """
    known = [(row["teacher_id"], row["name"]) for row in queries.teachers(store).to_pylist()]
    if not known:
        raise NotEnoughData(
            "no teacher has judged an image yet",
            where=store.address,
            fix="run `annotate points` and `annotate pairs` first",
        )
    fitting = [i for i, name in known if not wanted or name == wanted or i.startswith(wanted)]
    if len(fitting) != 1:
        names = ", ".join(f"{name} ({teacher_id[:8]})" for teacher_id, name in known)
        asked = f"fit {wanted!r}" if wanted else "could be meant"
        raise InputError(
            f"{len(fitting)} teachers {asked}; the store has {names}",
            where="--teacher",
            fix="give the name, or more letters of the id",
        )
    return str(fitting[0])


def read_training_data(store: Store, teacher_id: str) -> TrainingData:
    """Read one teacher's evidence and all MOS."""
    points = queries.teacher_points(store, teacher_id)
    pairs = queries.teacher_pairs(store, teacher_id)
    human = queries.human_scores(store)
    images = _judged_images(store, points, pairs, human)
    ids = images.column("image_id").combine_chunks()
    pairs = _among(pairs, ids)
    first, second = _rows_of(pairs["image_a"], ids), _rows_of(pairs["image_b"], ids)
    order = np.lexsort((second, first))
    return TrainingData(
        image_ids=ids,
        paths=images.column("path").combine_chunks(),
        group_ids=images.column("group_id").combine_chunks(),
        teacher_score=_spread(points, "score", ids),
        mos=_spread(human, "mos_unit", ids),
        pairs=np.stack([first, second], axis=1)[order],
        preference_prob=_floats(pairs["preference_prob"])[order],
        pair_confidence=_floats(pairs["confidence"])[order],
    )


def _judged_images(store: Store, points: pa.Table, pairs: pa.Table, human: pa.Table) -> pa.Table:
    judged = pa.chunked_array(
        [
            chunk
            for column in (
                points["image_id"],
                pairs["image_a"],
                pairs["image_b"],
                human["image_id"],
            )
            for chunk in column.chunks
        ],
        type=pa.string(),
    )
    images = queries.images_to_compare(store, folder=None)
    kept = images.filter(pc.is_in(images["image_id"], value_set=pc.unique(judged)))
    return kept.sort_by("image_id")


def _rows_of(image_ids: pa.ChunkedArray, ids: pa.Array) -> IntArray:
    rows: IntArray = pc.index_in(image_ids, value_set=ids).to_numpy().astype(np.int64)
    return rows


def _spread(table: pa.Table, column: str, ids: pa.Array) -> FloatArray:
    """A column at the rows of its images, NaN at all others."""
    values = np.full(len(ids), np.nan)
    values[_rows_of(table["image_id"], ids)] = _floats(table[column])
    return values


def _floats(column: pa.ChunkedArray) -> FloatArray:
    values: FloatArray = column.to_numpy().astype(np.float64)
    return values


def _sha256(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()


def _among(pairs: pa.Table, ids: pa.Array) -> pa.Table:
    """Pairs of images in the store; an outside teacher may have judged others."""
    known = [pc.is_in(pairs[name], value_set=ids) for name in ("image_a", "image_b")]
    return pairs.filter(pc.and_(*known))
