"""Splits depend on ids and seeds alone; labels are nested; Python and SQL agree."""

import csv
import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_store.commands.split import split
from data_store.index import query
from data_store.layout import create_store
from data_store.shards import commit_rows
from data_store.split_table import split_table
from data_store.splits import held_out, is_test, label_count, labelled_subset, split_position
from schemas.errors import InputError
from schemas.images import IMAGES
from schemas.mos import MOS
from schemas.rows import to_table
from tests.data_store.rows import image, image_id

names = st.lists(st.text("abcdef", min_size=1, max_size=6), min_size=1, max_size=40)
seeds = st.integers(0, 10**6)


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory):
    return create_store(tmp_path_factory.mktemp("splits") / "store")


@given(st.text(max_size=64), seeds)
def test_a_position_lies_in_the_unit_interval_and_never_changes(key, seed):
    assert 0 <= split_position(key, seed) < 1
    assert split_position(key, seed) == split_position(key, seed)


def test_positions_are_what_they_were_in_every_release():
    """From `printf '0:group 0' | sha256sum` and so on: a store's splits must never move."""
    assert [split_position(f"group {n}", n) for n in range(3)] == [
        0.6698791412636638, 0.06442257505841553, 0.25025061005726457,
    ]  # fmt: skip


def test_positions_are_spread_evenly():
    marked = sum(is_test(f"group {n}", seed=0, test_fraction=0.2) for n in range(5000))
    assert 900 < marked < 1100  # 5 standard deviations of a fair draw are 141


@given(names, names, seeds)
def test_adding_images_moves_no_group(groups, more, seed):
    before = held_out(pa.array(groups), seed=seed, test_fraction=0.3)
    after = held_out(pa.array(groups + more), seed=seed, test_fraction=0.3)
    assert np.array_equal(before, after[: len(groups)])


@given(names, seeds)
def test_a_group_is_never_parted(groups, seed):
    marks = held_out(pa.array(groups * 2), seed=seed, test_fraction=0.5)
    assert np.array_equal(marks[: len(groups)], marks[len(groups) :])


@given(names, seeds, st.floats(0, 1), st.floats(0, 1))
def test_a_smaller_test_set_lies_within_every_larger_one(groups, seed, one, other):
    small, large = (
        held_out(pa.array(groups), seed=seed, test_fraction=fraction)
        for fraction in sorted((one, other))
    )
    assert not (small & ~large).any()


def test_about_the_asked_share_of_groups_is_held_out():
    groups = pa.array([f"group {number}" for number in range(5000)])
    assert abs(held_out(groups, seed=0, test_fraction=0.2).mean() - 0.2) < 0.02


@settings(max_examples=30)
@given(st.integers(0, 200), seeds)
def test_one_percent_of_the_labels_lies_within_two_and_so_on_to_a_hundred(count, seed):
    ids = pa.array([f"image {number}" for number in range(count)], pa.string())
    before: list[int] = []
    for percent in range(1, 101):
        now = labelled_subset(np.arange(count), ids, fraction=percent / 100, seed=seed).tolist()
        assert now[: len(before)] == before
        assert len(now) == round(percent / 100 * count)
        before = now
    assert sorted(before) == list(range(count))


@given(st.integers(1, 100), st.integers(0, 100), seeds)
def test_adding_images_keeps_the_order_in_which_labels_are_given(count, more, seed):
    ids = [f"image {number}" for number in range(count + more)]
    before, after = (
        labelled_subset(np.arange(n), pa.array(ids[:n]), fraction=1, seed=seed).tolist()
        for n in (count, count + more)
    )
    assert [row for row in after if row < count] == before


def test_another_seed_labels_other_images():
    ids = pa.array([f"image {number}" for number in range(100)])
    first, other = (
        set(labelled_subset(np.arange(100), ids, fraction=0.2, seed=seed).tolist())
        for seed in (0, 1)
    )
    assert first != other


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=20), seeds, st.floats(0, 1)), min_size=1, max_size=50))
def test_sql_and_python_say_the_same_of_every_key(empty_store, keys):
    table = pa.table(
        {
            "key": pa.array([key for key, _, _ in keys], pa.string()),
            "seed": pa.array([seed for _, seed, _ in keys], pa.int64()),
            "fraction": pa.array([fraction for _, _, fraction in keys], pa.float64()),
        }
    )
    sql = """
        select split_position(key, seed) as position, is_test(key, seed, fraction) as held
        from keys
    """
    found = query(empty_store, sql, tables={"keys": table})
    assert found["position"].to_pylist() == [split_position(key, seed) for key, seed, _ in keys]
    assert found["held"].to_pylist() == [
        is_test(key, seed=seed, test_fraction=fraction) for key, seed, fraction in keys
    ]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 10_000)), min_size=1, max_size=99))
def test_sql_and_python_round_a_share_of_the_labels_alike(empty_store, cases):
    table = pa.table({"n": [n for n, _ in cases], "percent": [p / 100 for _, p in cases]})
    sql = "select round_even(percent / 100 * n, 0) as n from cases"
    found = query(empty_store, sql, tables={"cases": table})["n"].to_pylist()
    assert found == [label_count(n, p / 100 / 100) for n, p in cases]


@pytest.fixture(scope="module")
def rated(tmp_path_factory):
    """Sixty images in twenty groups; every image but each fourth has a MOS."""
    store = create_store(tmp_path_factory.mktemp("rated") / "store")
    rows = [image(number, group_id=image_id(number % 20)) for number in range(60)]
    commit_rows(store, "images", to_table(rows, IMAGES), producer="test")
    mos = [
        {
            "image_id": image_id(number), "source": source, "mos": 3.0, "scale_min": 1.0,
            "scale_max": 5.0, "mos_std": None, "rating_count": None,
        }
        for number in range(60) if number % 4 for source in ("one", "two")
    ]  # fmt: skip
    commit_rows(store, "mos", to_table(mos, MOS), producer="test")
    return store


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_table_of_a_store_is_what_the_trainer_chooses(rated, seed):
    found = split_table(
        rated, seed=seed, test_fraction=0.3, label_seed=seed + 1, label_percents=[60, 10, 30]
    )
    ids, groups = found["image_id"].combine_chunks(), found["group_id"].combine_chunks()
    tested = held_out(groups, seed=seed, test_fraction=0.3)
    assert found["split"].to_pylist() == ["test" if held else "train" for held in tested]
    with_mos = {image_id(number) for number in range(60) if number % 4}
    rows = np.array([i for i, held in enumerate(tested) if not held and ids[i].as_py() in with_mos])
    expected: list[float | None] = [None] * 60
    for percent in (60, 30, 10):
        for row in labelled_subset(rows, ids, fraction=percent / 100, seed=seed + 1):
            expected[row] = percent
    assert found["label_percent"].to_pylist() == expected


def test_without_shares_of_labels_the_table_has_none(rated):
    found = split_table(rated, seed=0, test_fraction=0.2, label_seed=0, label_percents=[])
    assert (found.num_rows, found["label_percent"].null_count) == (60, 60)


def test_the_command_lists_each_image_with_its_side_and_its_share(rated, capsysbinary):
    split(str(rated.root), test_fraction=0.3, labels=[10, 50], as_csv=True)
    rows = list(csv.DictReader(capsysbinary.readouterr().out.decode().splitlines()))
    found = split_table(
        rated, seed=0, test_fraction=0.3, label_seed=0, label_percents=[10, 50]
    ).to_pylist()
    assert [row["split"] for row in rows] == [row["split"] for row in found]
    assert [float(row["label_percent"] or 0) for row in rows] == [
        row["label_percent"] or 0 for row in found
    ]
    assert {row["label_percent"] for row in found} == {None, 10, 50}


def test_the_command_prints_json_or_a_table(rated, capsys):
    split(str(rated.root), as_json=True)
    rows = json.loads(capsys.readouterr().out)
    assert list(rows[0]) == ["image_id", "path", "group_id", "split", "label_percent"]
    split(str(rated.root))
    assert image_id(0) in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"labels": [0.0]}, "0 percent of the labels"),
        ({"labels": [10, 101]}, "101 percent"),
        ({"labels": [float("nan")]}, "nan percent"),
        ({"as_csv": True, "as_json": True}, "exclude each other"),
    ],
)
def test_wrong_shares_of_labels_are_refused(rated, options, said):
    with pytest.raises(InputError, match=said):
        split(str(rated.root), **options)
