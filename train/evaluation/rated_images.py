"""What a store holds of the images that people rated: opinions, scores and preferences.

Opinions of two sources are never pooled here: their scales mean different things. Images that
nobody has the file of count too; each is a group of its own.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data_store import queries
from data_store.index import query
from data_store.layout import Store
from schemas.errors import InputError, NotEnoughData
from train.training_data import choose_teachers

FloatArray = NDArray[np.float64]


class RatedImages(NamedTuple):
    """N images with opinions of one source, by ascending id."""

    source: str
    image_ids: pa.Array
    """(N,) string."""
    paths: pa.Array
    """(N,) string, null where no file is known."""
    group_ids: pa.Array
    """(N,) string."""
    mos: FloatArray
    """(N,) in [0, 1]."""


class RatedPairs(NamedTuple):
    """P pairs a teacher judged, both of whose images have opinions of one source."""

    source: str
    preference_prob: FloatArray
    """(P,) P(first better)."""
    confidence: FloatArray
    """(P,) of the mean of the preference over both orders."""
    mos_difference: FloatArray
    """(P,) MOS of the first less that of the second, in [-1, 1]."""


def rated_images(store: Store, *, source: str = "") -> list[RatedImages]:
    """The images with opinions, one element per source.

    Args:
        store: where.
        source: only this one; empty for all.

    Raises:
        NotEnoughData: there is no opinion.
        InputError: there is none of this source.
    """
    table = query(
        store,
        """
        select mos.source, image_id, min(path) as path,
            coalesce(min(group_id), image_id) as group_id, any_value(mos_unit) as mos_unit
        from mos left join images using (image_id)
        group by mos.source, image_id order by mos.source, image_id
        """,
    )
    sources = pc.unique(table["source"]).to_pylist()
    if not sources:
        raise NotEnoughData(
            "no image has an opinion",
            where=store.address,
            fix="bring opinions in with `store add-mos`",
        )
    if source and source not in sources:
        raise InputError(
            f"there is no opinion of {source!r}; there are {', '.join(sources)}",
            where="--source",
            fix="choose one of these, or leave it out",
        )
    return [_of_source(table, name) for name in ([source] if source else sources)]


def _of_source(table: pa.Table, source: str) -> RatedImages:
    own = table.filter(pc.equal(table["source"], source)).combine_chunks()
    ids, paths, groups = (own[name].combine_chunks() for name in ("image_id", "path", "group_id"))
    return RatedImages(source, ids, paths, groups, _floats(own["mos_unit"]))


def named_teachers(store: Store, wanted: list[str]) -> dict[str, str]:
    """Names to teacher ids; all teachers of the store where none is wanted.

    A name that two teachers share is followed by the start of the id.

    Raises:
        InputError: none or several fit what is wanted.
        NotEnoughData: no teacher has answered anything.
    """
    known = queries.teachers(store).to_pylist()
    ids = choose_teachers(store, wanted) if wanted else [row["teacher_id"] for row in known]
    names = {row["teacher_id"]: row["name"] for row in known}
    all_names = list(names.values())
    shown = {
        i: names[i] if names[i] and all_names.count(names[i]) == 1 else f"{names[i]} ({i[:8]})"
        for i in ids
    }
    return {shown[i]: i for i in ids}


def teacher_scores(
    store: Store, teacher_id: str, images: RatedImages
) -> tuple[FloatArray, FloatArray]:
    """A teacher's score and confidence of each image, (N,) each; NaN where there is none."""
    given = query(
        store,
        "select image_id, score, confidence from teacher_scores where teacher_id = $teacher",
        {"teacher": teacher_id},
    )
    score, confidence = (spread(given, name, images.image_ids) for name in ("score", "confidence"))
    return score, confidence


def rated_pairs(store: Store, teacher_id: str, *, source: str) -> RatedPairs:
    """The pairs of one teacher between images with opinions of a source, means over prompts."""
    found = query(
        store,
        """
        with own as (select image_id, mos_unit from mos where source = $source)
        select image_a, image_b, avg(preference_prob) as prob,
            avg(confidence_mean) as confidence,
            any_value(a.mos_unit) - any_value(b.mos_unit) as difference
        from pairs
            join own as a on a.image_id = image_a
            join own as b on b.image_id = image_b
        where teacher_id = $teacher and preference_prob is not null
        group by image_a, image_b order by image_a, image_b
        """,
        {"teacher": teacher_id, "source": source},
    )
    prob, confidence, difference = (
        _floats(found[name]) for name in ("prob", "confidence", "difference")
    )
    return RatedPairs(source, prob, confidence, difference)


def spread(table: pa.Table, column: str, image_ids: pa.Array) -> FloatArray:
    """A column at the places of `image_ids`, (N,); NaN where the table has no row or a null."""
    values = np.full(len(image_ids), np.nan)
    place = pc.index_in(table["image_id"], value_set=image_ids)
    known = pc.is_valid(place)
    rows = place.filter(known).to_numpy().astype(np.int64)
    values[rows] = _floats(table[column].filter(known))
    return values


def _floats(column: pa.ChunkedArray) -> FloatArray:
    values: FloatArray = pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False)
    return values
