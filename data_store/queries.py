"""The questions that our own commands ask the store: one named query, one function."""

from typing import Literal

import pyarrow as pa

from data_store.index import query
from data_store.layout import Store
from schemas.scale import LEVEL_WORDS


def teachers(store: Store) -> pa.Table:
    """Every teacher: teacher_id, name, point_count, pair_count."""
    counts = query(
        store,
        """
        select teacher_id, sum(point)::bigint as point_count, sum(pair)::bigint as pair_count
        from (
            select teacher_id, 1 as point, 0 as pair from points
            union all
            select teacher_id, 0, 1 from pairs
        )
        group by teacher_id order by teacher_id
        """,
    ).to_pydict()
    found = {
        teacher: (points, pairs) for teacher, points, pairs in zip(*counts.values(), strict=True)
    }
    specs = store.teachers()
    ids = sorted(specs.keys() | found.keys())
    return pa.table(
        {
            "teacher_id": pa.array(ids, pa.string()),
            "name": pa.array([specs[i].name if i in specs else "" for i in ids], pa.string()),
            "point_count": pa.array([found.get(i, (0, 0))[0] for i in ids], pa.int64()),
            "pair_count": pa.array([found.get(i, (0, 0))[1] for i in ids], pa.int64()),
        }
    )


def teacher_points(store: Store, teacher_id: str) -> pa.Table:
    """A teacher's score of each image: image_id, path, group_id, score in [0, 1], confidence.

    Where several prompts were asked, both are means over the prompts.
    """
    return query(
        store,
        """
        select image_id, path, group_id, avg(score) as score, avg(confidence) as confidence
        from points join images using (image_id)
        where teacher_id = $teacher_id
        group by all order by image_id
        """,
        {"teacher_id": teacher_id},
    )


def teacher_pairs(store: Store, teacher_id: str, *, prompt_id: str | None = None) -> pa.Table:
    """A teacher's preferences: image_a, image_b, preference_prob = P(a better), confidence.

    Where several prompts were asked, both are means over the prompts.

    Args:
        store: where.
        teacher_id: whose.
        prompt_id: the answers to this prompt; None for all.
    """
    return query(
        store,
        """
        select image_a, image_b, avg(preference_prob) as preference_prob,
            avg(confidence) as confidence
        from pairs
        where teacher_id = $teacher_id
            and ($prompt_id::varchar is null or prompt_id = $prompt_id)
        group by all order by image_a, image_b
        """,
        {"teacher_id": teacher_id, "prompt_id": prompt_id},
    )


def point_evidence(store: Store, teacher_id: str) -> pa.Table:
    """What a teacher says of each image: image_id, score, confidence, a probability per level word.

    Where several prompts were asked, all are means over the prompts.
    """
    levels = ", ".join(
        f"avg(level_probs[{place}] order by prompt_id) as {word}"
        for place, word in enumerate(LEVEL_WORDS, start=1)
    )
    return query(
        store,
        f"""
        select image_id, avg(score order by prompt_id) as score,
            avg(confidence order by prompt_id) as confidence, {levels}
        from points
        where teacher_id = $teacher_id and image_id in (select image_id from images)
        group by image_id order by image_id
        """,
        {"teacher_id": teacher_id},
    )


def pair_evidence(store: Store, teacher_id: str) -> pa.Table:
    """What a teacher says of each pair: image_a, image_b, preference_prob, confidence, both logits.

    Where several prompts were asked, all are means over the prompts; confidence is the view's
    `confidence_mean`.
    """
    return query(
        store,
        """
        select image_a, image_b,
            avg(preference_prob order by prompt_id) as preference_prob,
            avg(confidence_mean order by prompt_id) as confidence,
            avg(logit_ab order by prompt_id) as logit_ab,
            avg(logit_ba order by prompt_id) as logit_ba
        from pairs
        where teacher_id = $teacher_id
        group by image_a, image_b order by image_a, image_b
        """,
        {"teacher_id": teacher_id},
    )


def human_scores(store: Store) -> pa.Table:
    """Images with MOS: image_id, path, group_id, mos_unit in [0, 1] (mean over the sources)."""
    return query(
        store,
        """
        select image_id, path, group_id, avg(mos_unit) as mos_unit
        from mos join images using (image_id)
        group by all order by image_id
        """,
    )


def images_without_point(
    store: Store, teacher_id: str, prompt_id: str, *, folder: str | None
) -> pa.Table:
    """Images this teacher has not answered this prompt about: image_id, path, in a fixed order.

    Args:
        store: where.
        teacher_id: who is asked.
        prompt_id: what is asked.
        folder: only images with a file below this absolute folder; None for all.
    """
    asked = {"teacher_id": teacher_id, "prompt_id": prompt_id, "folder": folder}
    return query(store, _IMAGES_WITHOUT.format(table="points"), asked)


def images_without_state(
    store: Store, teacher_id: str, prompt_id: str, *, folder: str | None
) -> pa.Table:
    """Images whose state under this prompt is not stored; arguments and columns as above."""
    asked = {"teacher_id": teacher_id, "prompt_id": prompt_id, "folder": folder}
    return query(store, _IMAGES_WITHOUT.format(table="embeddings"), asked)


def count_answered(
    store: Store,
    teacher_id: str,
    prompt_id: str,
    *,
    folder: str | None,
    table: Literal["points", "embeddings"] = "points",
) -> int:
    """How many images this teacher has a row about for this prompt; arguments as above."""
    # Only a folder needs the paths, and these are most of what a large store would have to read.
    below = (
        ""
        if folder is None
        else f"and image_id in (select image_id from image_files where {_BELOW_FOLDER})"
    )
    counted = query(
        store,
        f"""
        select count(*) as n from {table}
        where teacher_id = $teacher_id and prompt_id = $prompt_id {below}
        """,
        {"teacher_id": teacher_id, "prompt_id": prompt_id}
        | ({"folder": folder} if folder is not None else {}),
    )
    return int(counted.column("n")[0].as_py())


def images_to_compare(store: Store, *, folder: str | None) -> pa.Table:
    """Images that pairs can be made of: image_id, path, group_id, in a fixed order."""
    return query(
        store,
        f"""
        select image_id, min(image_files.path) as path, any_value(images.group_id) as group_id
        from image_files join images using (image_id)
        where {_BELOW_FOLDER.replace("path", "image_files.path")}
        group by image_id order by image_id
        """,
        {"folder": folder},
    )


def answered_pairs(store: Store, teacher_id: str, prompt_id: str) -> pa.Table:
    """Pairs this teacher has answered this prompt about: image_a, image_b."""
    return query(
        store,
        """
        select image_a, image_b from pairs
        where teacher_id = $teacher_id and prompt_id = $prompt_id
        order by image_a, image_b
        """,
        {"teacher_id": teacher_id, "prompt_id": prompt_id},
    )


_BELOW_FOLDER = (
    "($folder::varchar is null or starts_with(path, $folder || '/')"
    " or starts_with(path, $folder || '::') or path = $folder)"
)

_IMAGES_WITHOUT = f"""
    select image_id, min(path) as path from image_files
    where {_BELOW_FOLDER} and image_id not in (
        select image_id from {{table}}
        where teacher_id = $teacher_id and prompt_id = $prompt_id
    )
    group by image_id order by image_id
"""
