"""Which pairs to ask about: from a strategy and the store to positions on a line of images.

A strategy is a line on which all images are laid out, and an order of the pairs of positions. The
order is `pair_planner.py`, the SQL is `data_store/pair_candidates.py`.
"""

from enum import StrEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from annotate.pair_doubt import PointAnswers
from annotate.pair_line import LineKeys, PositionPairs, along_line
from annotate.pair_order import laid_out
from annotate.pair_planner import plan_along, plan_listed, plan_uncertain
from data_store.layout import Store
from data_store.pair_candidates import (
    ImageChoice,
    Listed,
    answered_positions,
    group_numbers,
    images_by_hash,
    images_by_score,
    listed_by_query,
)
from schemas.errors import InputError


class Strategy(StrEnum):
    """How pairs are chosen."""

    RANDOM = "random"
    """Neighbours on a line in the order of a hash: any image may meet any other."""
    NEAR = "near"
    """Neighbours on the line of the teacher's point scores: the closest in rank first."""
    UNCERTAIN = "uncertain"
    """Pairs whose preference, as the point answers imply it, is nearest to one half."""
    SQL = "sql"
    """What a query of the user lists."""


class PairChoice(NamedTuple):
    """Which pairs are wanted, and how many."""

    wanted: int | None
    """Answered pairs in the end, of those that the strategy may choose; None, with a query that
    lists pairs, for all that it lists."""
    strategy: Strategy = Strategy.RANDOM
    seed: int = 0
    """Of the hash. With points it decides between equal scores."""
    sql: str | None = None
    """With `Strategy.SQL`: a query for image_a and image_b, or for image_id."""
    within_groups: bool = False
    images: ImageChoice = ImageChoice()


class ChosenPairs(NamedTuple):
    """The pairs that are still to be asked about, on a line of images."""

    images: pa.Table
    """(N,), image_id and path, in the order of the line."""
    keys: LineKeys
    """(N,), in [0, 1), ascending along the line; `part_of` cuts by it."""
    pairs: PositionPairs
    """(M, 2), positions u < v, along the line: a stretch of rows is about a stretch of images."""
    answered: int
    """Pairs that count towards the budget and are answered already."""
    left_out: int = 0
    """Images that the strategy cannot use: they have no point."""
    repeated: int = 0
    """Rows of the query that say what an earlier row says."""


class Asking(NamedTuple):
    """Whose answers count, and to which question."""

    teacher_id: str
    prompt_id: str


def choose_pairs(store: Store, asking: Asking, choice: PairChoice) -> ChosenPairs:
    """Choose the pairs so that `choice.wanted` are answered in the end.

    Pairs that are answered for whatever reason count, if the strategy may choose them: with a
    query that lists pairs these are its own, otherwise all pairs of the images.

    Raises:
        PairBudgetError: the images form, or the query lists, fewer pairs.
        InputError: fewer than two images; no points for a strategy that needs them; a query
            whose rows are no pairs; no number of pairs where a query does not give it.
        QueryRefused: the query is wrong or would do more than read.
    """
    match choice.strategy:
        case Strategy.RANDOM:
            chosen = _random(store, asking, choice, _images_by_hash(store, choice))
        case Strategy.NEAR | Strategy.UNCERTAIN:
            chosen = _by_points(store, asking, choice)
        case Strategy.SQL:
            chosen = _by_query(store, asking, choice)
    return chosen._replace(pairs=along_line(chosen.pairs))


def _images_by_hash(store: Store, choice: PairChoice) -> pa.Table:
    """The images that may be paired, in the order of their hash.

    Raises:
        InputError: there are fewer than two.
    """
    images = images_by_hash(store, choice.images, seed=choice.seed)
    if images.num_rows < 2:
        raise InputError(
            f"there are {images.num_rows} images to compare",
            where=store.address,
            fix="add images with `store add-images FOLDER`, or give --images FOLDER",
        )
    return images


def _random(store: Store, asking: Asking, choice: PairChoice, images: pa.Table) -> ChosenPairs:
    answered = answered_positions(store, *asking, images)
    groups = _apart(images, choice)
    pairs = plan_along(groups, _wanted(choice), answered=answered)
    keys = images.column("hash_position").to_numpy()
    return ChosenPairs(_named(images), keys, pairs, len(answered))


def _by_points(store: Store, asking: Asking, choice: PairChoice) -> ChosenPairs:
    images, left_out = images_by_score(
        store, choice.images, seed=choice.seed, teacher_id=asking.teacher_id
    )
    if images.num_rows < 2:
        raise InputError(
            f"{images.num_rows} of {images.num_rows + left_out} images have a point of this"
            f" teacher, and the strategy {choice.strategy} goes by points",
            where=f"{store.address}, teacher {asking.teacher_id[:12]}",
            fix="run `annotate points` with the same --model first",
        )
    answered = answered_positions(store, *asking, images)
    groups = _apart(images, choice)
    if choice.strategy is Strategy.NEAR:
        pairs = plan_along(groups, _wanted(choice), answered=answered, first_offsets=())
    else:
        points = PointAnswers(*(images.column(name).to_numpy() for name in ("score", "variance")))
        pairs = plan_uncertain(groups, points, _wanted(choice), answered=answered)
    return ChosenPairs(_named(images), _even(images), pairs, len(answered), left_out)


def _by_query(store: Store, asking: Asking, choice: PairChoice) -> ChosenPairs:
    images = _images_by_hash(store, choice)
    listed = listed_by_query(store, choice.sql or "", images, within_groups=choice.within_groups)
    if listed.rows.shape[1] == 2:
        return _listed_pairs(store, asking, choice, images=images, listed=listed)
    images = images.take(np.sort(listed.rows[:, 0]))
    if images.num_rows < 2:
        raise InputError(
            f"the query lists {images.num_rows} images",
            where="--from-sql",
            fix="let it list two images or more",
        )
    return _random(store, asking, choice, images)._replace(repeated=listed.repeated)


def _listed_pairs(
    store: Store, asking: Asking, choice: PairChoice, *, images: pa.Table, listed: Listed
) -> ChosenPairs:
    # The line is made of all that is listed, answered or not, so that it stays where it is.
    rows, numbers = np.unique(listed.rows, return_inverse=True)
    graph = numbers.reshape(-1, 2)
    order = laid_out(graph, len(rows))
    images = images.take(rows[order])
    pairs = np.sort(np.argsort(order)[graph], axis=1).astype(np.int32)
    answered = answered_positions(store, *asking, images)
    todo, done = plan_listed(pairs, choice.wanted, answered=answered)
    return ChosenPairs(_named(images), _even(images), todo, done, repeated=listed.repeated)


def _wanted(choice: PairChoice) -> int:
    if choice.wanted is None:
        raise InputError(
            f"the strategy {choice.strategy} needs a number of pairs",
            where="--n-pairs",
            fix="say how many pairs the store should hold in the end",
        )
    return choice.wanted


def _apart(images: pa.Table, choice: PairChoice) -> npt.NDArray[np.int64]:
    """(N,), groups within which no pair is made."""
    return np.arange(images.num_rows) if choice.within_groups else group_numbers(images)


def _even(images: pa.Table) -> LineKeys:
    keys: LineKeys = np.arange(images.num_rows) / max(images.num_rows, 1)
    return keys


def _named(images: pa.Table) -> pa.Table:
    return images.select(["image_id", "path"])
