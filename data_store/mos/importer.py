"""Bring mean opinion scores into the store: all good rows of a file, or none.

Rows are matched to images by file name, in the database, so that millions of either fit. A row
without an image is no mistake, since a score file often covers more images than were added: it
becomes a row in `rejections`, and is matched when the file is added again after the image.

A MOS that is stored is never overwritten. One that replaces it, where that is wished, is a row of
a greater generation: of two rows with one key the views show that one (unique_rows.py).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from data_store.images.matching import OTHER_CASE, OTHER_ENDING
from data_store.index import query
from data_store.layout import Store
from data_store.mos.matched import Replace, conflicts, differs, match_scores
from data_store.mos.scores import MosColumns, Problem, read_scores
from data_store.named_columns import MEND_FIX, refuse
from data_store.rejections import Rejection, commit_rejections
from data_store.shards import commit_rows
from schemas.errors import MosFileError
from schemas.mos import MOS

ROWS_PER_SHARD = 1_000_000

REPLACE_FIX = (
    "mend these rows, or say --replace where the new MOS are to stand; ratings need those of all"
    " people together; nothing of the file was stored"
)


@dataclass(frozen=True, slots=True)
class MosSummary:
    """What became of the rows of a score file."""

    added: int
    replaced: int
    """MOS that stand for an older one of the same image and source."""
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
    replace: Replace = "never",
) -> MosSummary:
    """Read score files and commit one row per matched image.

    Args:
        store: where.
        paths: one file, or several that are read as if they were one.
        columns: what the files' columns hold.
        scale: worst and best value of the scale that the MOS are on.
        source: name of the data set or rating campaign.
        replace: what becomes of a MOS that differs from the stored one.

    Raises:
        MosFileError: naming every row that is empty, not a number, off the scale, double,
            ambiguous, or at odds with what is stored; nothing is written then. Also where no
            row matches.
    """
    check_scale(scale)
    paths = [paths] if isinstance(paths, Path) else list(paths)
    where = paths[0] if len(paths) == 1 else paths[0].parent
    scores, problems = read_scores(paths, columns, scale)
    return add_scores(
        store, scores, problems, where=where, scale=scale, source=source, replace=replace
    )


def add_scores(  # noqa: PLR0913 - what was read, what it is, and what to do with it
    store: Store,
    scores: pa.Table,
    problems: list[Problem],
    *,
    where: Path,
    scale: tuple[float, float],
    source: str,
    replace: Replace = "never",
) -> MosSummary:
    """Commit scores that were read already, as `add_mos`.

    Args:
        store: where.
        scores: the good rows, schema `scores.SCORES`.
        problems: what is wrong with the others.
        where: the file or folder, for messages.
        scale: worst and best value of the scale that the MOS are on.
        source: name of the data set or rating campaign.
        replace: what becomes of a MOS that differs from the stored one.

    Raises:
        MosFileError: as `add_mos`.
    """
    problems = list(problems)
    if not scores.num_rows and not problems:
        problems.append(Problem(0, "there is no row below the header"))
    matches = match_scores(store, scores, scale=scale, source=source)
    problems += conflicts(matches, scale, replace)
    fix = REPLACE_FIX if matches.filter(differs(replace)).num_rows else MEND_FIX
    refuse(where, [problem.text for problem in sorted(problems)], fix=fix)
    unmatched = matches.filter(pc.field("image_id").is_null())
    names = tuple(unmatched["name"].to_pylist())
    if len(names) == matches.num_rows:
        raise MosFileError(
            f"no row fits an image of the store; the file names {', '.join(names[:3])}"
            + (", …" if len(names) > 3 else ""),
            where=where,
            fix="add the images first with `store add-images`, or give the right --image-column",
        )
    matched = matches.filter(pc.field("first"))
    new = matched.filter(pc.field("stored_mos").is_null())
    other = matched.filter(differs(replace))
    _commit(store, new, scale=scale, source=source)
    _commit(store, other, scale=scale, source=source, generation=_next_generation(store, other))
    commit_rejections(store, _no_image(unmatched, where.absolute()), producer="store add-mos")
    return MosSummary(
        new.num_rows,
        other.num_rows,
        matched.num_rows - new.num_rows - other.num_rows,
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


def _next_generation(store: Store, rows: pa.Table) -> int:
    """Above that of every MOS there is; only where something is replaced."""
    if not rows.num_rows:
        return 0
    found = query(store, "select max(generation) as n from shards where table_name = 'mos'")
    return int(found["n"][0].as_py()) + 1


def _commit(
    store: Store,
    rows: pa.Table,
    *,
    scale: tuple[float, float],
    source: str,
    generation: int = 0,
) -> None:
    rows = rows.sort_by("image_id")
    table = pa.table(
        {
            "image_id": rows["image_id"],
            "source": pa.repeat(source, rows.num_rows),
            "mos": rows["mos"],
            "scale_min": pa.repeat(float(scale[0]), rows.num_rows),
            "scale_max": pa.repeat(float(scale[1]), rows.num_rows),
            "mos_std": rows["mos_std"],
            "rating_count": rows["rating_count"],
        },
        schema=MOS,
    )
    for start in range(0, table.num_rows, ROWS_PER_SHARD):
        commit_rows(
            store,
            "mos",
            table.slice(start, ROWS_PER_SHARD),
            producer="store add-mos",
            generation=generation,
        )


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
