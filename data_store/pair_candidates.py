"""The images that pairs are made of, laid out on a line, and the pairs that are answered or listed.

A line is an order of images; a pair is two positions on it. Ids and paths stay in Arrow, and what
plans the pairs sees positions alone.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data_store.index import query
from data_store.layout import Store
from data_store.splits import TEST_FRACTION
from data_store.sql.errors import shown
from data_store.sql.user_query import user_query
from schemas.errors import InputError


class ImageChoice(NamedTuple):
    """Which images of the store may be paired."""

    folder: str | None = None
    """Only images with a file below this absolute folder; None for all."""
    train_only: bool = False
    """Leave out the groups that `train run` holds out with this seed and fraction."""
    split_seed: int = 0
    test_fraction: float = TEST_FRACTION


def images_by_hash(store: Store, choice: ImageChoice, *, seed: int) -> pa.Table:
    """Images in the order of SHA-256 of "seed:image_id", which adding images does not change.

    Returns:
        image_id, path, group_id, and hash_position: where the hash falls in [0, 1).
    """
    return query(
        store,
        f"""
        {_CANDIDATES}
        select
            image_id, path, group_id,
            ('0x' || digest[1:13])::bigint / 4503599627370496.0::double as hash_position
        from candidates order by digest
        """,
        _parameters(choice, seed),
    )


def images_by_score(
    store: Store, choice: ImageChoice, *, seed: int, teacher_id: str
) -> tuple[pa.Table, int]:
    """Images by a teacher's point score, worst first; equal scores in the order of the hash.

    Where several prompts were asked, score and variance are means over the prompts.

    Returns:
        The images with a point: image_id, path, group_id, score in [0, 1] and its variance, 0
        where the answer is a bare score; and how many images have no point.
    """
    parameters = _parameters(choice, seed)
    images = query(
        store,
        f"""
        {_CANDIDATES},
        answers as (
            select
                image_id, score, level_probs as p,
                p[2] + 2 * p[3] + 3 * p[4] + 4 * p[5] as mean,
                (p[2] + 4 * p[3] + 9 * p[4] + 16 * p[5] - mean * mean) / 16 as variance
            from points where teacher_id = $teacher_id
        ),
        scored as (
            select
                image_id, avg(score) as score, greatest(coalesce(avg(variance), 0), 0) as variance
            from answers group by image_id
        )
        select image_id, path, group_id, score, variance
        from candidates join scored using (image_id) order by score, digest
        """,
        parameters | {"teacher_id": teacher_id},
    )
    every = query(store, f"{_CANDIDATES} select count(*) as n from candidates", parameters)
    return images, int(every.column("n")[0].as_py()) - images.num_rows


def group_numbers(images: pa.Table) -> npt.NDArray[np.int64]:
    """(N,), the same number for images of one group."""
    # All chunks are encoded by one dictionary.
    codes = images.column("group_id").dictionary_encode()
    numbers = [chunk.indices.to_numpy() for chunk in codes.chunks]
    return np.concatenate([np.empty(0, dtype=np.int64), *numbers])


def answered_positions(
    store: Store, teacher_id: str, prompt_id: str, images: pa.Table
) -> npt.NDArray[np.int32]:
    """The pairs of these images that this teacher has answered this prompt about.

    Args:
        store: where.
        teacher_id: who was asked.
        prompt_id: what was asked.
        images: image_id; a row's number is its position.

    Returns:
        (A, 2), positions u < v, each pair once.
    """
    line = pa.table(
        {
            "image_id": images.column("image_id"),
            "position": pa.array(np.arange(images.num_rows, dtype=np.int32)),
        }
    )
    found = query(
        store,
        """
        select
            least(a.position, b.position) as lower, greatest(a.position, b.position) as upper
        from pairs
        join line as a on a.image_id = image_a
        join line as b on b.image_id = image_b
        where teacher_id = $teacher_id and prompt_id = $prompt_id
        """,
        {"teacher_id": teacher_id, "prompt_id": prompt_id},
        tables={"line": line},
    )
    return np.stack([found.column(name).to_numpy() for name in ("lower", "upper")], axis=1)


class Listed(NamedTuple):
    """What a user's query lists, as row numbers of a table of images."""

    rows: npt.NDArray[np.int32]
    """(L, 2), lesser number first, each pair once, in the query's order; or (L, 1), images."""
    repeated: int
    """Rows of the query that say what an earlier one says."""


def listed_by_query(store: Store, sql: str, images: pa.Table, *, within_groups: bool) -> Listed:
    """The pairs or images that a user's query lists.

    Args:
        store: where.
        sql: one query that only reads, with columns image_a and image_b, in either order of the
            two, or with a column image_id. Other columns are passed over.
        images: image_id and group_id of the images that may be paired.
        within_groups: whether two images of one group may be a pair.

    Raises:
        QueryRefused: the query is wrong or would do more than read.
        InputError: it has not these columns, or names images that are not there, an image with
            itself, or two images of one group; all together.
    """
    found = user_query(store, sql)
    names = ["image_a", "image_b"] if "image_a" in found.column_names else ["image_id"]
    if not set(names) <= set(found.column_names):
        raise InputError(
            f"the query has the columns {', '.join(found.column_names)}",
            where=shown(sql),
            fix="select image_a and image_b, which are pairs, or image_id, which are images",
        )
    columns = [found.column(name).cast(pa.string()) for name in names]
    numbers = [pc.index_in(column, value_set=images.column("image_id")) for column in columns]
    problems = [
        problem
        for name, column, number in zip(names, columns, numbers, strict=True)
        if (problem := _unknown(name, column, number))
    ]
    known = pc.is_valid(numbers[0]) if len(names) == 1 else pc.and_(*map(pc.is_valid, numbers))
    rows = np.stack([n.filter(known).to_numpy() for n in numbers], axis=1).astype(np.int32)
    if len(names) == 2:
        problems += _no_pairs(rows, images, within_groups=within_groups)
    if problems:
        raise InputError(
            "; ".join(problems),
            where=shown(sql),
            fix="leave these rows out in the query; --images and --split say which images may"
            " be paired, --within-groups allows pairs within a group",
        )
    return _each_once(rows)


def _unknown(name: str, ids: pa.ChunkedArray, numbers: pa.ChunkedArray) -> str:
    missing = ids.filter(pc.is_null(numbers))
    if not len(missing):
        return ""
    return (
        f"rows with an {name} that is not among the images to compare: {len(missing)}, such as"
        f" {missing[0].as_py()}"
    )


def _no_pairs(rows: npt.NDArray[np.int32], images: pa.Table, *, within_groups: bool) -> list[str]:
    def example(wrong: npt.NDArray[np.bool_]) -> str:
        a, b = (images.column("image_id")[int(row)].as_py() for row in rows[wrong][0])
        return f"such as {a} and {b}"

    itself = rows[:, 0] == rows[:, 1]
    groups = group_numbers(images)
    same = (groups[rows[:, 0]] == groups[rows[:, 1]]) & ~itself
    problems = []
    if itself.any():
        problems.append(f"rows that pair an image with itself: {itself.sum()}, {example(itself)}")
    if same.any() and not within_groups:
        problems.append(f"rows that pair two images of one group: {same.sum()}, {example(same)}")
    return problems


def _each_once(rows: npt.NDArray[np.int32]) -> Listed:
    rows = np.sort(rows, axis=1)
    keys = rows[:, 0].astype(np.int64) << 32
    keys += rows[:, -1]
    first = np.sort(np.unique(keys, return_index=True)[1])
    return Listed(rows[first], len(rows) - len(first))


def _parameters(choice: ImageChoice, seed: int) -> dict[str, object]:
    return choice._asdict() | {"seed": seed}


_CANDIDATES = """
with chosen as (
    select image_id, path, group_id from images where $folder::varchar is null
    union all
    select image_id, min(image_files.path) as path, any_value(images.group_id) as group_id
    from image_files join images using (image_id)
    where starts_with(image_files.path, $folder || '/')
        or starts_with(image_files.path, $folder || '::') or image_files.path = $folder
    group by image_id
),
candidates as (
    select image_id, path, group_id, sha256($seed || ':' || image_id) as digest
    from chosen
    where not $train_only or not is_test(group_id, $split_seed, $test_fraction)
)
"""
