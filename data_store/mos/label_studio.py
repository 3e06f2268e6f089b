"""Ratings in Label Studio's JSON export, as one mean opinion score per image.

An export is a list of tasks; a task has `data` (with the `image_id` that `train select` put
there) and `annotations`, one per person, whose `result` holds what each control of the labelling
page gave: a star rating or a number. Annotations that were skipped do not count.
"""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from data_store.mos.scores import SCORES, Problem
from schemas.errors import MosFileError

LABEL_STUDIO = "label-studio"
"""Name of the layout."""

_VALUES = ("rating", "number")


class RatedTasks(NamedTuple):
    """What an export holds."""

    scores: pa.Table
    """Schema SCORES: mean, standard deviation and number of the ratings of each image."""
    problems: list[Problem]
    unrated_count: int
    """Tasks that nobody has rated."""


class _Rating(NamedTuple):
    control: str
    value: float


def read_label_studio(
    path: Path, scale: tuple[float, float], *, image: str = "image_id", control: str = ""
) -> RatedTasks:
    """Read an export.

    Args:
        path: the JSON file.
        scale: worst and best rating; one outside is a problem.
        image: key of `data` that names the image.
        control: name of the rating control; may be empty where there is only one.

    Returns:
        One row per rated task; the deviation is of the sample, null for a single rating.

    Raises:
        MosFileError: the file is no such export, or several controls were used and none named.
    """
    tasks = _tasks(path)
    ratings = [list(_ratings(task)) for task in tasks]
    wanted = control or _only_control(path, ratings)
    rows, problems, unrated = [], [], 0
    for number, (task, given) in enumerate(zip(tasks, ratings, strict=True)):
        place = f"task {task.get('id', number + 1)}"
        values = [rating.value for rating in given if rating.control == wanted]
        name = task["data"].get(image)
        if not values:
            unrated += 1
        elif not isinstance(name, str) or not name:
            problems.append(Problem(number, f"{place}: its data have no {image}"))
        elif not all(scale[0] <= value <= scale[1] for value in values):
            text = f"{place}: {name} is rated outside the scale {scale[0]:g} to {scale[1]:g}"
            problems.append(Problem(number, text))
        else:
            std = float(np.std(values, ddof=1)) if len(values) > 1 else None
            rows.append((number, place, name, float(np.mean(values)), std, len(values)))
    table = pa.Table.from_pylist(
        [dict(zip(SCORES.names, row, strict=True)) for row in rows], schema=SCORES
    )
    return RatedTasks(table, problems, unrated)


def _tasks(path: Path) -> list[dict[str, Any]]:
    try:
        tasks = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise _no_export(path, f"the file cannot be read: {error}") from error
    if not isinstance(tasks, list) or not all(
        isinstance(task, dict) and isinstance(task.get("data"), dict) for task in tasks
    ):
        raise _no_export(path, "this is no list of tasks with data and annotations")
    return tasks


def _ratings(task: dict[str, Any]) -> Iterator[_Rating]:
    """What people gave, one rating per person and control."""
    for annotation in task.get("annotations") or ():
        if not isinstance(annotation, dict) or annotation.get("was_cancelled"):
            continue
        for result in annotation.get("result") or ():
            value = result.get("value") if isinstance(result, dict) else None
            for kind in _VALUES:
                found = value.get(kind) if isinstance(value, dict) else None
                if isinstance(found, int | float) and math.isfinite(found):
                    yield _Rating(str(result.get("from_name", "")), float(found))


def _only_control(path: Path, ratings: Sequence[Sequence[_Rating]]) -> str:
    names = sorted({rating.control for given in ratings for rating in given})
    if len(names) == 1:
        return names[0]
    if not names:
        raise _no_export(path, "no task has a rating")
    raise MosFileError(
        f"the tasks were rated by several controls: {', '.join(names)}",
        where=path,
        fix=f"name one with --mos-column, as in --mos-column {names[0]}",
    )


def _no_export(path: Path, what: str) -> MosFileError:
    return MosFileError(
        what,
        where=path,
        fix="export the project from Label Studio as JSON (not JSON_MIN or CSV), once people have"
        " rated; docs/label-selection.md shows how",
    )
