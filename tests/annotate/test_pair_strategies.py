"""A strategy turns the images and answers of a store into pairs that are still to be asked."""

import numpy as np
import pyarrow as pa
import pytest

from annotate.pair_planner import possible_pairs
from annotate.pair_strategies import Asking, PairChoice, Strategy, choose_pairs
from data_store.layout import create_store
from data_store.pair_candidates import ImageChoice, group_numbers, images_by_hash
from data_store.shards import commit_rows
from data_store.splits import is_test
from schemas.errors import InputError, PairBudgetError, QueryRefused
from schemas.ids import sha256_text
from schemas.rows import to_table
from schemas.tables import TABLES
from tests.data_store.rows import PROMPT, TEACHER, image, image_id, pair, point

IMAGES = 30
TOGETHER = (0, 1, 2)
"""Images of one group."""
WITHOUT_POINT = (3, 4)
ANSWERED = ((5, 6), (7, 8), (9, 10))
US = Asking(TEACHER, PROMPT)
NUMBERS = {image_id(number): number for number in range(IMAGES)}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = create_store(tmp_path_factory.mktemp("pairs") / "store")
    group = sha256_text("group")
    images = [image(n, group_id=group if n in TOGETHER else "") for n in range(IMAGES)]
    points = [
        point(n, np.log(level_probs(n)).tolist()) for n in range(IMAGES) if n not in WITHOUT_POINT
    ]
    commit(store, "images", [*images, image(29, path="/elsewhere/29.png")])
    commit(store, "points", points, TEACHER)
    commit(store, "pairs", [pair(*ends) for ends in ANSWERED], TEACHER)
    return store


def level_probs(number):
    """Ever better. Answers about odd numbers are torn between the ends, others are sure."""
    mean = 4 * (number + 0.5) / IMAGES
    levels = (0, 4) if number % 2 else (int(mean), int(mean) + 1)
    share = (mean - levels[0]) / (levels[1] - levels[0])
    probs = np.full(5, 1e-6)
    probs[list(levels)] += (1 - share, share)
    return probs / probs.sum()


def commit(store, table, rows, teacher_id=""):
    made = to_table(rows, TABLES[table])
    commit_rows(
        store, table, made, producer="test", **({"teacher_id": teacher_id} if teacher_id else {})
    )


def named(chosen):
    """Pairs as image numbers."""
    ids = [NUMBERS[name] for name in chosen.images.column("image_id").to_pylist()]
    return [tuple(sorted((ids[u], ids[v]))) for u, v in chosen.pairs.tolist()]


def listing(pairs):
    rows = ", ".join(f"('{image_id(a)}', '{image_id(b)}')" for a, b in pairs)
    return f"select image_a, image_b from (values {rows}) as listed(image_a, image_b)"


def choose(store, wanted, strategy=Strategy.RANDOM, **others):
    return choose_pairs(store, US, PairChoice(wanted, strategy, **others))


@pytest.mark.parametrize("strategy", [Strategy.RANDOM, Strategy.NEAR, Strategy.UNCERTAIN])
def test_every_strategy_reaches_every_budget_without_answered_pairs_or_groups(store, strategy):
    count = IMAGES if strategy is Strategy.RANDOM else IMAGES - len(WITHOUT_POINT)
    every = count * (count - 1) // 2 - 3
    chosen = choose(store, every, strategy)
    assert chosen.answered == len(ANSWERED)
    assert len(set(named(chosen))) == len(chosen.pairs) == every - len(ANSWERED)
    assert not set(named(chosen)) & set(ANSWERED)
    assert not any(set(ends) <= set(TOGETHER) for ends in named(chosen))
    assert chosen.left_out == IMAGES - count
    with pytest.raises(PairBudgetError, match=f"form {every}"):
        choose(store, every + 1, strategy)
    assert len(choose(store, every + 3, strategy, within_groups=True).pairs) == every


def test_the_random_line_is_that_of_the_hash_and_adding_images_keeps_its_order(store):
    chosen = choose(store, 50, seed=3)
    digests = [sha256_text(f"3:{name}") for name in chosen.images.column("image_id").to_pylist()]
    assert digests == sorted(digests)
    expected = [int(digest[:13], 16) / 16**13 for digest in digests]
    assert chosen.keys.tolist() == expected


def test_another_seed_gives_other_pairs(store):
    assert set(named(choose(store, 20, seed=0))) != set(named(choose(store, 20, seed=1)))


def test_near_pairs_are_neighbours_by_score(store):
    scored = [n for n in range(IMAGES) if n not in WITHOUT_POINT]
    chosen = choose(store, 20, Strategy.NEAR)
    assert all(scored.index(b) - scored.index(a) == 1 for a, b in named(chosen) if a > 2)


def test_uncertain_pairs_prefer_unsure_answers(store):
    by_rank, by_doubt = (
        np.mean([a % 2 + b % 2 for a, b in named(choose(store, 120, strategy))])
        for strategy in (Strategy.NEAR, Strategy.UNCERTAIN)
    )
    assert by_doubt > by_rank + 0.2


@pytest.mark.parametrize("strategy", [Strategy.RANDOM, Strategy.NEAR, Strategy.UNCERTAIN])
def test_chosen_pairs_lie_along_the_line_so_that_a_stretch_of_them_has_few_images(store, strategy):
    pairs = choose(store, 100, strategy).pairs.tolist()
    assert pairs == sorted(pairs)


@pytest.mark.parametrize("strategy", [Strategy.NEAR, Strategy.UNCERTAIN])
def test_a_strategy_by_points_says_so_where_there_are_none(store, strategy):
    nobody = Asking(sha256_text("nobody"), PROMPT)
    with pytest.raises(InputError, match=r"0 of 30 images have a point[\s\S]*annotate points"):
        choose_pairs(store, nobody, PairChoice(5, strategy))


def test_only_images_below_the_folder_and_of_training_groups_are_paired(store):
    below = images_by_hash(store, ImageChoice("/elsewhere"), seed=0)
    assert below.column("path").to_pylist() == ["/elsewhere/29.png"]
    trained = images_by_hash(
        store, ImageChoice(train_only=True, split_seed=1, test_fraction=0.4), seed=0
    )
    every = images_by_hash(store, ImageChoice(), seed=0)
    expected = {
        row["image_id"]
        for row in every.to_pylist()
        if not is_test(row["group_id"], seed=1, test_fraction=0.4)
    }
    assert set(trained.column("image_id").to_pylist()) == expected
    assert 0 < len(expected) < IMAGES


def test_one_image_is_too_few(store):
    with pytest.raises(InputError, match="1 images to compare"):
        choose(store, 1, images=ImageChoice("/elsewhere"))


def test_images_of_one_group_have_one_number_also_across_chunks():
    chunks = [[f"{n % 7}" for n in range(start, start + 10)] for start in (0, 3)]
    numbers = group_numbers(pa.table({"group_id": pa.chunked_array(chunks)}))
    assert numbers.tolist() == [*(n % 7 for n in range(10)), *(n % 7 for n in range(3, 13))]


def test_groups_are_numbered(store):
    groups = group_numbers(images_by_hash(store, ImageChoice(), seed=0))
    assert possible_pairs(groups) == IMAGES * (IMAGES - 1) // 2 - 3


def test_the_first_pairs_of_a_list_are_asked_if_they_are_not_answered(store):
    listed = [(20, 11), (5, 6), (12, 13), (11, 20), (14, 15)]
    chosen = choose(store, 3, Strategy.SQL, sql=listing(listed))
    assert sorted(named(chosen)) == [(11, 20), (12, 13)]
    assert (chosen.answered, chosen.repeated) == (1, 1)
    assert chosen.images.num_rows == 8
    every = choose(store, None, Strategy.SQL, sql=listing(listed))
    assert sorted(named(every)) == [(11, 20), (12, 13), (14, 15)]
    with pytest.raises(PairBudgetError, match="lists 4"):
        choose(store, 5, Strategy.SQL, sql=listing(listed))


def test_listed_images_are_paired_as_on_a_random_line(store):
    sql = "select image_id from points where score > 0.5"
    chosen = choose(store, 20, Strategy.SQL, sql=sql)
    ids = set(chosen.images.column("image_id").to_pylist())
    assert ids < set(NUMBERS)
    assert len(set(named(chosen))) == 20
    line = images_by_hash(store, ImageChoice(), seed=0).column("image_id").to_pylist()
    assert chosen.images.column("image_id").to_pylist() == [name for name in line if name in ids]


def test_all_that_is_wrong_with_a_list_is_said_at_once(store):
    sql = listing([(11, 12), (13, 13), (0, 1), (99, 14)])
    with pytest.raises(InputError) as error:
        choose(store, 1, Strategy.SQL, sql=sql)
    for part in ("with an image_a that is not", "an image with itself: 1", "of one group: 1"):
        assert part in str(error.value)
    assert image_id(99) in str(error.value)


def test_listed_pairs_within_a_group_are_asked_where_that_is_allowed(store):
    chosen = choose(store, 1, Strategy.SQL, sql=listing([(0, 1)]), within_groups=True)
    assert named(chosen) == [(0, 1)]


@pytest.mark.parametrize(
    ("sql", "error", "message"),
    [
        ("select path from images", InputError, "the query has the columns path"),
        ("select 1 as image_a, 2 as image_b", InputError, "image_a"),
        ("drop table images", QueryRefused, "only one statement that reads"),
        ("select image_id from images limit 1", InputError, "lists 1 images"),
        ("select image_id from images", InputError, "needs a number of pairs"),
    ],
)
def test_a_query_that_lists_neither_pairs_nor_images_is_refused(store, sql, error, message):
    with pytest.raises(error, match=message):
        choose(store, None, Strategy.SQL, sql=sql)


def test_a_list_of_nothing_asks_nothing(store):
    sql = "select image_a, image_b from pairs where confidence > 2"
    assert len(choose(store, None, Strategy.SQL, sql=sql).pairs) == 0
