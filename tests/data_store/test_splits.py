"""Splits depend on the group alone."""

from hypothesis import given
from hypothesis import strategies as st

from data_store.index import query
from data_store.layout import create_store
from data_store.splits import is_test, split_position


@given(st.text(max_size=64), st.integers(0, 10**6))
def test_a_position_lies_in_the_unit_interval_and_never_changes(key, seed):
    assert 0 <= split_position(key, seed) < 1
    assert split_position(key, seed) == split_position(key, seed)


def test_positions_are_spread_evenly():
    held_out = sum(is_test(f"group {n}", seed=0, test_fraction=0.2) for n in range(5000))
    assert 900 < held_out < 1100  # 5 standard deviations of a fair draw are 141


def test_sql_and_python_give_the_same_position(tmp_path):
    store = create_store(tmp_path / "store")
    sql = "select ('0x' || sha256('3:' || $key)[1:8])::bigint / 2**32 as position"
    found = query(store, sql, {"key": "some group"}).to_pylist()[0]["position"]
    assert found == split_position("some group", 3)
