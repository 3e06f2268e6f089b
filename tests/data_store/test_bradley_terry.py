"""Scores from pairs: invariant, near what the evidence was made from, and the optimum there is."""

import csv
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.stats import spearmanr

from data_store.bradley_terry import (
    MOST_ITEMS_WITH_ERRORS,
    Comparisons,
    component_count,
    fit_bradley_terry,
)
from data_store.commands.ask import bradley_terry
from data_store.layout import create_store
from data_store.pair_scores import pair_scores
from data_store.shards import commit_rows
from schemas.errors import InputError
from schemas.rows import to_table
from schemas.tables import TABLES
from tests.data_store.planted_store import CHAIN, OTHER, planted_store
from tests.data_store.rows import TEACHER, image_id, pair


def simulated_evidence(seed, count=300, per_item=6, noise=0.7):
    """Simulated: true qualities and soft preferences, logit 2 (t_i - t_j) + noise."""
    rng = np.random.default_rng(seed)
    quality = rng.normal(size=count)
    halves = [rng.permutation(count) for _ in range(per_item)]
    first = np.concatenate([order[: count // 2] for order in halves])
    second = np.concatenate([order[count // 2 : 2 * (count // 2)] for order in halves])
    logit = 2 * (quality[first] - quality[second]) + noise * rng.normal(size=len(first))
    preference = 1 / (1 + np.exp(-logit))
    return quality, Comparisons(count, first, second, preference, np.ones(len(first)))


@st.composite
def few_pairs(draw):
    count = draw(st.integers(2, 7))
    items = st.integers(0, count - 1)
    ends = draw(st.lists(st.tuples(items, items).filter(lambda two: two[0] != two[1]), max_size=9))
    shares = draw(st.lists(st.floats(0, 1), min_size=len(ends), max_size=len(ends)))
    weights = draw(st.lists(st.floats(0.1, 5), min_size=len(ends), max_size=len(ends)))
    first, second = np.array(ends, dtype=np.int64).reshape(-1, 2).T
    return Comparisons(count, first, second, np.array(shares), np.array(weights))


def negative_log_posterior(scores, pairs, precision):
    gap = scores[pairs.first] - scores[pairs.second]
    likelihood = pairs.preference * -np.logaddexp(0, -gap)
    likelihood += (1 - pairs.preference) * -np.logaddexp(0, gap)
    return precision / 2 * (scores**2).sum() - (pairs.weight * likelihood).sum()


@settings(max_examples=40, deadline=None)
@given(few_pairs(), st.floats(0.05, 4))
def test_the_scores_are_the_optimum_that_scipy_finds(pairs, precision):
    fit = fit_bradley_terry(pairs, precision=precision)
    found = minimize(
        negative_log_posterior, np.zeros(pairs.item_count), (pairs, precision),
        method="BFGS", options={"gtol": 1e-7},
    )  # fmt: skip
    assert fit.converged
    assert fit.scores == pytest.approx(found.x, abs=1e-4)
    assert negative_log_posterior(fit.scores, pairs, precision) <= found.fun + 1e-9
    assert fit.scores.sum() == pytest.approx(0, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(few_pairs(), st.randoms(use_true_random=False))
def test_scores_do_not_depend_on_names_order_or_side(pairs, random):
    fit = fit_bradley_terry(pairs)
    names = np.array(random.sample(range(pairs.item_count), pairs.item_count))
    order = np.array(random.sample(range(len(pairs.first)), len(pairs.first)), dtype=np.int64)
    turned = Comparisons(
        pairs.item_count,
        names[pairs.second[order]],
        names[pairs.first[order]],
        1 - pairs.preference[order],
        pairs.weight[order],
    )
    again = fit_bradley_terry(turned)
    assert again.scores[names] == pytest.approx(fit.scores, abs=1e-7)
    assert again.standard_errors[names] == pytest.approx(fit.standard_errors)


@given(few_pairs())
def test_parts_are_counted_as_scipy_counts_them(pairs):
    shape = (pairs.item_count, pairs.item_count)
    graph = coo_array((pairs.weight, (pairs.first, pairs.second)), shape=shape)
    assert component_count(pairs) == connected_components(graph, directed=False)[0]


def test_a_pair_asked_twice_counts_as_one_of_double_weight():
    _, pairs = simulated_evidence(0, count=40)
    twice = Comparisons(40, *(np.concatenate([array, array]) for array in pairs[1:]))
    double = pairs._replace(weight=2 * pairs.weight)
    assert fit_bradley_terry(twice).scores == pytest.approx(fit_bradley_terry(double).scores)


def test_scores_recover_the_qualities_that_simulated_evidence_was_made_from():
    found = [
        spearmanr(quality, fit_bradley_terry(pairs).scores).statistic
        for quality, pairs in map(simulated_evidence, range(5))
    ]
    assert min(found) > 0.9  # 0.940 to 0.960 for twenty seeds


def test_a_weak_prior_lets_the_scores_reach_the_scale_of_the_evidence():
    quality, pairs = simulated_evidence(1, per_item=30, noise=0.1)
    scores = fit_bradley_terry(pairs, precision=1e-3).scores
    assert np.polyfit(quality, scores, 1)[0] == pytest.approx(2, abs=0.05)


def test_standard_errors_cover_the_difference_that_new_answers_make():
    rng = np.random.default_rng(0)
    _, pairs = simulated_evidence(2, count=60, per_item=40, noise=0.0)
    draws = [
        fit_bradley_terry(
            pairs._replace(preference=(rng.random(len(pairs.first)) < pairs.preference) * 1.0),
            precision=1e-2,
        )
        for _ in range(60)
    ]
    spread = np.std([draw.scores for draw in draws], axis=0)
    stated = np.mean([draw.standard_errors for draw in draws], axis=0)
    # The common level is known by the prior alone, and is part of the stated error.
    common = 1 / (1e-2 * 60)
    assert np.sqrt(stated**2 - common).mean() == pytest.approx(spread.mean(), rel=0.15)


def test_images_that_won_everything_have_finite_scores_in_order():
    pairs = Comparisons(4, np.arange(3), np.arange(1, 4), np.ones(3), np.ones(3))
    scores = fit_bradley_terry(pairs).scores
    assert np.isfinite(scores).all()
    assert np.all(np.diff(scores) < 0)


def test_without_a_pair_all_scores_are_zero_and_errors_those_of_the_prior():
    none = np.zeros(0, dtype=np.int64)
    fit = fit_bradley_terry(
        Comparisons(3, none, none, none.astype(float), none.astype(float)), precision=4
    )
    assert fit.scores.tolist() == [0, 0, 0]
    assert fit.standard_errors.tolist() == [0.5, 0.5, 0.5]


def test_a_hundred_thousand_pairs_take_seconds_and_have_no_errors():
    _, pairs = simulated_evidence(3, count=20_000, per_item=10)
    assert pairs.item_count > MOST_ITEMS_WITH_ERRORS
    fit = fit_bradley_terry(pairs)
    assert fit.converged
    assert fit.standard_errors is None
    assert fit.steps < 10


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"preference": np.array([1.5])}, "preference"),
        ({"preference": np.array([np.nan])}, "preference"),
        ({"weight": np.array([0.0])}, "weight"),
        ({"second": np.array([2])}, r"not in \[0, 2\)"),
        ({"second": np.array([0])}, "itself"),
        ({"second": np.array([0, 1])}, "shapes"),
    ],
)
def test_what_is_no_comparison_is_refused(change, said):
    good = Comparisons(2, np.array([0]), np.array([1]), np.array([0.5]), np.array([1.0]))
    with pytest.raises(ValueError, match=said):
        fit_bradley_terry(good._replace(**change))


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return planted_store(tmp_path_factory.mktemp("pairs") / "store")


def test_a_teachers_chain_comes_out_in_its_order(planted):
    found = pair_scores(planted, teacher=TEACHER[:10])
    rows = {row["image_id"]: row for row in found.rows.to_pylist()}
    high, middle, low = (rows[image_id(number)] for number in CHAIN)
    assert high["bt_score"] > middle["bt_score"] > low["bt_score"]
    assert high["path"] == f"/photos/{CHAIN[0]}.png"
    assert high["pair_count"] == 2
    assert (found.pair_count, found.part_count, found.converged) == (8, 4, True)
    scores = found.rows.column("bt_score").to_pylist()
    assert scores == sorted(scores, reverse=True)


def test_unsure_pairs_are_left_out_and_counted(planted):
    found = pair_scores(planted, teacher=OTHER[:10], min_confidence=0.1)
    assert (found.pair_count, found.left_out_count) == (6, 2)
    with pytest.raises(InputError, match="none of 8 pairs has a confidence of 1"):
        pair_scores(planted, teacher=OTHER, min_confidence=1.0)


def test_several_prompts_about_a_pair_count_once_and_one_can_be_chosen(tmp_path):
    store = create_store(tmp_path / "store")
    rows = [pair(0, 1, (-0.1, -4.0), (-4.0, -0.1)), pair(1, 2, (-0.1, -2.0), (-2.0, -0.1))]
    rows += [row | {"prompt_id": "f" * 64} for row in rows[:1]]
    commit_rows(
        store, "pairs", to_table(rows, TABLES["pairs"]), producer="test", teacher_id=TEACHER
    )
    assert pair_scores(store).pair_count == 2
    assert pair_scores(store, prompt="ffff").pair_count == 1
    with pytest.raises(InputError, match="0 prompts fit 'zzz'"):
        pair_scores(store, prompt="zzz")


@pytest.mark.parametrize(
    ("wanted", "said"), [("", "2 teachers with pairs could be meant"), ("zzz", "fit 'zzz'")]
)
def test_the_teacher_must_be_clear(planted, wanted, said):
    with pytest.raises(InputError, match=said):
        pair_scores(planted, teacher=wanted)


def test_the_command_prints_json_or_writes_csv(planted, tmp_path, capsys):
    bradley_terry(str(planted.root), teacher=TEACHER[:8], as_json=True)
    printed = capsys.readouterr()
    rows = json.loads(printed.out)
    assert list(rows[0]) == ["image_id", "path", "bt_score", "standard_error", "pair_count"]
    assert "8 pairs of 10 images, 0 left out" in printed.err
    assert "no pair connects 4 sets of images" in printed.err
    bradley_terry(str(planted.root), teacher=TEACHER[:8], out=tmp_path / "scores.csv")
    with (tmp_path / "scores.csv").open(newline="") as stream:
        written = list(csv.DictReader(stream))
    assert [row["image_id"] for row in written] == [row["image_id"] for row in rows]
    assert [float(row["bt_score"]) for row in written] == [row["bt_score"] for row in rows]


@pytest.mark.parametrize(
    ("out", "said"), [("scores.xlsx", "ends in .csv or .parquet"), ("x/y.csv", "no such folder")]
)
def test_a_file_that_cannot_be_written_is_refused_first(planted, tmp_path, out, said):
    with pytest.raises(InputError, match=said):
        bradley_terry(str(planted.root), out=tmp_path / out)
