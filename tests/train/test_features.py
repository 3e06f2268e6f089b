import numpy as np
import pytest
import torch

from train.features import FrozenFeatures, frozen_features, pooled_features
from train.scoring import score_pictures
from train.settings import StudentSettings
from train.student import initial_student


class Noise:
    """Views of N random pictures, counted as they are handed out."""

    def __init__(self, count):
        generator = torch.Generator().manual_seed(0)
        shape = (count, 3, 32, 32)
        self.pixels = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
        self.seen = 0

    def centre_batches(self, rows, *, batch_size):
        for start in range(0, len(rows), batch_size):
            self.seen += len(rows[start : start + batch_size])
            yield self.pixels[rows[start : start + batch_size]]

    def training_batches(self, batches, *, seed, epoch):
        raise AssertionError("frozen features are of the centre view")


@pytest.fixture
def views():
    return Noise(7)


def student_of(**settings):
    return initial_student(
        StudentSettings(backbone="test_convnext", init="dct", trained="head", **settings), seed=0
    )


IDS = [f"{number}" for number in range(7)]
READABLE = np.array([0, 1, 3, 4, 6])


def test_frozen_features_take_the_place_of_pictures(views):
    student = student_of(pooling="mean_std", hidden=4)
    frozen = frozen_features(student, views, READABLE, image_ids=IDS)
    assert np.isnan(frozen.values[[2, 5]]).all()
    assert np.array_equal(
        score_pictures(student, frozen, READABLE), score_pictures(student, views, READABLE)
    )
    batches = [np.array([3, 0]), np.array([6, 4, 1])]
    for epoch in range(2):
        found = list(frozen.training_batches(batches, seed=epoch, epoch=epoch))
        for features, rows in zip(found, batches, strict=True):
            assert np.array_equal(features, frozen.values[rows])


def test_features_come_in_the_order_of_the_rows(views):
    student = student_of()
    all_rows = pooled_features(student, views, np.arange(7))
    assert all_rows.dtype == np.float32
    found = pooled_features(student, views, np.array([5, 2]))
    assert np.allclose(found, all_rows[[5, 2]], atol=1e-5)
    again = pooled_features(student, FrozenFeatures(all_rows), np.array([5, 2]))
    assert np.array_equal(again, all_rows[[5, 2]])
    assert pooled_features(student, views, READABLE[:0]).shape[0] == 0


def test_kept_features_are_read_and_not_computed_again(views, tmp_path):
    first = frozen_features(student_of(), views, READABLE, image_ids=IDS, folder=tmp_path)
    seen = views.seen
    again = frozen_features(student_of(), views, READABLE, image_ids=IDS, folder=tmp_path)
    assert views.seen == seen
    assert np.array_equal(first.values, again.values, equal_nan=True)


@pytest.mark.parametrize("change", ["weights", "pooling", "images", "preprocessing", "rows"])
def test_kept_features_of_anything_else_are_not_taken(views, tmp_path, change):
    given = {"image_ids": IDS, "folder": tmp_path, "preprocessing": {"crop_px": 32}}
    frozen_features(student_of(), views, READABLE, **given)
    seen, student, rows = views.seen, student_of(), READABLE
    match change:
        case "weights":
            with torch.no_grad():
                next(student.network.parameters()).mul_(2)
        case "pooling":
            student = student_of(pooling="mean_std")
        case "images":
            given["image_ids"] = IDS[::-1]
        case "preprocessing":
            given["preprocessing"] = {"crop_px": 48}
        case "rows":
            rows = READABLE[:-1]
    frozen_features(student, views, rows, **given)
    assert views.seen == seen + len(rows)


def test_another_score_head_shares_the_kept_features(views, tmp_path):
    frozen_features(student_of(), views, READABLE, image_ids=IDS, folder=tmp_path)
    seen, student = views.seen, student_of()
    student.rescale(3.0, 1.0)
    frozen_features(student, views, READABLE, image_ids=IDS, folder=tmp_path)
    assert views.seen == seen


def test_a_damaged_file_of_features_is_computed_anew(views, tmp_path, capsys):
    first = frozen_features(student_of(), views, READABLE, image_ids=IDS, folder=tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:40])
    again = frozen_features(student_of(), views, READABLE, image_ids=IDS, folder=tmp_path)
    assert np.array_equal(first.values, again.values, equal_nan=True)
    assert "computed anew" in capsys.readouterr().err
