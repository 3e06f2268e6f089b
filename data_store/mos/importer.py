"""Bring mean opinion scores into the store: all good rows of a file, or none.

Rows are matched to images by file name, in the database, so that millions of either fit. A row
without an image is no mistake, since a score file often covers more images than were added: it
becomes a row in `rejections`, and is matched when the file is added again after the image.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from data_store.images.matching import OTHER_CASE, OTHER_ENDING, match_names
from data_store.index import query
from data_store.layout import Store
from data_store.mos.scores import MosColumns, Problem, read_scores
from data_store.named_columns import refuse
from data_store.rejections import Rejection, commit_rejections
from data_store.shards import commit_rows
from schemas.errors import MosFileError
from schemas.mos import MOS

ROWS_PER_SHARD = 1_000_000


@dataclass(frozen=True, slots=True)
class MosSummary:
    """What became of the rows of a score file."""

    added: int
    unchanged: int
    unmatched: tuple[str, ...]
    """Image names in the file that the store does not know."""
    by_other_case: int
    """Rows whose name fits an image only if capitals and accents are written otherwise."""
    by_other_ending: int
    """Rows whose name fits an image only without its ending, or with another one."""
    images_without_mos: int
    """Images in the folders of the matched images that this source gives no MOS."""


def add_mos(
    store: Store,
    paths: Path | Sequence[Path],
    *,
    columns: MosColumns,
    scale: tuple[float, float],
    source: str,
) -> MosSummary:
    """Read score files and commit one row per matched image.

    Args:
        store: where.
        paths: one file, or several that are read as if they were one.
        columns: what the files' columns hold.
        scale: worst and best value of the scale that the MOS are on.
        source: name of the data set or rating campaign.

    Raises:
        MosFileError: naming every row that is empty, not a number, off the scale, double,
            ambiguous, or at odds with what is stored; nothing is written then. Also where no
            row matches.
    """
    check_scale(scale)
    paths = [paths] if isinstance(paths, Path) else list(paths)
    where = paths[0] if len(paths) == 1 else paths[0].parent
    scores, problems = read_scores(paths, columns, scale)
    return add_scores(store, scores, problems, where=where, scale=scale, source=source)


def add_scores(
    store: Store,
    scores: pa.Table,
    problems: list[Problem],
    *,
    where: Path,
    scale: tuple[float, float],
    source: str,
) -> MosSummary:
    """Commit scores that were read already, as `add_mos`.

    Args:
        store: where.
        scores: the good rows, schema `scores.SCORES`.
        problems: what is wrong with the others.
        where: the file or folder, for messages.
        scale: worst and best value of the scale that the MOS are on.
        source: name of the data set or rating campaign.

    Raises:
        MosFileError: as `add_mos`.
    """
    problems = list(problems)
    if not scores.num_rows and not problems:
        problems.append(Problem(0, "there is no row below the header"))
    matches = _match(store, scores, scale=scale, source=source)
    problems += _conflicts(matches, scale)
    refuse(where, [problem.text for problem in sorted(problems)])
    unmatched = matches.filter(pc.field("image_id").is_null())
    names = tuple(unmatched["name"].to_pylist())
    if len(names) == matches.num_rows:
        raise MosFileError(
            f"no row fits an image of the store; the file names {', '.join(names[:3])}"
            + (", …" if len(names) > 3 else ""),
            where=where,
            fix="add the images first with `store add-images`, or give the right --image-column",
        )
    added = _commit(store, matches, scale=scale, source=source)
    commit_rejections(store, _no_image(unmatched, where.absolute()), producer="store add-mos")
    matched = matches.filter(pc.field("first"))
    return MosSummary(
        added,
        matched.num_rows - added,
        names,
        matched.filter(pc.field("way") == OTHER_CASE).num_rows,
        matched.filter(pc.field("way") == OTHER_ENDING).num_rows,
        _images_without_mos(store, matches, source),
    )


def check_scale(scale: tuple[float, float]) -> None:
    """Refuse a scale that does not rise.

    Raises:
        MosFileError: naming the option.
    """
    if not -math.inf < scale[0] < scale[1] < math.inf:
        raise MosFileError(
            f"the scale runs from {scale[0]:g} to {scale[1]:g}",
            where="--scale",
            fix="give the worst value first, as in --scale 1 5",
        )


def _match(store: Store, scores: pa.Table, *, scale: tuple[float, float], source: str) -> pa.Table:
    """The score rows in order, each with the image it fits and what is stored of that image.

    Adds: way (how the name fits), image_count (how many images it fits that way), image_id
    (null unless it fits just one), twice (the name stood before), first (no earlier row fits the
    same image), first_mos (of that earlier row), stored_mos, same_scale.
    """
    return query(
        store,
        """
        with stored as (
            select image_id, mos as stored_mos,
                scale_min = $worst and scale_max = $best as same_scale
            from mos where source = $source
        ),
        placed as (select * from scores left join matched using (name))
        select placed.*, stored_mos, same_scale,
            row_number() over (partition by name order by row) > 1 as twice,
            image_id is not null
                and row_number() over (partition by image_id order by row) = 1 as first,
            first_value(mos) over (partition by image_id order by row) as first_mos
        from placed left join stored using (image_id)
        order by row
        """,
        {"worst": float(scale[0]), "best": float(scale[1]), "source": source},
        tables={"scores": scores, "matched": match_names(store, pc.unique(scores["name"]))},
    )


def _conflicts(matches: pa.Table, scale: tuple[float, float]) -> Iterator[Problem]:
    """Names that stand twice or fit several images, images with two MOS, changed MOS."""
    known, stored = pc.field("image_id").is_valid(), pc.field("stored_mos")
    wrong = matches.filter(
        pc.field("twice")
        | ((pc.field("image_count") > 1) & (pc.field("way") != OTHER_ENDING))
        | (known & (pc.field("mos") != pc.field("first_mos")))
        | (known & ((stored != pc.field("mos")) | ~pc.field("same_scale")))
    )
    for row in wrong.to_pylist():
        if row["twice"]:
            text = "stands twice"
        elif row["image_id"] is None:
            text = f"fits {row['image_count']} different images"
        elif row["mos"] != row["first_mos"]:
            text = "has the same bytes as an image with another MOS"
        elif row["same_scale"]:
            text = f"is stored with MOS {row['stored_mos']}, not {row['mos']}"
        else:
            text = f"is stored on another scale than {scale[0]:g} to {scale[1]:g}"
        yield Problem(row["row"], f"{row['place']}: {row['name']} {text}")


def _no_image(unmatched: pa.Table, where: Path) -> list[Rejection]:
    return [
        Rejection(
            name,
            "add-mos",
            "no_image",
            f"{where} rates it, but "
            + (f"{count} images have this name with other endings" if count else "no image fits"),
        )
        for name, count in zip(
            unmatched["name"].to_pylist(), unmatched["image_count"].to_pylist(), strict=True
        )
    ]


def _commit(store: Store, matches: pa.Table, *, scale: tuple[float, float], source: str) -> int:
    new = matches.filter(pc.field("first") & pc.field("stored_mos").is_null()).sort_by("image_id")
    table = pa.table(
        {
            "image_id": new["image_id"],
            "source": pa.repeat(source, new.num_rows),
            "mos": new["mos"],
            "scale_min": pa.repeat(float(scale[0]), new.num_rows),
            "scale_max": pa.repeat(float(scale[1]), new.num_rows),
            "mos_std": new["mos_std"],
            "rating_count": new["rating_count"],
        },
        schema=MOS,
    )
    for start in range(0, table.num_rows, ROWS_PER_SHARD):
        commit_rows(store, "mos", table.slice(start, ROWS_PER_SHARD), producer="store add-mos")
    return int(table.num_rows)


def _images_without_mos(store: Store, matches: pa.Table, source: str) -> int:
    found = query(
        store,
        """
        with files as (
            select image_id, left(path, length(path) - length(name)) as folder from image_files
        )
        select count(distinct image_id) as n from files
        where folder in (
            select folder from files where image_id in (
                select image_id from matches where image_id is not null
            )
        ) and image_id not in (select image_id from mos where source = $source)
        """,
        {"source": source},
        tables={"matches": matches},
    )
    return int(found["n"][0].as_py())
