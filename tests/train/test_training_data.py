import functools
from dataclasses import replace

import numpy as np
import pytest

from data_store.index import query
from data_store.queries import human_scores
from schemas.errors import InputError, NotEnoughData
from schemas.ids import sha256_text
from tests.train.conftest import SimulatedTeacher
from train.evidence import select_evidence
from train.stage_settings import DistilSettings
from train.training_data import choose_teacher, choose_teachers, read_training_data


@pytest.fixture(scope="module")
def outside_store(tmp_path_factory, build_store):
    """Twelve pictures; beside the simulated teacher, "scores" scored six and "winners" compared."""
    store = build_store(tmp_path_factory.mktemp("outside"), 12)
    ids = human_scores(store)["image_id"].to_pylist()
    quality = human_scores(store)["mos_unit"].to_numpy()
    SimulatedTeacher("scores").bring_scores(store, ids[:6], quality[:6] * 0.5)
    SimulatedTeacher("winners").bring_winners(store, ids, quality)
    # Of images that were never added here, too.
    unknown = [sha256_text(str(number)) for number in range(4)]
    SimulatedTeacher("winners").bring_winners(store, unknown, np.arange(4.0))
    return store


@pytest.fixture(scope="module")
def read(outside_store):
    """The data of teachers by their names, each reading made once."""

    @functools.cache
    def read_once(*names):
        return read_training_data(outside_store, choose_teachers(outside_store, names))

    return read_once


def test_columns_line_up_with_the_images(outside_store, read):
    data = read("simulated")
    ids = data.image_ids.to_pylist()
    assert ids == sorted(ids)
    human = human_scores(outside_store).to_pylist()
    known = {row["image_id"]: row["mos_unit"] for row in human}
    assert data.mos.tolist() == [known[image_id] for image_id in ids]
    assert np.abs(data.teacher_score - data.mos).max() < 0.35
    assert {path.split("/")[-2] for path in data.paths.to_pylist()} == {"images"}


def test_pairs_name_rows_whose_qualities_explain_the_preference(read):
    data = read("simulated")
    gap = data.mos[data.pairs[:, 0]] - data.mos[data.pairs[:, 1]]
    clear = np.abs(gap) > 0.5
    assert clear.any()
    assert np.array_equal(data.preference_prob[clear] > 0.5, gap[clear] > 0)


def test_images_that_were_only_compared_are_read_too(tmp_path, build_store):
    store = build_store(tmp_path, 6, points=False, mos=False)
    data = read_training_data(store, choose_teachers(store, []))
    assert len(data.image_ids) == 6
    assert np.isnan(data.teacher_score).all()
    assert len(data.pairs) > 0


def test_the_same_evidence_has_the_same_hashes_wherever_the_store_lies(tmp_path, build_store, read):
    elsewhere = build_store(tmp_path, 12)
    teacher_id = choose_teacher(elsewhere, "")
    hashes = read_training_data(elsewhere, teacher_id).content_hashes()
    assert read("simulated").content_hashes() == hashes


def test_a_teacher_is_found_by_name_or_start_of_its_id(outside_store):
    teacher_id = choose_teacher(outside_store, "simulated")
    assert choose_teachers(outside_store, ["simulated"]) == [teacher_id]
    assert choose_teachers(outside_store, [teacher_id[:6]]) == [teacher_id]


def test_a_store_that_no_teacher_wrote_to_says_what_to_run(store):
    with pytest.raises(NotEnoughData, match="annotate points"):
        choose_teachers(store, [])


def test_pairs_of_images_that_the_store_does_not_have_are_left_out(outside_store, read):
    stored = query(outside_store, "select count(*) from pairs where given_preference is not null")
    assert stored.column(0)[0].as_py() == 14
    assert len(read("winners").pairs) == 11


def test_several_teachers_are_chosen_in_whatever_order_they_are_named(outside_store):
    both = choose_teachers(outside_store, ["winners", "simulated"])
    assert both == sorted(both) == choose_teachers(outside_store, ["simulated", "winners"])


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ([], "3 teachers could be meant; the store has"),
        (["scores", "gpt", "q"], "0 teachers fit 'gpt'; 0 teachers fit 'q'; the store has [a-z]+ "),
        (["scores", "scores"], "'scores' is named twice"),
    ],
)
def test_teachers_that_are_not_clear_are_refused_all_together(outside_store, wanted, said):
    with pytest.raises(InputError, match=said):
        choose_teachers(outside_store, wanted)


def test_scores_of_several_teachers_are_averaged_where_they_are(read):
    one, other, both = (
        read(*names) for names in (["simulated"], ["scores"], ["simulated", "scores"])
    )
    assert both.image_ids.equals(one.image_ids)
    there = np.isfinite(other.teacher_score)
    assert there.sum() == 6
    mean = (one.teacher_score[there] + other.teacher_score[there]) / 2
    assert both.teacher_score[there] == pytest.approx(mean)
    assert both.teacher_score[~there].tolist() == one.teacher_score[~there].tolist()
    # Levels and confidence are the simulated teacher's: the other gave none.
    assert np.array_equal(both.level_probs, one.level_probs)
    assert np.array_equal(both.point_confidence, one.point_confidence)


def test_levels_are_those_whose_mean_is_the_score(read):
    data = read("simulated")
    assert data.level_probs.sum(axis=1) == pytest.approx(np.ones(12))
    assert (data.level_probs @ np.arange(5)) / 4 == pytest.approx(data.teacher_score)
    alone = read("scores")
    assert np.isnan(alone.level_probs).all()
    assert np.isnan(alone.point_confidence).all()


def test_all_pairs_of_all_teachers_take_part_with_whose_they_are(outside_store, read):
    one, other, both = (
        read(*names) for names in (["simulated"], ["winners"], ["simulated", "winners"])
    )
    for alone, name in ((one, "simulated"), (other, "winners")):
        own = both.pair_teacher == both.teacher_ids.index(choose_teacher(outside_store, name))
        for column in ("pairs", "preference_prob", "pair_confidence", "logit_ab", "logit_ba"):
            found, expected = getattr(both, column)[own], getattr(alone, column)
            assert np.array_equal(found, expected, equal_nan=True), column
    assert np.isnan(other.logit_ab).all()
    assert other.pair_confidence.tolist() == [1.0] * 11


def test_confidence_is_of_the_mean_of_both_orders_probabilities(read):
    data = read("simulated")
    evidence = select_evidence(
        data, np.ones(12, dtype=bool), DistilSettings(teacher_temperature=1.0 + 1e-12)
    )
    kept = data.pair_confidence >= 0.1
    assert evidence.preference_prob == pytest.approx(data.preference_prob[kept])
    assert evidence.pair_weight == pytest.approx(data.pair_confidence[kept])


def test_hashes_cover_whose_evidence_it_is_and_every_column_of_it(read):
    one, both = read("simulated"), read("simulated", "winners")
    first, second = one.content_hashes(), both.content_hashes()
    assert {name for name in first if first[name] != second[name]} == {"teacher pairs"}
    for column, kind in (
        ("level_probs", "teacher points"),
        ("point_confidence", "teacher points"),
        ("logit_ba", "teacher pairs"),
        ("pair_teacher", "teacher pairs"),
        ("mos", "mos"),
    ):
        values = getattr(one, column).copy()
        values.flat[0] += 1
        changed = replace(one, **{column: values}).content_hashes()
        assert {name for name in first if first[name] != changed[name]} == {kind}, column
    moved = replace(one, paths=one.paths.take(np.arange(12)[::-1]))
    assert moved.content_hashes() == first


@pytest.mark.parametrize(
    ("names", "settings", "fix"),
    [
        (["scores"], {}, "distil.pair_weight=0"),
        (["winners"], {}, "distil.point_weight=0"),
        (["scores"], {"pair_weight": 0, "point_loss": "level_kl"}, "distil.point_loss=smooth_l1"),
        (["scores"], {"pair_weight": 0}, None),
        (["winners"], {"point_weight": 0, "discard_fraction": 0.5}, None),
        (["winners"], {"point_weight": 0, "pair_loss": "fidelity"}, None),
        (["winners", "scores"], {"pair_confidence_weights": "on"}, None),
        (["winners", "scores", "simulated"], {"teacher_temperature": 0}, None),
        (["winners", "simulated"], {"point_loss": "level_kl", "pair_loss": "margin"}, None),
    ],
)
def test_what_an_outside_teacher_did_not_say_is_done_without_or_named(read, names, settings, fix):
    data, everything = read(*names), np.ones(12, dtype=bool)
    if fix:
        with pytest.raises(NotEnoughData, match=fix.replace(".", r"\.")):
            select_evidence(data, everything[: len(data.image_ids)], DistilSettings(**settings))
        return
    evidence = select_evidence(data, everything[: len(data.image_ids)], DistilSettings(**settings))
    assert len(evidence.rows) >= 6
    assert np.isfinite(evidence.preference_prob).all()
    assert np.isfinite(evidence.pair_weight).all()
    assert np.isfinite(evidence.pair_temperatures).all()
