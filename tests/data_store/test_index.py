"""The index loses nothing, blocks nobody, and its views compute what schemas/scale.py says."""

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_store.index import query, refresh
from data_store.layout import create_store
from data_store.shards import commit_rows
from schemas import scale
from schemas.images import IMAGES
from schemas.pairs import PAIRS
from schemas.points import POINTS
from schemas.rows import to_table
from schemas.tables import TABLES
from tests.data_store.rows import TEACHER, image, image_id, pair, point

LOGPROBS = st.lists(st.floats(-30, 0, width=32), min_size=5, max_size=5)


def commit_points(store, rows):
    commit_rows(store, "points", to_table(rows, POINTS), producer="test", teacher_id=TEACHER)


def commit_pairs(store, rows):
    commit_rows(store, "pairs", to_table(rows, PAIRS), producer="test", teacher_id=TEACHER)


def test_every_view_of_an_empty_store_has_no_row(store):
    for view in (*TABLES, "image_files"):
        assert query(store, f"select * from {view}").num_rows == 0


def test_deleting_the_index_changes_no_answer(store):
    commit_points(store, [point(n) for n in range(5)])
    before = query(store, "select * from points order by image_id")
    store.index_path.unlink()
    assert query(store, "select * from points order by image_id").equals(before)


def test_a_new_shard_is_seen_at_once_and_a_removed_one_is_gone(store):
    commit_points(store, [point(0)])
    assert query(store, "from points").num_rows == 1
    commit_points(store, [point(1)])
    assert query(store, "from points").num_rows == 2
    next(path for _, path in store.shard_paths()).unlink()
    assert query(store, "from points").num_rows == 1


def test_a_key_written_twice_is_one_row_and_always_the_same(store):
    commit_points(store, [point(0)])
    commit_points(store, [point(0, (-1.0, -2.0, -3.0, -4.0, -5.0))])
    first = query(store, "from points").to_pylist()
    store.index_path.unlink()
    assert len(first) == 1
    assert query(store, "from points").to_pylist() == first


def test_a_reader_is_not_stopped_by_a_writer_that_holds_the_index(store):
    commit_points(store, [point(0)])
    refresh(store)
    commit_points(store, [point(1)])
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); input()"
    import subprocess
    import sys

    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(store.index_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(duckdb.IOException):
            duckdb.connect(str(store.index_path), read_only=True)
        assert query(store, "from points").num_rows == 2
    finally:
        holder.communicate("\n", timeout=30)
    assert query(store, "from points").num_rows == 2


def test_a_moved_store_still_answers(store, tmp_path):
    commit_points(store, [point(0)])
    assert query(store, "from points").num_rows == 1
    store.root.rename(tmp_path / "elsewhere")
    assert query(create_store(tmp_path / "elsewhere"), "from points").num_rows == 1


def test_a_store_whose_name_has_quotes_and_spaces_answers(tmp_path):
    odd = create_store(tmp_path / "it's a störe")
    commit_points(odd, [point(0)])
    assert query(odd, "from points").num_rows == 1


def test_a_given_group_stands_before_none_and_the_first_path_stands_for_copies(store):
    rows = [image(0, path="/b.png"), image(0, path="/a.png"), image(0, path="/a.png", group_id="g")]
    for row in rows:
        commit_rows(store, "images", to_table([row], IMAGES), producer="test")
    found = query(store, "select path, group_id, file_count from images").to_pylist()
    assert found == [{"path": "/a.png", "group_id": "g", "file_count": 2}]


@settings(deadline=None, max_examples=20)
@given(st.lists(LOGPROBS, min_size=1, max_size=8))
def test_the_points_view_computes_what_the_scale_module_does(tmp_path_factory, rows):
    store = create_store(tmp_path_factory.mktemp("views") / "store")
    commit_points(store, [point(n, tuple(row)) for n, row in enumerate(rows)])
    columns = query(store, "from points").to_pydict()
    order = [columns["image_id"].index(image_id(n)) for n in range(len(rows))]
    given_rows = np.array(rows)
    probs = scale.level_probs(given_rows)
    expected = {
        "logit_expectation": scale.logit_expectation(given_rows),
        "score": scale.unit_score(scale.logit_expectation(given_rows)),
        "entropy": scale.entropy(probs),
        "confidence": scale.confidence(probs),
        "level_mass": np.exp(given_rows).sum(axis=1),
    }
    for name, values in expected.items():
        found = np.array(columns[name])[order]
        assert found == pytest.approx(values, abs=1e-6), name


def test_the_pairs_view_computes_what_the_scale_module_does(store):
    rows = [
        pair(0, 1, (-0.5, -1.5), (-1.5, -0.5)),
        pair(0, 2, (-0.1, -4.0), (-0.2, -3.0)),
        pair(1, 2, (-9.0, -0.01), (-0.01, -9.0)),
    ]
    commit_pairs(store, rows)
    found = query(store, "from pairs order by letter_logprobs_ab[1] desc").to_pylist()
    rows.sort(key=lambda row: -row["letter_logprobs_ab"][0])
    ab = np.array([row["letter_logprobs_ab"] for row in rows])
    ba = np.array([row["letter_logprobs_ba"] for row in rows])
    p = scale.preference_prob(ab, ba)
    assert [row["preference_prob"] for row in found] == pytest.approx(p)
    assert [row["confidence"] for row in found] == pytest.approx(
        scale.confidence(np.stack([p, 1 - p], axis=1))
    )
    bias = ((ab[:, 0] - ab[:, 1]) - (ba[:, 1] - ba[:, 0])) / 2
    assert [row["position_bias"] for row in found] == pytest.approx(bias)
    assert [row["consistent"] for row in found] == [False, True, True]
