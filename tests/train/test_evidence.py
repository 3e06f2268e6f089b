import numpy as np
import pyarrow as pa
import pytest

from schemas.errors import NotEnoughData
from train.evidence import select_evidence
from train.stage_settings import DistilSettings
from train.training_data import TrainingData

EVERYTHING = np.ones(4, dtype=bool)


def _data(**changes):
    columns = {
        "image_ids": pa.array(["a", "b", "c", "d"]),
        "paths": pa.array(["a", "b", "c", "d"]),
        "group_ids": pa.array(["a", "b", "c", "d"]),
        "teacher_score": np.array([0.1, 0.4, 0.9, np.nan]),
        "mos": np.full(4, np.nan),
        "pairs": np.array([[0, 1], [1, 2], [2, 3]]),
        "preference_prob": np.array([0.1, 0.2, 0.55]),
        "pair_confidence": np.array([0.53, 0.28, 0.007]),
    }
    return TrainingData(**{**columns, **changes})


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
    no_pairs = _data(
        pairs=np.empty((0, 2), dtype=np.int64),
        preference_prob=np.empty(0),
        pair_confidence=np.empty(0),
    )
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


def test_a_given_temperature_is_not_fitted():
    settings = DistilSettings(pair_temperature=0.37)
    assert select_evidence(_data(), EVERYTHING, settings).temperature == 0.37
