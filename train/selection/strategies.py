"""In which order to show images to people: every strategy, as one pure function of arrays.

All orders are nested: the first k images of a larger budget are those of the budget k. So more
can be labelled later without regret, and curves over the budget compare like with like. Groups
take turns (`turns.py`).
"""

from typing import Literal, NamedTuple, get_args

import numpy as np

from schemas.errors import InputError, NotEnoughData
from train.selection.farthest_first import select_k_centre
from train.selection.pool import FloatArray, IntArray, Matrix, Pool
from train.selection.representative import select_coverage, select_design
from train.selection.turns import taking_turns, turn_of_each
from train.selection.uncertainty import Signal, rank_share, uncertainty

Strategy = Literal[
    "random", "stratified", "k_centre", "coverage", "design", "uncertainty", "diverse_uncertain"
]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
NEED_FEATURES: frozenset[Strategy] = frozenset(
    {"k_centre", "coverage", "design", "diverse_uncertain"}
)
NEED_SIGNAL: frozenset[Strategy] = frozenset({"uncertainty", "diverse_uncertain"})

MOST_REFERENCES = 4096
"""Of a larger pool so many images, drawn by the seed, stand for all where each is compared."""


class Ranking(NamedTuple):
    """Images in the order in which to show them, and the number that decided it."""

    order: IntArray  # (K,) rows of the pool
    score: FloatArray  # (K,) its meaning depends on the strategy; NaN where there is none


def choose(
    strategy: Strategy, pool: Pool, count: int, *, seed: int, signal: Signal = "confidence"
) -> IntArray:
    """The first `count` images to label, the most wanted first; `rank_pool` without the scores.

    For studies: `choose("design", Pool(group, features=features), 120, seed=0)` gives (120,) rows
    of the arrays of the pool.
    """
    return rank_pool(strategy, pool, count, seed=seed, signal=signal).order


def rank_pool(
    strategy: Strategy, pool: Pool, count: int, *, seed: int, signal: Signal = "confidence"
) -> Ranking:
    """Choose images to label next.

    Args:
        strategy: "random"; "stratified": evenly over the teacher's scores; "k_centre": least like
            all chosen or labelled ones; "coverage": so that every image has one like it chosen;
            "design": so that a linear head on the features becomes surest of all images;
            "uncertainty": least sure first; "diverse_uncertain": k-centre with distances
            multiplied by the rank of the uncertainty.
        pool: N images in a fixed order.
        count: K, at most the number of candidates.
        seed: of what is left to chance; the same pool and seed give the same order.
        signal: which uncertainty, for the two strategies that use one.

    Returns:
        The order, with: nothing; the teacher's score; the distance to the nearest chosen or
        labelled image; the likeness gained; the share of variance taken off; the uncertainty.

    Raises:
        InputError: more images are wanted than there are.
        NotEnoughData: the pool lacks what the strategy looks at.
    """
    rows = pool.candidates()
    if not 1 <= count <= len(rows):
        raise InputError(
            f"{count} images cannot be chosen from {len(rows)} candidates",
            where="--budget",
            fix="ask for at least one image and at most as many as there are without MOS",
        )
    shuffled = np.random.default_rng(seed).permutation(rows)
    match strategy:
        case "random":
            ranking = Ranking(taking_turns(shuffled, pool), np.full(len(rows), np.nan))
        case "stratified":
            ranking = _stratified(pool, shuffled, seed)
        case "uncertainty":
            unsure = uncertainty(pool, signal)
            falling = shuffled[np.argsort(-unsure[shuffled], kind="stable")]  # NaN comes last
            order = taking_turns(falling, pool)
            ranking = Ranking(order, unsure[order])
        case "k_centre":
            chosen = select_k_centre(_features(pool), pool, count, start=int(shuffled[0]))
            ranking = Ranking(chosen.order, chosen.value)
        case "diverse_uncertain":
            unsure = uncertainty(pool, signal)
            weight = _weights(unsure, rows)
            chosen = select_k_centre(
                _features(pool), pool, count, start=int(shuffled[0]), weight=weight
            )
            ranking = Ranking(chosen.order, unsure[chosen.order])
        case "coverage" | "design":
            select = select_coverage if strategy == "coverage" else select_design
            drawn = np.random.default_rng(seed).permutation(len(pool))[:MOST_REFERENCES]
            chosen = select(_features(pool), pool, count, references=np.sort(drawn))
            ranking = Ranking(chosen.order, chosen.value)
    return Ranking(ranking.order[:count], ranking.score[:count])


def _stratified(pool: Pool, shuffled: IntArray, seed: int) -> Ranking:
    """Evenly over the teacher's scores within each turn of the groups, the unscored last."""
    score = pool.teacher_score
    if score is None or np.isnan(score[shuffled]).all():
        raise NotEnoughData(
            f"no teacher has scored any of the {len(shuffled)} candidates",
            where="--strategy stratified",
            fix="run `annotate points`, or choose another strategy",
        )
    turn = turn_of_each(shuffled, pool)
    coins = np.random.default_rng((seed, 1))
    parts = []
    for number in np.unique(turn):
        mine = shuffled[turn == number]
        known = ~np.isnan(score[mine])
        rising = mine[known][np.argsort(score[mine][known], kind="stable")]
        parts += [_spread(rising, coins), mine[~known]]
    order = np.concatenate(parts)
    return Ranking(order, score[order])


def _spread(rising: IntArray, coins: np.random.Generator) -> IntArray:
    """A sorted list in an order of which every beginning lies evenly over the list.

    The two halves are spread likewise and take turns; a coin says which begins. So the first 2^m
    hold one of each of 2^m equal strata, as points of van der Corput's sequence do, scrambled as
    by Owen (1995), and any other number is as near to that as it can be.
    """
    if len(rising) < 2:
        return rising
    coin = int(coins.integers(2))
    middle = (len(rising) + coin) // 2
    halves = _spread(rising[:middle], coins), _spread(rising[middle:], coins)
    lower_first = len(halves[0]) > len(halves[1]) or (len(rising) % 2 == 0 and coin == 0)
    first, second = halves if lower_first else halves[::-1]
    order = np.empty_like(rising)
    order[0::2], order[1::2] = first, second
    return order


def _features(pool: Pool) -> Matrix:
    """(N, D) each column with mean 0 and deviation 1: none counts more for its unit alone.

    Raises:
        NotEnoughData: there are none.
    """
    if pool.features is None:
        raise NotEnoughData(
            "without a student there are no features to compare images by",
            where="--strategy",
            fix="give a finished run with --run, or choose another strategy",
        )
    mean, deviation = pool.features.mean(axis=0), pool.features.std(axis=0)
    features: Matrix = (pool.features - mean) / np.where(deviation > 1e-12, deviation, 1.0)
    return features.astype(np.float32, copy=False)


def _weights(unsure: FloatArray, rows: IntArray) -> FloatArray:
    """(N,) rank of the uncertainty among the candidates, in [0, 1]; 0 where it is unknown.

    A rank, because no unit can stretch it.
    """
    known = rows[~np.isnan(unsure[rows])]
    weights = np.zeros(len(unsure))
    weights[known] = (1.0 + (len(known) - 1) * rank_share(unsure[known])) / max(len(known), 1)
    return weights
