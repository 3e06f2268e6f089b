"""Which images of a store have an opinion, and what its teachers say of them.

Opinions of two sources are never pooled: their scales mean different things. Images without a
file count too; each is a group of its own.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annotate.errors.level_scale import FloatArray
from data_store import queries
from data_store.index import query
from data_store.layout import Store
from data_store.splits import held_out
from schemas.errors import InputError, NotEnoughData
from schemas.scale import LEVEL_WORDS


class RatedImages(NamedTuple):
    """N images with an opinion of one source, by ascending id."""

    source: str
    scale: tuple[float, float]
    """Worst and best value of the scale that the opinions were given on."""
    image_ids: pa.Array
    """(N,) string."""
    mos: FloatArray
    """(N,) in [0, 1]."""
    mos_std: FloatArray
    """(N,) standard deviation of the ratings on that scale; NaN where unknown."""


class TeacherAnswers(NamedTuple):
    """What one teacher says of N images, means over its prompts; NaN where it says nothing."""

    name: str
    teacher_id: str
    scores: FloatArray
    """(N,) usually in [0, 1]."""
    level_probs: FloatArray
    """(N, 5), worst level first; NaN where the teacher gave a score alone."""


def rated_images(
    store: Store, *, source: str = "", test_fraction: float = 0.0, seed: int = 0
) -> list[RatedImages]:
    """The images with opinions, one element per source.

    Args:
        store: where.
        source: only this one; empty for all.
        test_fraction: above 0, only the groups that a split of this share holds out.
        seed: of that split.

    Raises:
        NotEnoughData: there is no opinion, or none of a held-out image.
        InputError: there is none of this source.
    """
    table = query(
        store,
        """
        select source, image_id, coalesce(min(group_id), image_id) as group_id,
            any_value(mos_unit) as mos_unit, any_value(scale_min) as scale_min,
            any_value(scale_max) as scale_max,
            any_value(mos_std / (scale_max - scale_min)) as mos_std
        from mos left join images using (image_id)
        group by source, image_id order by source, image_id
        """,
    )
    sources = pc.unique(table["source"]).to_pylist()
    if source and sources and source not in sources:
        raise InputError(
            f"there is no opinion of {source!r}; there are {', '.join(sources)}",
            where="--source",
            fix="choose one of these, or leave it out",
        )
    if test_fraction > 0 and len(table):
        groups = table["group_id"].combine_chunks()
        table = table.filter(pa.array(held_out(groups, seed=seed, test_fraction=test_fraction)))
    found = [_of_source(table, name) for name in ([source] if source else sources)]
    found = [one for one in found if len(one.mos)]
    if not found:
        raise NotEnoughData(
            "no held-out image has an opinion" if sources else "no image has an opinion",
            where=store.address,
            fix="bring opinions in with `store add-mos`"
            + (", or hold out a larger share with --test-fraction" if sources else ""),
        )
    return found


def _of_source(table: pa.Table, source: str) -> RatedImages:
    own = table.filter(pc.equal(table["source"], source)).combine_chunks()
    low, high = (_floats(own[name]) for name in ("scale_min", "scale_max"))
    scale = (float(low.min()), float(high.max())) if len(own) else (0.0, 1.0)
    mos, mos_std = (_floats(own[name]) for name in ("mos_unit", "mos_std"))
    return RatedImages(source, scale, own["image_id"].combine_chunks(), mos, mos_std)


def chosen_teachers(store: Store, wanted: Sequence[str]) -> dict[str, str]:
    """Teacher ids to names, in the order wanted; by name all that have points if none is.

    A name that two teachers share is followed by the beginning of the id.

    Raises:
        InputError: none or several teachers fit what is wanted.
    """
    known = {
        row["teacher_id"]: row["name"]
        for row in queries.teachers(store).to_pylist()
        if row["point_count"]
    }
    all_names = list(known.values())
    shown = {
        key: name if name and all_names.count(name) == 1 else f"{name} ({key[:8]})".lstrip()
        for key, name in known.items()
    }
    problems: list[str] = []
    chosen = {} if wanted else dict(sorted(shown.items(), key=lambda item: item[1]))
    for text in wanted:
        fitting = [key for key, name in known.items() if name == text or key.startswith(text)]
        if len(fitting) == 1:
            chosen[fitting[0]] = shown[fitting[0]]
        else:
            problems.append(f"{len(fitting)} teachers fit {text!r}")
    if problems:
        raise InputError(
            f"{'; '.join(problems)}; with points the store has {', '.join(shown.values())}",
            where="--teacher",
            fix="give a name, or more letters of the id",
        )
    return chosen


def answers_about(
    store: Store, teachers: dict[str, str], images: RatedImages
) -> Iterator[TeacherAnswers]:
    """What each of the teachers (id to name) says of the images."""
    levels = ", ".join(
        f"avg(level_probs[{place}] order by prompt_id) as {word}"
        for place, word in enumerate(LEVEL_WORDS, start=1)
    )
    for teacher_id, name in teachers.items():
        given = query(
            store,
            f"""
            select image_id, avg(score order by prompt_id) as score, {levels}
            from points
            where teacher_id = $teacher and image_id in (select image_id from rated)
            group by image_id
            """,
            {"teacher": teacher_id},
            tables={"rated": pa.table({"image_id": images.image_ids})},
        )
        place = pc.index_in(given["image_id"], value_set=images.image_ids).to_numpy()
        scores = np.full(len(images.mos), np.nan)
        scores[place] = _floats(given["score"])
        probs = np.full((len(images.mos), len(LEVEL_WORDS)), np.nan)
        probs[place] = np.stack([_floats(given[word]) for word in LEVEL_WORDS], axis=1)
        yield TeacherAnswers(name, teacher_id, scores, probs)


def _floats(column: pa.ChunkedArray) -> FloatArray:
    values: FloatArray = pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False)
    return values
