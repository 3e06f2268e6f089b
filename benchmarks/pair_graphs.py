"""Which pairs are worth asking about, and what does their order save?

    python -m benchmarks.pair_graphs

Four questions. How well do the scores that follow from the pairs of a graph rank a simulated
teacher's images, against as many pairs from random matchings? How often is an image encoded when
the encoder cache holds so many? How should the images of listed pairs be laid out? How long does
planning take for a million images? Prints and keeps the figures, in a minute or two.
"""

import time
from collections import OrderedDict
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.stats import spearmanr

from annotate.pair_line import PositionPairs
from annotate.pair_order import RequestOrder, laid_out, predicted_prefix_hits, request_order
from annotate.pair_planner import FIRST_OFFSETS, plan_along
from benchmarks.record import record

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

PER_IMAGE = 5
SEEDS = 8
OFFSETS = (FIRST_OFFSETS, (1, 2, 3), (1, 4, 12), (1, 8, 12), (1, 7, 11), (1, 21, 64))
CACHED_IMAGES = (16, 24, 32)
"""vLLM's encoder cache holds `max_num_batched_tokens`; 8,192 are 32 images of 256 tokens."""
PRIOR_PRECISION = 0.1
UNANSWERED = np.empty((0, 2), dtype=np.int32)


def main() -> None:
    """Print and keep all figures."""
    for count in (400, 3000, 20_000):
        _scores(count, seeds=SEEDS if count < 20_000 else 1)
    for per_image in (2, 3, 8, 10):
        _report_srcc(1000, per_image, FIRST_OFFSETS, SEEDS)
        _report_srcc(1000, per_image, None, SEEDS)
    _caches(2000)
    _layouts(2000)
    _seconds(1_000_000)


def line_pairs(count: int, per_image: int, offsets: tuple[int, ...]) -> PositionPairs:
    """The pairs that the planner chooses: so many per image, these offsets first."""
    wanted = count * per_image // 2
    return plan_along(np.arange(count), wanted, answered=UNANSWERED, first_offsets=offsets)


def random_matchings(count: int, per_image: int, rng: np.random.Generator) -> PositionPairs:
    """As many pairs from random perfect matchings, none twice."""
    chosen: dict[tuple[int, int], None] = {}
    while len(chosen) < count * per_image // 2:
        matched = np.sort(rng.permutation(count)[: count - count % 2].reshape(-1, 2), axis=1)
        chosen |= dict.fromkeys((int(u), int(v)) for u, v in matched)
    return np.array(list(chosen)[: count * per_image // 2], dtype=np.int32)


def simulated_srcc(pairs: PositionPairs, count: int, rng: np.random.Generator) -> float:
    """SRCC of Bradley-Terry scores with what a simulated teacher perceives.

    Quality q ~ N(0, 1), percept t = q + 0.5 N, logit of a pair 2 (t_i - t_j) + 0.7 N, and 0.7 N in
    each of the two orders, which are averaged. METHOD.md 6.4 of the project's design notes.
    """
    percept = rng.normal(size=count) + 0.5 * rng.normal(size=count)
    first, second = pairs.T
    noise = 0.7 * rng.normal(size=len(pairs)) + 0.7 / np.sqrt(2) * rng.normal(size=len(pairs))
    logits = 2 * (percept[first] - percept[second]) + noise
    scores = bradley_terry(pairs, 1 / (1 + np.exp(-logits)), count)
    return float(spearmanr(scores, percept).statistic)


def bradley_terry(pairs: PositionPairs, preferences: FloatArray, count: int) -> FloatArray:
    """Scores s of the greatest posterior for P(i over j) = sigmoid(s_i - s_j), prior N(0, 10)."""
    first, second = pairs.T

    def loss(scores: FloatArray) -> tuple[float, FloatArray]:
        gap = scores[first] - scores[second]
        terms = preferences * np.logaddexp(0, -gap) + (1 - preferences) * np.logaddexp(0, gap)
        slope = 1 / (1 + np.exp(-gap)) - preferences
        gradient = np.bincount(first, slope, count) - np.bincount(second, slope, count)
        prior = PRIOR_PRECISION * scores
        return float(terms.sum() + 0.5 * prior @ scores), gradient + prior

    found = minimize(loss, np.zeros(count), jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return np.asarray(found.x)


def encoder_runs(order: RequestOrder, slots: int) -> int:
    """How often an image is encoded if the last `slots` images that were used are kept.

    The first image is not looked up where the request before had the same: the prefix cache
    then holds all that follows from it.
    """
    kept: OrderedDict[int, None] = OrderedDict()
    runs = 0
    for image in _looked_up(order):
        runs += image not in kept
        kept[image] = None
        kept.move_to_end(image)
        if len(kept) > slots:
            kept.popitem(last=False)
    return runs


def _looked_up(order: RequestOrder) -> Iterator[int]:
    before = -1
    for first, second in zip(order.first.tolist(), order.second.tolist(), strict=True):
        if first != before:
            yield first
        yield second
        before = first


def _scores(count: int, *, seeds: int) -> None:
    for offsets in (None, *OFFSETS):
        _report_srcc(count, PER_IMAGE, offsets, seeds)


def _report_srcc(count: int, per_image: int, offsets: tuple[int, ...] | None, seeds: int) -> None:
    found = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        pairs = (
            random_matchings(count, per_image, rng)
            if offsets is None
            else line_pairs(count, per_image, offsets)
        )
        found.append(simulated_srcc(pairs, count, rng))
    name = f"srcc_{count}_images_{per_image}_per_image_{_graph(offsets)}"
    record("pair_graphs", name, float(np.mean(found)), "SRCC")


def _caches(count: int) -> None:
    graphs = {_graph(offsets): line_pairs(count, PER_IMAGE, offsets) for offsets in OFFSETS}
    graphs[_graph(None)] = random_matchings(count, PER_IMAGE, np.random.default_rng(0))
    for name, pairs in graphs.items():
        _report_order(f"{PER_IMAGE}_per_image_{name}", request_order(pairs), count)
    for per_image in (8, 10):
        pairs = line_pairs(count, per_image, FIRST_OFFSETS)
        _report_order(f"{per_image}_per_image_{_graph(FIRST_OFFSETS)}", request_order(pairs), count)


def _layouts(count: int) -> None:
    """Listed pairs: close in score, by closeness; at random; copies of one source; anchors."""
    rng = np.random.default_rng(0)
    scores = rng.normal(size=count)
    near = np.argsort(scores)[line_pairs(count, PER_IMAGE, ())]
    sources = np.arange(count).reshape(-1, 10)
    first, second = np.triu_indices(10, k=1)
    copies = np.stack([sources[:, first].ravel(), sources[:, second].ravel()], axis=1)
    lists: dict[str, npt.NDArray[np.integer]] = {
        "near": near[np.argsort(np.abs(np.diff(scores[near], axis=1)[:, 0]))],
        "random": random_matchings(count, PER_IMAGE, rng),
        "copies": rng.permutation(copies),
        "anchors": rng.permutation(_with_anchors(count, anchors=5)),
    }
    for name, listed in lists.items():
        for layout, order in (
            ("cuthill_mckee", laid_out(listed, count)),
            ("first_appearance", _by_first_appearance(listed)),
        ):
            places = np.empty(count, dtype=np.int64)
            places[order] = np.arange(count)
            pairs = np.sort(places[listed], axis=1).astype(np.int32)
            _report_order(f"listed_{name}_{layout}", request_order(pairs), count)


def _with_anchors(count: int, *, anchors: int) -> IntArray:
    """Each image with each of a few."""
    first, second = np.meshgrid(np.arange(anchors), np.arange(anchors, count))
    return np.stack([first.ravel(), second.ravel()], axis=1)


def _by_first_appearance(pairs: npt.NDArray[np.integer]) -> IntArray:
    images, first = np.unique(pairs, return_index=True)
    return np.asarray(images[np.argsort(first)], dtype=np.int64)


def _report_order(name: str, order: RequestOrder, count: int) -> None:
    record("pair_graphs", f"prefix_hits_{name}", predicted_prefix_hits(order), "share of requests")
    for slots in CACHED_IMAGES:
        runs = encoder_runs(order, slots) / count
        record("pair_graphs", f"encoder_runs_{name}_{slots}_kept", runs, "per image")


def _seconds(count: int) -> None:
    start = time.perf_counter()
    pairs = line_pairs(count, PER_IMAGE, FIRST_OFFSETS)
    planned = time.perf_counter()
    request_order(pairs)
    ordered = time.perf_counter()
    record("pair_graphs", f"plan_{count}_images", planned - start, "s")
    record("pair_graphs", f"order_{count}_images", ordered - planned, "s")


def _graph(offsets: tuple[int, ...] | None) -> str:
    return "matchings" if offsets is None else "line_" + "_".join(map(str, offsets))


if __name__ == "__main__":
    main()
