"""Who takes which part, and how work is cut: always disjoint, together always all."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotate.executors.share import WHOLE, Share, find_share
from annotate.unanswered import unanswered
from annotate.work import NUMBERED, Work
from data_store.shards import commit_rows
from schemas.errors import InputError
from schemas.ids import sha256_text
from schemas.rows import to_table
from schemas.tables import TABLES
from tests.data_store.rows import PROMPT, TEACHER, image_id, pair, point


def some_work(count, rows):
    images = pa.table(
        {
            "image_id": [sha256_text(f"{number}") for number in range(count)],
            "path": [f"/photos/{number}.png" for number in range(count)],
        }
    )
    return Work(images, np.array(rows, dtype=np.int32).reshape(-1, 2))


def named(work, table):
    ids = np.array(work.images.column("image_id").to_pylist())
    columns = NUMBERED[table]
    return [tuple(ids[row[c]] if c in columns else row[c] for c in (0, 1)) for row in work.rows]


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 9))
def test_shares_of_points_are_disjoint_and_together_all(count, parts):
    work = some_work(count, [(number, 0) for number in range(count)])
    shares = [named(Share(part, parts).of_points(work), "points") for part in range(parts)]
    assert sorted(row for share in shares for row in share) == sorted(named(work, "points"))


def test_a_share_stays_what_it_was_when_some_images_are_answered():
    whole = some_work(50, [(number, 0) for number in range(50)])
    rest = Work(whole.images, whole.rows[::3])
    before, after = (set(named(Share(1, 3).of_points(w), "points")) for w in (whole, rest))
    assert after <= before


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=40), st.data())
def test_a_piece_that_travels_names_the_same_images(rows, data):
    work = some_work(31, rows)
    start = data.draw(st.integers(0, len(rows)))
    stop = data.draw(st.integers(start, len(rows)))
    piece = Work.from_bytes(work.piece(start, stop, numbered=NUMBERED["pairs"]).to_bytes())
    assert named(piece, "pairs") == named(work, "pairs")[start:stop]
    assert piece.images.num_rows <= 2 * (stop - start)


@pytest.mark.parametrize(
    ("given_as", "environment", "share"),
    [
        ("all", {"RANK": "1", "WORLD_SIZE": "4"}, WHOLE),
        ("auto", {}, WHOLE),
        ("3/8", {}, Share(2, 8)),
        ("auto", {"SLURM_PROCID": "2", "SLURM_STEP_NUM_TASKS": "4"}, Share(2, 4)),
        ("auto", {"SKYPILOT_NODE_RANK": "0", "SKYPILOT_NUM_NODES": "2"}, Share(0, 2)),
        ("auto", {"RANK": "1", "WORLD_SIZE": "2"}, Share(1, 2)),
        # A batch script that is no job step has a number of tasks, but is alone.
        ("auto", {"SLURM_PROCID": "0", "SLURM_NTASKS": "8"}, WHOLE),
    ],
)
def test_the_share_is_what_was_given_or_what_the_scheduler_says(given_as, environment, share):
    assert find_share(given_as, environment) == share


@pytest.mark.parametrize("given_as", ["0/4", "5/4", "1/0", "third"])
def test_a_share_that_does_not_exist_is_refused(given_as):
    with pytest.raises(InputError):
        find_share(given_as, {})


def test_a_rank_that_does_not_exist_is_refused():
    with pytest.raises(InputError, match="part 5 of 4"):
        find_share("auto", {"RANK": "4", "WORLD_SIZE": "4"})


def test_what_was_answered_since_the_plan_is_not_asked_again(store):
    images = pa.table({"image_id": [image_id(n) for n in range(4)], "path": ["p"] * 4})
    for table, rows in (("points", [point(1), point(3)]), ("pairs", [pair(0, 1), pair(3, 2)])):
        commit_rows(
            store, table, to_table(rows, TABLES[table]), producer="test", teacher_id=TEACHER
        )
    points = Work(images, np.array([(n, p) for n in range(4) for p in (0, 1)], dtype=np.int32))
    left = unanswered(
        store, "points", points, teacher_id=TEACHER, prompt_ids=[PROMPT, sha256_text("other")]
    )
    assert left.rows.tolist() == [[0, 0], [0, 1], [1, 1], [2, 0], [2, 1], [3, 1]]
    pairs = Work(images, np.array([(1, 0), (0, 2), (2, 3), (1, 3)], dtype=np.int32))
    left = unanswered(store, "pairs", pairs, teacher_id=TEACHER, prompt_ids=[PROMPT])
    assert left.rows.tolist() == [[0, 2], [1, 3]]
