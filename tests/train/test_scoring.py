import numpy as np

from train.features import FrozenFeatures
from train.scoring import score_pictures
from train.settings import StudentSettings
from train.student import initial_student


def test_a_mapping_is_applied_to_the_raw_scores():
    student = initial_student(StudentSettings(backbone="test_convnext", init="dct"), seed=0)
    values = np.random.default_rng(0).standard_normal((70, 64)).astype(np.float32)
    views, rows = FrozenFeatures(values), np.arange(70)
    raw = score_pictures(student, views, rows)
    assert np.array_equal(raw, raw.astype(np.float32))
    mapped = score_pictures(student, views, rows, mapping=lambda scores: 2 * scores)
    assert np.array_equal(mapped, 2 * raw)
    assert score_pictures(student, views, rows[:0]).shape == (0,)
