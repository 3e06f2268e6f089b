"""The views compute what the scale module does, for our teachers and for outside systems."""

from datetime import datetime

import numpy as np
import pytest
from scipy.stats import norm

from data_store.index import query
from data_store.layout import create_store
from data_store.shards import commit_rows
from schemas import scale
from schemas.ids import sha256_text
from schemas.rows import to_table
from schemas.tables import TABLES
from tests.data_store.rows import PROMPT, TEACHER, image_id, pair, point

OTHER_PROMPT = sha256_text("other prompt")
NO_BLANKS = sha256_text("prompt without blanks")
LEVELS = [
    (-3.0, -2.0, -1.0, -2.0, -3.0),
    (-0.1, -3.0, -4.0, -5.0, -6.0),
    (None, -1.5, None, -0.3, None),
    (-9e3, -9e3, -9e3, -9.5e3, None),
    (None, None, None, None, None),
    (None, None, -0.2, None, None),
]
"""Of image 0, 1, …; the last two have a score of their own."""
OTHER_LEVELS = [(-4.0, -3.0, -2.0, -1.0, -0.9), (-0.2, -2.0, -4.0, -4.0, -4.0)]
BLANKS = [(-1.0, -2.0, -3.0, -4.0, -5.0), (-2.0, -2.0, -2.0, -2.0, -2.0)]
NEW_RUN, OLD_RUN = "run b", "run a"
PAIRS = [
    pair(0, 1, (-0.1, -4.0), (-2.0, -0.3)),
    pair(1, 2, (-0.4, -1.4), (-0.5, -1.0)),
    pair(0, 2, (-0.1, -4.0), (-0.1, -4.0)) | {"letter_logprobs_ba": None},
    pair(0, 3, (-0.1, -4.0), (-1.1, -0.7)) | {"letter_logprobs_ab": None},
    pair(0, 4) | {"letter_logprobs_ab": None, "letter_logprobs_ba": None, "given_preference": 0.9},
]


@pytest.fixture(scope="module")
def views(tmp_path_factory):
    store = create_store(tmp_path_factory.mktemp("views") / "store")
    # Views that were made when there was nothing must hold for what comes.
    assert query(store, "from implied_pairs").num_rows == 0
    points = [point(n, levels) for n, levels in enumerate(LEVELS)]
    points[4] |= {"given_score": 0.75, "given_confidence": 0.5}
    points[5] |= {"given_score": 0.25}
    points += [point(n, row) | {"prompt_id": OTHER_PROMPT} for n, row in enumerate(OTHER_LEVELS)]
    points.append(point(0) | {"prompt_id": NO_BLANKS})
    _commit(store, "points", points)
    _commit(store, "pairs", PAIRS)
    _commit(store, "probes", _probes())
    return store


def _commit(store, table, rows):
    commit_rows(store, table, to_table(rows, TABLES[table]), producer="test", teacher_id=TEACHER)


def _probe(number, run, levels, *, kind="blank", day=1):
    return {
        "image_id": image_id(number),
        "teacher_id": TEACHER,
        "prompt_id": PROMPT,
        "run_id": run,
        "kind": kind,
        "name": f"{kind} {number}",
        "engine": f"engine of {run}",
        "asked_at": datetime(2026, 11, day),
        "level_logprobs": list(levels),
        "prompt_tokens": 30,
        "cached_tokens": 0,
    }


def _probes():
    blanks = [_probe(90 + n, NEW_RUN, levels, day=2) for n, levels in enumerate(BLANKS)]
    older = [_probe(90, OLD_RUN, (-5.0, -1.0, -1.0, -1.0, -1.0))]
    sentinels = [
        _probe(0, NEW_RUN, (-3.0, -2.0, -1.0, -1.5, -3.25), kind="sentinel", day=2),
        _probe(1, NEW_RUN, LEVELS[1], kind="sentinel", day=2),
        _probe(0, OLD_RUN, LEVELS[0], kind="sentinel"),
        _probe(7, NEW_RUN, LEVELS[0], kind="sentinel", day=2),  # has no point any more
    ]
    return blanks + older + sentinels


def _points(store, prompt=PROMPT):
    rows = query(
        store, "from points where prompt_id = $prompt", {"prompt": prompt}
    ).to_pylist()  # fmt: skip
    by_id = {row["image_id"]: row for row in rows}
    return [by_id[image_id(n)] for n in range(len(rows))]


def _logprobs(rows):
    return np.array([[np.nan if v is None else v for v in row] for row in rows], dtype=np.float32)


def _floats(rows, column):
    return [np.nan if row[column] is None else row[column] for row in rows]


def test_levels_that_were_not_offered_count_as_in_the_scale_module(views):
    rows, given = _points(views), _logprobs(LEVELS).astype(np.float64)
    expectation, probs = scale.logit_expectation(given), scale.level_probs(given)
    expected = {
        "logit_expectation": expectation,
        "level_variance": scale.level_variance(probs),
        "entropy": np.where(np.isnan(expectation), np.nan, scale.entropy(probs)),
    }
    for name, values in expected.items():
        assert _floats(rows, name) == pytest.approx(values, nan_ok=True, abs=1e-9), name
    assert rows[2]["level_probs"] == pytest.approx(probs[2])
    assert rows[2]["level_mass"] == pytest.approx(np.exp(-1.5) + np.exp(-0.3))
    assert [row["confidence"] for row in rows[:4]] == pytest.approx(
        scale.level_confidence(given)[:4], abs=1e-9
    )
    assert [row["score"] for row in rows[:4]] == pytest.approx(scale.unit_score(expectation)[:4])


def test_an_outside_score_stands_where_there_are_no_levels(views):
    rows = _points(views)[4:]
    assert [(row["score"], row["confidence"]) for row in rows] == [(0.75, 0.5), (0.25, None)]
    for row in rows:
        assert row["level_probs"] is row["level_mass"] is row["entropy"] is None


def test_teacher_scores_are_means_over_the_prompts_with_their_spread(views):
    rows = query(
        views, "from teacher_scores where image_id = $id", {"id": image_id(1)}
    ).to_pylist()  # fmt: skip
    both = np.array([LEVELS[1], OTHER_LEVELS[1]])
    scores = scale.unit_score(scale.logit_expectation(both))
    (row,) = rows
    assert row["prompt_count"] == 2
    assert row["score"] == pytest.approx(scores.mean(), abs=1e-7)
    assert row["score_spread"] == pytest.approx(np.ptp(scores), abs=1e-7)
    assert row["confidence"] == pytest.approx(scale.level_confidence(both).mean(), abs=1e-7)


def test_a_preference_comes_from_the_orders_that_were_asked_or_is_the_given_one(views):
    stored = {
        (row["image_a"], row["image_b"]): row for row in query(views, "from pairs").to_pylist()
    }
    for made in PAIRS:
        row = stored[made["image_a"], made["image_b"]]
        ab, ba = made["letter_logprobs_ab"], made["letter_logprobs_ba"]
        if ab is None and ba is None:
            expected = mean = 0.9
        else:
            # An order that was not asked says the same as the other, without a bias.
            both = np.array([ab or ba[::-1]]), np.array([ba or ab[::-1]])
            (expected,) = scale.preference_prob(*both)
            (mean,) = scale.preference_prob_mean(*both)
        assert row["preference_prob"] == pytest.approx(expected)
        assert row["preference_prob_mean"] == pytest.approx(mean)
        for column, p in (("confidence", expected), ("confidence_mean", mean)):
            assert row[column] == pytest.approx(scale.confidence(np.array([p, 1 - p])), abs=1e-6)
        whole = ab is not None and ba is not None
        assert (row["position_bias"] is not None) == (row["consistent"] is not None) == whole


def test_pair_bias_counts_orders_and_leaves_out_what_was_not_asked(views):
    (row,) = query(views, "from pair_bias").to_pylist()
    assert row["pair_count"] == 5
    # Orders answered with A: 0-1 ab, both of 1-2, 0-2 ab; not 0-1 ba, not 0-3 ba.
    assert row["first_letter_share"] == pytest.approx(4 / 6)
    assert row["consistency_rate"] == pytest.approx(1 / 2)
    biases = [(3.9 - 1.7) / 2, (1.0 + 0.5) / 2]
    assert row["mean_position_bias"] == pytest.approx(np.mean(biases))


def test_cycles_are_a_share_of_the_triangles(tmp_path):
    store = create_store(tmp_path / "store")
    sure, unsure = (-0.1, -4.0), (-4.0, -0.1)
    a, b, c, d = sorted(range(4), key=image_id)
    wins, loses = {"ab": sure, "ba": unsure}, {"ab": unsure, "ba": sure}
    rows = [
        pair(a, b, **wins), pair(b, c, **wins), pair(a, c, **loses),  # runs in a circle
        pair(b, d, **wins), pair(a, d, **wins),  # with a-b in order; c-d was not asked
    ]  # fmt: skip
    _commit(store, "pairs", rows)
    (row,) = query(store, "from cycles").to_pylist()
    assert (row["triangle_count"], row["cycle_count"], row["cycle_rate"]) == (2, 1, 0.5)


def test_implied_pairs_take_all_prompts_of_the_teacher_for_one_mixture(views):
    rows = query(views, "from implied_pairs").to_pylist()
    answers = {
        0: [LEVELS[0], OTHER_LEVELS[0], LEVELS[0]],
        1: [LEVELS[1], OTHER_LEVELS[1]],
        2: [LEVELS[2]],
        3: [LEVELS[3]],
    }
    mixtures = {}
    for number, given in answers.items():
        probs = scale.level_probs(_logprobs(given).astype(np.float64)).mean(axis=0)
        mean = probs @ np.arange(1, 6)
        mixtures[image_id(number)] = mean, probs @ (np.arange(1, 6) - mean) ** 2
    assert len(rows) == 4  # image 4 has no levels
    for row in rows:
        (mean_a, var_a), (mean_b, var_b) = mixtures[row["image_a"]], mixtures[row["image_b"]]
        (expected,) = scale.implied_prob(np.array([mean_a - mean_b]), np.array([var_a + var_b]))
        assert row["implied_prob"] == pytest.approx(expected, abs=2e-7)
        assert row["agrees"] == ((expected > 0.5) == (row["preference_prob"] > 0.5))


def test_the_normal_distribution_function_is_within_its_stated_error(views):
    x = np.concatenate([np.linspace(-9, 9, 4001), [0.0, -40.0, 40.0]])
    values = ", ".join(f"({place}, {value!r}::double)" for place, value in enumerate(x.tolist()))
    found = query(
        views, f"select normal_cdf(x) as p from (values {values}) v(place, x) order by place"
    )
    p = found.column("p").to_numpy()
    assert np.abs(p - norm.cdf(x)).max() < 7.5e-8
    assert p[:4001] + p[4000::-1] == pytest.approx(np.ones(4001), abs=1e-14)


def test_a_sentinel_is_compared_with_the_stored_point(views):
    rows = query(views, "from sentinels order by run_id, image_id = $first", {
        "first": image_id(1)}).to_pylist()  # fmt: skip
    assert [row["run_id"] for row in rows] == [OLD_RUN, NEW_RUN, NEW_RUN]
    assert [row["drift"] for row in rows] == [0.0, 0.5, 0.0]
    levels = np.array([LEVELS[0], (-3.0, -2.0, -1.0, -1.5, -3.25)])
    stored, new = scale.unit_score(scale.logit_expectation(levels))
    assert rows[1]["score_drift"] == pytest.approx(new - stored)


def test_drift_has_one_row_per_run(views):
    rows = query(views, "from drift order by asked_at").to_pylist()
    assert [row["run_id"] for row in rows] == [OLD_RUN, NEW_RUN]
    assert rows[1]["engine"] == f"engine of {NEW_RUN}"
    assert rows[1]["asked_at"] == datetime(2026, 11, 2)
    assert (rows[1]["image_count"], rows[1]["mean_drift"], rows[1]["max_drift"]) == (2, 0.25, 0.5)
    assert rows[0]["mean_score_drift"] == pytest.approx(0, abs=1e-12)


def test_calibration_takes_off_the_blanks_of_the_latest_run(views):
    rows = query(views, "from calibrated_points").to_pylist()
    assert {row["prompt_id"] for row in rows} == {PROMPT}  # the others have no blanks
    found = {row["image_id"]: row for row in rows}
    assert found.keys() == {image_id(n) for n in range(4)}  # the last two have no levels
    given = _logprobs(LEVELS[:4]).astype(np.float64)
    calibrated = scale.calibrated_logprobs(given, np.array(BLANKS))
    for number in range(4):
        row, one = found[image_id(number)], calibrated[number : number + 1]
        assert row["level_probs"] == pytest.approx(scale.level_probs(one)[0], abs=1e-6)
        assert row["score"] == pytest.approx(
            scale.unit_score(scale.logit_expectation(one))[0], abs=1e-6
        )
        assert row["confidence"] == pytest.approx(scale.level_confidence(one)[0], abs=1e-6)
