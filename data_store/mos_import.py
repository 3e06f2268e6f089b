"""Bring mean opinion scores into the store: all good rows of a file, or none.

Rows are matched to images by file name: by the path below the folder that was added, or by the
bare file name where just one image has it. Rows without an image are counted and named, since a
MOS file often covers more images than were added.
"""

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from data_store.csv_file import Line, read_columns, refuse
from data_store.index import query
from data_store.layout import Store
from data_store.shards import commit_rows
from schemas.errors import MosFileError
from schemas.mos import MOS
from schemas.rows import to_table


@dataclass(frozen=True, slots=True)
class MosSummary:
    """What became of the rows of a MOS file."""

    added: int
    unchanged: int
    unmatched: tuple[str, ...]
    """Image names in the file that the store does not know."""


def add_mos(
    store: Store,
    path: Path,
    *,
    image_column: str,
    mos_column: str,
    scale: tuple[float, float],
    source: str,
) -> MosSummary:
    """Read a CSV file of MOS and commit one row per matched image.

    Args:
        store: where.
        path: CSV file with a header.
        image_column: column with the image's file name.
        mos_column: column with its MOS.
        scale: worst and best value of the scale that the MOS are on.
        source: name of the data set or rating campaign.

    Raises:
        MosFileError: naming every row that is empty, not a number, off the scale, double, or at
            odds with what is stored; nothing is written then. Also where no row matches.
    """
    if not scale[0] < scale[1]:
        raise MosFileError(
            f"the scale runs from {scale[0]:g} to {scale[1]:g}",
            where="--scale",
            fix="give the worst value first, as in --scale 1 5",
        )
    scores = _checked_scores(path, read_columns(path, (image_column, mos_column)), scale)
    matched, unmatched = _match(store, path, scores)
    stored = _stored(store, source)
    _refuse_changes(path, matched, stored)
    rows = [
        {
            "image_id": image_id,
            "source": source,
            "mos": mos,
            "scale_min": float(scale[0]),
            "scale_max": float(scale[1]),
            "mos_std": None,
            "rating_count": None,
        }
        for image_id, mos in sorted(matched.items())
        if image_id not in stored
    ]
    if rows:
        commit_rows(store, "mos", to_table(rows, MOS), producer="store add-mos")
    return MosSummary(len(rows), len(matched) - len(rows), tuple(unmatched))


def _checked_scores(path: Path, lines: list[Line], scale: tuple[float, float]) -> dict[str, float]:
    scores: dict[str, float] = {}
    problems = []
    for number, (name, text) in lines:
        problem = _problem(name, text, scale)
        if problem is None and name in scores:
            problem = f"{name} stands twice"
        if problem is not None:
            problems.append(f"line {number}: {problem}")
        else:
            scores[name] = float(text)
    if not lines:
        problems.append("there is no row below the header")
    refuse(path, problems)
    return scores


def _problem(name: str, text: str, scale: tuple[float, float]) -> str | None:
    if not name:
        return "the image name is empty"
    if not text:
        return f"{name} has no MOS"
    try:
        value = float(text)
    except ValueError:
        return f"the MOS of {name} is {text!r}, not a number"
    if not math.isfinite(value) or not scale[0] <= value <= scale[1]:
        return f"the MOS of {name} is {text}, outside the scale {scale[0]:g} to {scale[1]:g}"
    return None


def _match(
    store: Store, path: Path, scores: Mapping[str, float]
) -> tuple[dict[str, float], list[str]]:
    by_name: dict[str, set[str]] = defaultdict(set)
    for row in query(store, "select name, image_id from image_files").to_pylist():
        by_name[row["name"]].add(row["image_id"])
        by_name[Path(row["name"]).name].add(row["image_id"])
    matched: dict[str, float] = {}
    unmatched, problems = [], []
    for name, mos in scores.items():
        found = by_name.get(name, set())
        if not found:
            unmatched.append(name)
        elif len(found) > 1:
            problems.append(f"{name} fits {len(found)} different images")
        elif matched.setdefault(next(iter(found)), mos) != mos:
            problems.append(f"{name} has the same bytes as an image with another MOS")
    refuse(path, problems)
    if not matched:
        raise MosFileError(
            f"no row fits an image of the store; the file names {', '.join(unmatched[:3])}, …",
            where=path,
            fix="add the images first with `store add-images`, or give the right --image-column",
        )
    return matched, unmatched


def _stored(store: Store, source: str) -> dict[str, float]:
    rows = query(store, "select image_id, mos from mos where source = $source", {"source": source})
    return dict(zip(*rows.to_pydict().values(), strict=True))


def _refuse_changes(path: Path, matched: Mapping[str, float], stored: Mapping[str, float]) -> None:
    refuse(
        path,
        [
            f"image {image_id[:12]}… is stored with MOS {stored[image_id]:g}, not {mos:g}"
            for image_id, mos in matched.items()
            if stored.get(image_id, mos) != mos
        ],
    )
