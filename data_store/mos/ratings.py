"""Ratings of single people, as the label page exports them, on their way to one MOS per image.

One line is one look of one person at one image:

    rater, image_id, image, rating, seconds, rated_at, page, position

`rating` is empty where the person could not rate. Further columns do not matter, and only
`rater`, `image_id`, `rating` and `rated_at` must be there.
"""

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from data_store.mos.rater_agreement import FloatArray, opinion
from data_store.mos.scores import SCORES, Problem
from data_store.mos.screening import BoolArray
from data_store.named_columns import place, read_columns
from schemas.errors import MosFileError

COLUMNS = ("rater", "image_id", "rating", "rated_at")
EXPORT_COLUMNS = (
    *("rater", "image_id", "image", "rating", "seconds", "rated_at", "page", "position"),
)
"""What the label page writes, in this order."""

SCALE = (1.0, 5.0)
"""Of the label page: 1 bad, 2 poor, 3 fair, 4 good, 5 excellent (ITU-T P.910, ACR)."""


class Ratings(NamedTuple):
    """The latest rating of each rater of each image."""

    raters: list[str]
    """(R,) names, in order."""
    images: list[str]
    """(N,) as the files name them, by first appearance."""
    values: FloatArray
    """(R, N); NaN where there is none."""
    places: list[str]
    """(N,) where each image stands first, for messages."""
    problems: list[Problem]
    replaced_count: int
    """Ratings that a later one of the same person and image stands for."""
    unrated_count: int
    """Looks at which somebody could not rate, and did not later."""


class _Look(NamedTuple):
    rater: str
    image: str
    value: float | None
    rated_at: datetime
    place: str


def rating_files(given: Sequence[Path]) -> list[Path]:
    """The files themselves; of a folder every CSV in it, by name.

    Raises:
        MosFileError: a folder holds no CSV.
    """
    files = []
    for path in given:
        found = sorted(path.glob("*.csv")) if path.is_dir() else [path]
        if not found:
            raise MosFileError(
                "the folder holds no .csv",
                where=path,
                fix="save in it what the label page exports, a file per person",
            )
        files += found
    return list(dict.fromkeys(files))


def read_ratings(paths: Sequence[Path], scale: tuple[float, float] = SCALE) -> Ratings:
    """Read the exports of several people, also of one person at several times.

    Of the same person and image the latest rating counts, whichever file it stands in; of two
    with one time the later line.

    Args:
        paths: read as if they were one file.
        scale: worst and best rating.

    Raises:
        MosFileError: a file cannot be read or lacks a column.
    """
    problems: list[Problem] = []
    looks = list(_looks(paths, scale, problems))
    latest: dict[tuple[str, str], _Look] = {}
    places: dict[str, str] = {}
    replaced = 0
    for look in looks:
        key = (look.rater, look.image)
        before = latest.get(key)
        replaced += before is not None and before.value is not None
        places.setdefault(look.image, look.place)
        if before is None or look.rated_at >= before.rated_at:
            latest[key] = look
    raters = sorted({look.rater for look in looks})
    images = list(places)
    row = {name: number for number, name in enumerate(raters)}
    column = {name: number for number, name in enumerate(images)}
    values = np.full((len(raters), len(images)), np.nan)
    for look in latest.values():
        if look.value is not None:
            values[row[look.rater], column[look.image]] = look.value
    unrated = sum(look.value is None for look in latest.values())
    return Ratings(raters, images, values, list(places.values()), problems, replaced, unrated)


def scores_of(ratings: Ratings, kept: BoolArray) -> pa.Table:
    """The MOS of each image that a kept rater rated, schema SCORES.

    Args:
        ratings: of all raters.
        kept: (R,) whose ratings count.
    """
    mean, std, count = opinion(ratings.values[kept])
    rated = np.flatnonzero(count > 0).tolist()
    rows = [
        {
            "row": number,
            "place": ratings.places[number],
            "name": ratings.images[number],
            "mos": float(mean[number]),
            "mos_std": float(std[number]) if math.isfinite(std[number]) else None,
            "rating_count": int(count[number]),
        }
        for number in rated
    ]
    return pa.Table.from_pylist(rows, schema=SCORES)


def _looks(
    paths: Sequence[Path], scale: tuple[float, float], problems: list[Problem]
) -> Iterable[_Look]:
    row = 0
    for path in paths:
        before = f"{path.name}, " if len(paths) > 1 else ""
        for number, cells in read_columns(path, COLUMNS, options="the names the label page gives"):
            where = before + place(path, number)
            try:
                yield _checked(cells, scale, where)
            except ValueError as error:
                problems.append(Problem(row, f"{where}: {error}"))
            row += 1


def _checked(cells: tuple[str, ...], scale: tuple[float, float], where: str) -> _Look:
    """One line; ValueError says all that is wrong with it."""
    rater, image, rating, rated_at = cells
    wrong = [
        f"the {name} is empty" for name, text in (("rater", rater), ("image_id", image)) if not text
    ]
    value = moment = None
    try:
        value = float(rating) if rating else None
    except ValueError:
        wrong.append(f"the rating is {rating!r}, not a number")
    if value is not None and not scale[0] <= value <= scale[1]:
        wrong.append(f"the rating is {rating}, outside the scale {scale[0]:g} to {scale[1]:g}")
    try:
        moment = datetime.fromisoformat(rated_at)
    except ValueError:
        wrong.append(f"rated_at is {rated_at!r}, not a time such as 2026-11-22T09:30:00Z")
    if wrong or moment is None:
        raise ValueError(", ".join(wrong))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return _Look(rater, image, value, moment, where)
