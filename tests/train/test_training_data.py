import numpy as np
import pytest

from data_store.index import query
from data_store.queries import human_scores
from schemas.errors import InputError, NotEnoughData
from schemas.ids import sha256_text
from tests.train.conftest import SimulatedTeacher
from train.training_data import choose_teacher, read_training_data


def test_columns_line_up_with_the_images(simulated_store):
    data = read_training_data(simulated_store, choose_teacher(simulated_store, ""))
    ids = data.image_ids.to_pylist()
    assert ids == sorted(ids)
    human = human_scores(simulated_store).to_pylist()
    known = {row["image_id"]: row["mos_unit"] for row in human}
    assert data.mos.tolist() == [known[image_id] for image_id in ids]
    assert np.abs(data.teacher_score - data.mos).max() < 0.35
    assert {path.split("/")[-2] for path in data.paths.to_pylist()} == {"images"}


def test_pairs_name_rows_whose_qualities_explain_the_preference(simulated_store):
    data = read_training_data(simulated_store, choose_teacher(simulated_store, ""))
    gap = data.mos[data.pairs[:, 0]] - data.mos[data.pairs[:, 1]]
    clear = np.abs(gap) > 0.5
    assert clear.any()
    assert np.array_equal(data.preference_prob[clear] > 0.5, gap[clear] > 0)


def test_images_that_were_only_compared_are_read_too(tmp_path, build_store):
    store = build_store(tmp_path, 12, points=False, mos=False)
    data = read_training_data(store, choose_teacher(store, ""))
    assert len(data.image_ids) == 12
    assert np.isnan(data.teacher_score).all()
    assert len(data.pairs) > 0


def test_the_same_evidence_has_the_same_hashes_wherever_the_store_lies(tmp_path, build_store):
    first, second = (build_store(tmp_path / name, 12) for name in ("here", "there"))
    teacher_id = choose_teacher(first, "")
    hashes = read_training_data(first, teacher_id).content_hashes()
    assert read_training_data(second, teacher_id).content_hashes() == hashes


def test_a_hash_changes_with_its_evidence_alone(tmp_path, build_store):
    with_mos, without = (build_store(tmp_path / str(mos), 12, mos=mos) for mos in (True, False))
    teacher_id = choose_teacher(with_mos, "")
    one, other = (
        read_training_data(store, teacher_id).content_hashes() for store in (with_mos, without)
    )
    assert {name for name in one if one[name] != other[name]} == {"mos"}


def test_a_teacher_is_found_by_name_or_start_of_its_id(simulated_store):
    teacher_id = choose_teacher(simulated_store, "")
    assert choose_teacher(simulated_store, "simulated") == teacher_id
    assert choose_teacher(simulated_store, teacher_id[:6]) == teacher_id


def test_an_unknown_teacher_is_answered_with_those_there_are(simulated_store):
    with pytest.raises(InputError, match=r"0 teachers fit 'gpt'; the store has simulated"):
        choose_teacher(simulated_store, "gpt")


def test_a_store_that_no_teacher_wrote_to_says_what_to_run(store):
    with pytest.raises(NotEnoughData, match="annotate points"):
        choose_teacher(store, "")


def test_pairs_of_images_that_the_store_does_not_have_are_left_out(tmp_path, build_store):
    store = build_store(tmp_path, 12, mos=False)
    teacher_id = choose_teacher(store, "")
    before = read_training_data(store, teacher_id)
    # As an outside teacher may bring them: its images were never added here.
    SimulatedTeacher().answer_pairs(store, [sha256_text(str(n)) for n in range(4)], np.arange(4.0))
    after = read_training_data(store, teacher_id)
    assert np.array_equal(after.pairs, before.pairs)
    assert len(after.pairs) < query(store, "select count(*) from pairs").column(0)[0].as_py()
