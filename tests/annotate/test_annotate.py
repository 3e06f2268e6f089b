"""The two stories, run with the tiny teacher through transformers on real files."""

import io
import math
import resource
import sys

import numpy as np
import pytest

from annotate.job import Pace
from annotate.pair_strategies import PairChoice
from annotate.run import annotate_pairs, annotate_points
from data_store.health.verify import verify
from data_store.images.importer import add_images
from data_store.index import query
from data_store.pair_candidates import ImageChoice
from data_store.splits import is_test
from schemas.errors import InputError, PairBudgetError, StoreNotWritable
from tests.conftest import picture

# transformers warns of its own future; that is not what these tests are about.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def filled(store, image_folder):
    add_images(store, image_folder)
    return store


def rows(store, table):
    return query(store, f"from {table} order by all").to_pylist()


def test_every_image_gets_one_row_of_evidence(filled, tiny_teacher, point_prompt):
    done = annotate_points(filled, tiny_teacher, [point_prompt])
    found = rows(filled, "points")
    assert (done.asked, done.answered, done.already, done.rejected) == (12, 12, 0, 0)
    assert len(found) == 12
    assert all(0 <= row["score"] <= 1 and row["level_mass"] > 0.9 for row in found)
    assert len({tuple(row["level_logprobs"]) for row in found}) == 12


def test_asking_again_asks_nothing_and_changes_nothing(filled, tiny_teacher, point_prompt):
    annotate_points(filled, tiny_teacher, [point_prompt])
    before = list(filled.shard_paths())
    assert before
    done = annotate_points(filled, tiny_teacher, [point_prompt])
    assert (done.asked, done.already) == (0, 12)
    assert list(filled.shard_paths()) == before


def test_new_images_and_only_they_are_asked_about(filled, image_folder, tiny_teacher, point_prompt):
    annotate_points(filled, tiny_teacher, [point_prompt], limit=5)
    assert len(rows(filled, "points")) == 5
    picture(99).save(image_folder / "new.png")
    add_images(filled, image_folder)
    done = annotate_points(filled, tiny_teacher, [point_prompt])
    assert (done.answered, done.already) == (8, 5)


def test_a_folder_limits_what_is_asked(filled, tmp_path, tiny_teacher, point_prompt):
    (tmp_path / "images2").mkdir()
    picture(50).save(tmp_path / "images2" / "other.png")
    add_images(filled, tmp_path / "images2")
    done = annotate_points(filled, tiny_teacher, [point_prompt], folder=str(tmp_path / "images2"))
    assert (done.asked, done.answered) == (1, 1)


def test_a_truncated_a_vanished_and_a_changed_file_are_rejected_and_stop_nobody(
    filled, image_folder, tiny_teacher, point_prompt
):
    (image_folder / "image_00.png").unlink()
    picture(77).save(image_folder / "image_01.png")
    picture(3, size=200).save(image_folder / "cut.jpg")
    whole = (image_folder / "cut.jpg").read_bytes()
    (image_folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    store = filled
    add_images(store, image_folder)
    done = annotate_points(store, tiny_teacher, [point_prompt], pace=Pace(4, 4))
    # The changed file is a new image as well; the cut one was refused when it was added.
    assert (done.answered, done.rejected) == (11, 2)
    reasons = {(row["path"].rpartition("/")[2], row["reason"]) for row in rows(store, "rejections")}
    assert reasons == {
        ("image_00.png", "unreadable"),
        ("image_01.png", "changed"),
        ("cut.jpg", "truncated"),
    }


class Overflowing:
    """The real engine, but whatever it says of certain images overflows, as half precision can."""

    def __init__(self, engine, image_ids):
        self.engine = engine
        self.image_ids = image_ids
        self.provenance = engine.provenance

    def stream(self, requests):
        drawn = []
        for number, answer in enumerate(self.engine.stream(kept(requests, drawn))):
            overflows = drawn[number].image_ids[0] in self.image_ids
            yield (
                answer._replace(logprobs=(math.nan,) * len(answer.logprobs))
                if overflows
                else answer
            )

    def close(self):
        pass


def kept(requests, drawn):
    for request in requests:
        drawn.append(request)
        yield request


def test_an_answer_that_is_no_number_is_rejected_and_its_neighbours_kept(
    filled, tiny_teacher, point_prompt, pair_prompt, monkeypatch
):
    spoilt = {row["image_id"] for row in rows(filled, "images")[:2]}
    engine = Overflowing(tiny_teacher.start(), spoilt)
    monkeypatch.setattr(type(tiny_teacher), "engine", engine)
    points = annotate_points(filled, tiny_teacher, [point_prompt])
    pairs = annotate_pairs(filled, tiny_teacher, pair_prompt, PairChoice(40))
    assert (points.answered, points.rejected) == (10, 2)
    assert pairs.answered + pairs.rejected == 40
    assert pairs.rejected > 2
    left = {row[column] for row in rows(filled, "pairs") for column in ("image_a", "image_b")}
    assert len(left) == 10
    assert not left & spoilt
    assert {row["reason"] for row in rows(filled, "rejections")} == {"useless_answer"}


def test_a_store_without_images_says_how_to_add_some(store, tiny_teacher, point_prompt):
    with pytest.raises(InputError, match="store add-images"):
        annotate_points(store, tiny_teacher, [point_prompt])
    assert not (store.root / "teachers").exists()


def test_a_pair_prompt_cannot_ask_for_points(filled, tiny_teacher, pair_prompt, point_prompt):
    with pytest.raises(InputError, match=r"a point prompt has 1 of \{image\}"):
        annotate_points(filled, tiny_teacher, [pair_prompt])
    with pytest.raises(InputError, match=r"a pair prompt has 2 of \{image\}"):
        annotate_pairs(filled, tiny_teacher, point_prompt, PairChoice(3))


def test_pairs_are_exactly_as_many_as_asked_with_both_orders(filled, tiny_teacher, pair_prompt):
    done = annotate_pairs(filled, tiny_teacher, pair_prompt, PairChoice(20))
    found = rows(filled, "pairs")
    assert (done.answered, len(found)) == (20, 20)
    for row in found:
        assert row["image_a"] < row["image_b"]
        assert row["letter_logprobs_ab"] != row["letter_logprobs_ba"]
        assert row["letter_mass"] > 0.9


def test_a_larger_budget_keeps_the_pairs_and_adds_the_rest(filled, tiny_teacher, pair_prompt):
    annotate_pairs(filled, tiny_teacher, pair_prompt, PairChoice(10))
    first = {(row["image_a"], row["image_b"]) for row in rows(filled, "pairs")}
    done = annotate_pairs(filled, tiny_teacher, pair_prompt, PairChoice(15))
    found = rows(filled, "pairs")
    assert (done.asked, done.already, len(found)) == (5, 10, 15)
    assert first < {(row["image_a"], row["image_b"]) for row in found}


def test_more_pairs_than_possible_are_refused_and_nothing_is_written(
    filled, tiny_teacher, pair_prompt
):
    before = sorted(filled.root.rglob("*.parquet"))
    with pytest.raises(PairBudgetError, match="at most 66"):
        annotate_pairs(filled, tiny_teacher, pair_prompt, PairChoice(67))
    assert sorted(filled.root.rglob("*.parquet")) == before
    assert not (filled.root / "teachers").exists()


def test_train_pairs_leave_out_the_groups_that_are_held_out(
    store, tmp_path, tiny_teacher, pair_prompt
):
    (tmp_path / "many").mkdir()
    for number in range(30):
        picture(number).save(tmp_path / "many" / f"{number}.png")
    add_images(store, tmp_path / "many")
    annotate_pairs(
        store, tiny_teacher, pair_prompt, PairChoice(40, images=ImageChoice(train_only=True))
    )
    groups = query(
        store,
        """select distinct group_id from images join pairs
        on image_id = image_a or image_id = image_b""",
    )
    assert groups.num_rows > 10
    assert not any(
        is_test(group.as_py(), seed=0, test_fraction=0.2) for group in groups.column("group_id")
    )


def test_the_teacher_finds_blurred_pictures_worse(store, tmp_path, tiny_teacher, point_prompt):
    from skimage import data

    (tmp_path / "photos").mkdir()
    from PIL import Image, ImageFilter

    sources = [data.astronaut(), data.coffee(), data.chelsea()]
    for number, pixels in enumerate(sources):
        middle = Image.fromarray(pixels).crop((100, 100, 212, 212))
        for step, radius in enumerate((0.0, 1.5, 4.0)):
            blurred = middle.filter(ImageFilter.GaussianBlur(radius))
            blurred.save(tmp_path / "photos" / f"{number}_{step}.png")
    add_images(store, tmp_path / "photos")
    annotate_points(store, tiny_teacher, [point_prompt])
    found = query(store, "select name, score from points join images using (image_id)").to_pylist()
    score = {row["name"]: row["score"] for row in found}
    for number in range(len(sources)):
        assert score[f"{number}_0.png"] > score[f"{number}_2.png"]
    means = [np.mean([score[f"{n}_{step}.png"] for n in range(3)]) for step in range(3)]
    assert means[0] > means[1] > means[2]


@pytest.fixture
def full_disk():
    """From here on no file can grow beyond a few bytes, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, before[1]))

    def free() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    yield fill, free
    free()


def test_a_disk_that_fills_up_is_named_and_what_was_committed_is_not_asked_again(
    filled, tiny_teacher, point_prompt, full_disk, monkeypatch
):
    fill, free = full_disk
    monkeypatch.setattr(sys, "stderr", io.StringIO())  # pytest keeps it in a file, which is full
    annotate_points(filled, tiny_teacher, [point_prompt], limit=5)
    fill()
    with pytest.raises(StoreNotWritable):
        annotate_points(filled, tiny_teacher, [point_prompt])
    free()
    assert len(rows(filled, "points")) == 5
    done = annotate_points(filled, tiny_teacher, [point_prompt])
    assert (done.answered, done.already) == (7, 5)
    written = "select sum(row_count)::int as n from shards where table_name = 'points'"
    assert query(filled, written).to_pylist() == [{"n": 12}]
    assert verify(filled).open_count == 0
