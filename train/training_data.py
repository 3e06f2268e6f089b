"""What the trainer reads of a store: columns over images, and pairs as row numbers.

Read once, before any training; nothing later opens a shard. Rows are ordered by image id and
pairs by their two rows, so the same evidence gives the same numbers whatever wrote it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data_store import queries
from data_store.layout import Store
from schemas.errors import InputError, NotEnoughData
from schemas.scale import LEVEL_WORDS

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TrainingData:
    """N images that a teacher or a person judged, and P pairs that teachers compared."""

    image_ids: pa.Array
    """(N,) string, ascending."""
    paths: pa.Array
    """(N,) string, absolute."""
    group_ids: pa.Array
    """(N,) string."""
    teacher_ids: tuple[str, ...]
    """(T,) whose evidence this is, ascending."""
    teacher_score: FloatArray
    """(N,) in [0, 1], mean over the teachers that gave one; NaN where none did."""
    level_probs: FloatArray
    """(N, 5) worst level first, mean over the teachers that gave levels; NaN where none did."""
    point_confidence: FloatArray
    """(N,) in [0, 1], mean over the teachers that gave one; NaN where none did."""
    mos: FloatArray
    """(N,) scaled to [0, 1]; NaN where people gave none."""
    pairs: IntArray
    """(P, 2) image rows; a pair that two teachers compared stands here twice."""
    pair_teacher: IntArray
    """(P,) whose judgement it is: a place in `teacher_ids`."""
    preference_prob: FloatArray
    """(P,) P(first better)."""
    pair_confidence: FloatArray
    """(P,) in [0, 1]; the less, the more the two orders disagree (decision 19)."""
    logit_ab: FloatArray
    """(P,) logit for the first image, asked with it in the first place; NaN where not asked."""
    logit_ba: FloatArray
    """(P,) logit for the first image, asked with it in the second place; NaN where not asked."""

    def content_hashes(self) -> dict[str, str]:
        """SHA-256 per kind of evidence, to see later which of them changed; paths do not count."""
        ids = "\n".join(self.image_ids.to_pylist()).encode()
        groups = "\n".join(self.group_ids.to_pylist()).encode()
        points = (self.teacher_score, self.level_probs, self.point_confidence)
        pairs = (
            self.pairs,
            self.pair_teacher,
            self.preference_prob,
            self.pair_confidence,
            self.logit_ab,
            self.logit_ba,
        )
        return {
            "images": _sha256(ids, groups),
            "teacher points": _sha256(ids, *(column.tobytes() for column in points)),
            "teacher pairs": _sha256(ids, *(column.tobytes() for column in pairs)),
            "mos": _sha256(ids, self.mos.tobytes()),
        }


def choose_teachers(store: Store, wanted: Sequence[str]) -> list[str]:
    """Find teachers by their names or the starts of their ids; none wanted means the only one.

    Returns:
        Their ids, ascending, whatever the order they were asked for in.

    Raises:
        NotEnoughData: no teacher has answered anything yet.
        InputError: one that is wanted fits none or several, two fit the same, or none is wanted
            where there are several.
    """
    known = [(row["teacher_id"], row["name"]) for row in queries.teachers(store).to_pylist()]
    if not known:
        raise NotEnoughData(
            "no teacher has judged an image yet",
            where=store.address,
            fix="run `annotate points` and `annotate pairs` first, or `annotate import`",
        )
    names = ", ".join(f"{name} ({teacher_id[:8]})" for teacher_id, name in known)
    found: list[str] = []
    problems: list[str] = []
    for text in wanted or [""]:
        fitting = [i for i, name in known if not text or name == text or i.startswith(text)]
        if len(fitting) != 1:
            asked = f"fit {text!r}" if text else "could be meant"
            problems.append(f"{len(fitting)} teachers {asked}")
        elif fitting[0] in found:
            problems.append(f"{text!r} is named twice")
        else:
            found.append(str(fitting[0]))
    if problems:
        raise InputError(
            f"{'; '.join(problems)}; the store has {names}",
            where="--teacher",
            fix="give each name once, or more letters of the id",
        )
    return sorted(found)


def choose_teacher(store: Store, wanted: str) -> str:
    """Find one teacher, as `choose_teachers` does; an empty text means the only one."""
    return choose_teachers(store, [wanted] if wanted else [])[0]


def read_training_data(store: Store, teacher_ids: str | Sequence[str]) -> TrainingData:
    """Read the evidence of one or several teachers, and all MOS.

    Scores of several teachers become one: the plain mean of those that scored an image. They are
    not weighted by confidence, because that is the certainty of one level, not the precision of
    a mean level: a teacher torn between good and excellent knows the score well and has little
    of it. An image that not all of them scored keeps the scale of those that did.

    Pairs are not merged: each teacher's preference of a pair is a row of its own.
    """
    teachers = sorted([teacher_ids] if isinstance(teacher_ids, str) else teacher_ids)
    points = [queries.point_evidence(store, teacher) for teacher in teachers]
    judged = [queries.pair_evidence(store, teacher) for teacher in teachers]
    human = queries.human_scores(store)
    images = _judged_images(store, points, judged, human)
    ids = images.column("image_id").combine_chunks()
    pairs = [_among(table, ids) for table in judged]
    every = pa.concat_tables(pairs)
    pair_teacher = np.repeat(np.arange(len(teachers)), [len(table) for table in pairs])
    first, second = _rows_of(every["image_a"], ids), _rows_of(every["image_b"], ids)
    order = np.lexsort((pair_teacher, second, first))
    return TrainingData(
        image_ids=ids,
        paths=images.column("path").combine_chunks(),
        group_ids=images.column("group_id").combine_chunks(),
        teacher_ids=tuple(teachers),
        teacher_score=_mean_of_known([_spread(table, "score", ids) for table in points]),
        level_probs=np.stack(
            [
                _mean_of_known([_spread(table, word, ids) for table in points])
                for word in LEVEL_WORDS
            ],
            axis=1,
        ),
        point_confidence=_mean_of_known([_spread(table, "confidence", ids) for table in points]),
        mos=_spread(human, "mos_unit", ids),
        pairs=np.stack([first, second], axis=1)[order],
        pair_teacher=pair_teacher[order],
        preference_prob=_floats(every["preference_prob"])[order],
        pair_confidence=_floats(every["confidence"])[order],
        logit_ab=_floats(every["logit_ab"])[order],
        logit_ba=_floats(every["logit_ba"])[order],
    )


# Where several prompts were asked, all columns are means over them, added up in a fixed order: a
# sum of three numbers depends on it in the last bit, and a run could not be continued.
def _judged_images(
    store: Store, points: list[pa.Table], pairs: list[pa.Table], human: pa.Table
) -> pa.Table:
    columns = [table["image_id"] for table in (*points, human)]
    columns += [table[name] for table in pairs for name in ("image_a", "image_b")]
    judged = pa.chunked_array([c for column in columns for c in column.chunks], type=pa.string())
    images = queries.images_to_compare(store, folder=None)
    kept = images.filter(pc.is_in(images["image_id"], value_set=pc.unique(judged)))
    return kept.sort_by("image_id")


def _among(pairs: pa.Table, ids: pa.Array) -> pa.Table:
    """Pairs of images in the store; an outside teacher may have judged others."""
    known = [pc.is_in(pairs[name], value_set=ids) for name in ("image_a", "image_b")]
    return pairs.filter(pc.and_(*known))


def _rows_of(image_ids: pa.ChunkedArray, ids: pa.Array) -> IntArray:
    rows: IntArray = pc.index_in(image_ids, value_set=ids).to_numpy().astype(np.int64)
    return rows


def _spread(table: pa.Table, column: str, ids: pa.Array) -> FloatArray:
    """A column at the rows of its images, NaN at all others."""
    values = np.full(len(ids), np.nan)
    values[_rows_of(table["image_id"], ids)] = _floats(table[column])
    return values


def _mean_of_known(columns: list[FloatArray]) -> FloatArray:
    """The mean over columns that are not NaN, NaN where all are."""
    stacked = np.stack(columns)
    count = np.isfinite(stacked).sum(axis=0)
    mean = np.full(stacked.shape[1:], np.nan)
    np.divide(np.nansum(stacked, axis=0), count, out=mean, where=count > 0)
    return mean


def _floats(column: pa.ChunkedArray) -> FloatArray:
    values: FloatArray = column.to_numpy().astype(np.float64)
    return values


def _sha256(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()
