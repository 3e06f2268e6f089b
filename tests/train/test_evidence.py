import numpy as np
import pyarrow as pa
import pytest
import torch
from scipy.special import expit, logit

from schemas.errors import NotEnoughData
from schemas.scale import confidence
from train.distil_loss import distil_losses
from train.evidence import select_evidence
from train.matching import ImageBatch
from train.stage_settings import DistilSettings
from train.training_data import TrainingData

EVERYTHING = np.ones(4, dtype=bool)
NAN = np.nan


def certainty(prob):
    return confidence(np.stack([prob, 1 - np.asarray(prob)], axis=-1))


def _data(**changes):
    """Four images, two by two compared by one teacher, in both orders and without a bias."""
    prob = np.asarray(changes.get("preference_prob", [0.1, 0.2, 0.55]))
    columns = {
        "image_ids": pa.array(["a", "b", "c", "d"]),
        "paths": pa.array(["a", "b", "c", "d"]),
        "group_ids": pa.array(["a", "b", "c", "d"]),
        "teacher_ids": ("t",),
        "teacher_score": np.array([0.1, 0.4, 0.9, NAN]),
        "level_probs": np.array([[0.7, 0.2, 0.1, 0, 0], [0, 0.4, 0.6, 0, 0], [NAN] * 5, [NAN] * 5]),
        "point_confidence": np.array([0.5, 0.6, NAN, NAN]),
        "mos": np.full(4, NAN),
        "pairs": np.array([[0, 1], [1, 2], [2, 3]]),
        "pair_teacher": np.zeros(len(prob), dtype=np.int64),
        "preference_prob": prob,
        "pair_confidence": certainty(prob),
        "logit_ab": logit(prob),
        "logit_ba": logit(prob),
    }
    return TrainingData(**{**columns, **changes})


def _many_pairs(count=40, seed=0):
    """Twice as many pairs of sixty images, by two teachers; the second overstates threefold."""
    rng = np.random.default_rng(seed)
    score = rng.random(60)
    pairs = np.stack([rng.permutation(60)[:2] for _ in range(2 * count)])
    teacher = np.repeat([0, 1], count)
    sure = rng.exponential(2.0, 2 * count)
    first = np.where(score[pairs[:, 0]] > score[pairs[:, 1]], 1.0, -1.0)
    again = np.where(rng.random(2 * count) < expit(sure), first, -first)
    sure *= np.where(teacher == 1, 3.0, 1.0)
    ab, ba = first * sure, again * sure * rng.uniform(0.9, 1.1, 2 * count)
    return _data(
        image_ids=pa.array([f"{n:02}" for n in range(60)]),
        teacher_ids=("s", "t"),
        teacher_score=score,
        level_probs=np.full((60, 5), NAN),
        pairs=pairs,
        pair_teacher=teacher,
        preference_prob=expit((ab + ba) / 2),
        pair_confidence=certainty((expit(ab) + expit(ba)) / 2),
        logit_ab=ab,
        logit_ba=ba,
    ), np.ones(60, dtype=bool)


def test_pairs_below_the_confidence_are_discarded():
    evidence = select_evidence(_data(), EVERYTHING, DistilSettings(min_confidence=0.1))
    assert evidence.pairs.tolist() == [[0, 1], [1, 2]]
    assert evidence.rows.tolist() == [0, 1, 2]


def test_what_the_teacher_said_of_held_out_images_is_not_used():
    in_training = np.array([True, True, False, True])
    evidence = select_evidence(_data(), in_training, DistilSettings(min_confidence=0))
    assert evidence.rows.tolist() == [0, 1]
    assert evidence.pairs.tolist() == [[0, 1]]
    assert np.isnan(evidence.teacher_score[2])


def test_points_alone_need_no_pairs():
    no_pairs = _data(pairs=np.empty((0, 2), dtype=np.int64), preference_prob=np.empty(0))
    evidence = select_evidence(no_pairs, EVERYTHING, DistilSettings(pair_weight=0))
    assert evidence.rows.tolist() == [0, 1, 2]
    with pytest.raises(NotEnoughData, match="annotate pairs"):
        select_evidence(no_pairs, EVERYTHING, DistilSettings())


def test_pairs_alone_need_no_points():
    no_points = _data(teacher_score=np.full(4, np.nan))
    settings = DistilSettings(point_weight=0, min_confidence=0)
    assert select_evidence(no_points, EVERYTHING, settings).rows.tolist() == [0, 1, 2, 3]
    with pytest.raises(NotEnoughData, match="annotate points"):
        select_evidence(no_points, EVERYTHING, DistilSettings())


def test_a_smaller_share_of_the_pairs_lies_within_a_larger_one():
    data, everything = _many_pairs(400)[0], np.ones(60, dtype=bool)

    def used(fraction):
        settings = DistilSettings(min_confidence=0, pair_fraction=fraction)
        evidence = select_evidence(data, everything, settings)
        return set(evidence.preference_prob.tolist())  # no two of the simulated pairs share one

    assert used(0.25) < used(0.5) < used(1.0)
    assert len(used(0.5)) == pytest.approx(0.5 * len(used(1.0)), rel=0.15)


def test_a_given_temperature_is_not_fitted():
    settings = DistilSettings(pair_temperature=0.37)
    assert select_evidence(_data(), EVERYTHING, settings).pair_temperatures.tolist() == [0.37]


def test_the_least_confident_share_is_discarded():
    settings = DistilSettings(min_confidence=0, discard_fraction=0.4)
    evidence = select_evidence(_data(), EVERYTHING, settings)
    assert evidence.pairs.tolist() == [[0, 1], [1, 2]]
    both = DistilSettings(min_confidence=0.5, discard_fraction=0.4)
    assert select_evidence(_data(), EVERYTHING, both).pairs.tolist() == [[0, 1]]


def test_the_share_is_of_the_training_pairs():
    settings = DistilSettings(min_confidence=0, discard_fraction=0.5)
    evidence = select_evidence(_data(), np.array([True, True, True, False]), settings)
    assert evidence.pairs.tolist() == [[0, 1]]


def test_pairs_of_equal_confidence_are_kept_together():
    winners = np.array([0.0, 1.0, 0.0])
    settings = DistilSettings(discard_fraction=0.9)
    assert len(select_evidence(_data(preference_prob=winners), EVERYTHING, settings).pairs) == 3
    two_alike = _data(preference_prob=np.array([0.8, 0.2, 0.6]))
    settings = DistilSettings(min_confidence=0, discard_fraction=0.5)
    assert select_evidence(two_alike, EVERYTHING, settings).pairs.tolist() == [[0, 1], [1, 2]]


def test_each_teacher_loses_a_share_of_its_own_pairs():
    data, everything = _many_pairs()
    settings = DistilSettings(min_confidence=0, discard_fraction=0.25, pair_loss="preference")
    evidence = select_evidence(data, everything, settings)
    assert np.bincount(evidence.pair_teacher).tolist() == [30, 30]


@pytest.mark.parametrize(
    ("pair_loss", "weights", "weighed"),
    [
        ("ranking", "auto", True),
        ("margin", "auto", True),
        ("preference", "auto", False),
        ("fidelity", "auto", False),
        ("ranking", "off", False),
        ("preference", "on", True),
    ],
)
def test_confidence_weighs_where_the_loss_does_not_know_it(pair_loss, weights, weighed):
    settings = DistilSettings(pair_loss=pair_loss, pair_confidence_weights=weights)
    evidence = select_evidence(_data(), EVERYTHING, settings)
    expected = certainty([0.1, 0.2]) if weighed else [1, 1]
    assert evidence.pair_weight.tolist() == pytest.approx(expected)


def test_a_pair_without_a_preference_is_used_by_soft_losses_alone():
    undecided = _data(preference_prob=np.array([0.5, 0.2, 0.55]))
    soft = DistilSettings(min_confidence=0, pair_loss="preference")
    assert len(select_evidence(undecided, EVERYTHING, soft).pairs) == 3
    assert len(select_evidence(undecided, EVERYTHING, DistilSettings(min_confidence=0)).pairs) == 2


def test_a_teachers_temperature_changes_preference_and_confidence():
    data = _data(logit_ab=np.array([-4.0, -3.0, NAN]), logit_ba=np.array([-1.0, NAN, NAN]))
    settings = DistilSettings(min_confidence=0, teacher_temperature=2.0)
    evidence = select_evidence(data, EVERYTHING, settings)
    expected = expit(np.array([-2.5, -3.0, logit(0.55)]) / 2)
    assert evidence.preference_prob.tolist() == pytest.approx(expected.tolist())
    mean = [(expit(-2.0) + expit(-0.5)) / 2, expected[1], expected[2]]
    assert evidence.pair_weight.tolist() == pytest.approx(certainty(mean).tolist())


def test_temperature_one_keeps_what_the_store_says_to_the_last_bit():
    evidence = select_evidence(_data(), EVERYTHING, DistilSettings(min_confidence=0))
    assert evidence.preference_prob.tolist() == _data().preference_prob.tolist()
    assert evidence.pair_weight.tolist() == _data().pair_confidence.tolist()


def test_temperatures_are_fitted_for_each_teacher_apart_and_to_training_pairs_alone():
    data, everything = _many_pairs(count=400)
    settings = DistilSettings(teacher_temperature=0)
    evidence = select_evidence(data, everything, settings)
    calm, loud = evidence.teacher_temperatures
    assert loud == pytest.approx(3 * calm, rel=0.5)
    assert evidence.facts()["teacher_temperatures"] == [calm, loud]
    tested = np.arange(60) < 20
    changed = _many_pairs(count=400)[0]
    changed.logit_ba[tested[data.pairs].any(axis=1)] *= -5
    one, other = (select_evidence(d, ~tested, settings) for d in (data, changed))
    assert one.teacher_temperatures.tolist() == other.teacher_temperatures.tolist()


def test_a_pair_has_its_own_teachers_temperature():
    data, everything = _many_pairs()
    evidence = select_evidence(data, everything, DistilSettings(pair_loss="preference"))
    first, second = evidence.pair_temperatures
    assert first != second
    of_second = np.flatnonzero(evidence.pair_teacher == 1)
    assert set(evidence.temperature_of(of_second)) == {second}


def test_scores_without_levels_need_another_point_loss():
    settings = DistilSettings(point_loss="level_kl", pair_weight=0)
    evidence = select_evidence(_data(), EVERYTHING, settings)
    assert evidence.rows.tolist() == [0, 1]  # image 2 has a score and no levels
    with pytest.raises(NotEnoughData, match=r"distil\.point_loss=smooth_l1"):
        select_evidence(_data(level_probs=np.full((4, 5), NAN)), EVERYTHING, settings)


def test_winners_without_a_probability_weigh_all_the_same():
    winners = _data(
        preference_prob=np.array([0.0, 1.0, 0.0]),
        logit_ab=np.full(3, NAN),
        logit_ba=np.full(3, NAN),
    )
    for temperature in (0, 1, 3):
        settings = DistilSettings(teacher_temperature=temperature, pair_confidence_weights="on")
        evidence = select_evidence(winners, EVERYTHING, settings)
        assert evidence.preference_prob.tolist() == [0, 1, 0]
        assert evidence.pair_weight.tolist() == [1, 1, 1]


def test_pairs_that_are_all_undecided_say_which_setting_to_change():
    undecided = _data(preference_prob=np.full(3, 0.5))
    for minimum in (0, 0.1):
        with pytest.raises(NotEnoughData, match=r"lower distil.min_confidence.*pair_weight=0"):
            select_evidence(undecided, EVERYTHING, DistilSettings(min_confidence=minimum))


@pytest.mark.parametrize("point_loss", ["smooth_l1", "mse", "mae", "level_kl"])
@pytest.mark.parametrize("pair_loss", ["ranking", "preference", "margin", "fidelity"])
def test_every_loss_of_a_batch_pulls_towards_the_teacher(point_loss, pair_loss):
    settings = DistilSettings(point_loss=point_loss, pair_loss=pair_loss)
    evidence = select_evidence(_data(), EVERYTHING, settings)
    batch = ImageBatch(np.array([0, 1, 2]), np.array([0]), np.array([0]), np.array([1]))
    scores = torch.tensor([0.6, 0.3, 0.8], requires_grad=True)
    points, pairs = distil_losses(scores, batch, evidence, settings)
    (points + pairs).backward()
    assert scores.grad is not None
    # The teacher: .1 and .4, and the second is better.
    assert scores.grad[0] > 0
    assert scores.grad[1] < 0
