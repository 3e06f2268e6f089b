from copy import deepcopy

import numpy as np
import pytest
import torch

from schemas.errors import NotEnoughData
from train.checkpoints import Checkpoint
from train.features import FrozenFeatures
from train.fine_tune import (
    MIN_LABELLED,
    LabelledImages,
    fine_tune,
    require_labels,
)
from train.settings import StudentSettings
from train.stage_settings import CalibrateSettings
from train.student import initial_student


def test_fewer_opinions_than_needed_are_refused_with_what_to_do():
    require_labels(np.arange(MIN_LABELLED), fraction=0.1)
    with pytest.raises(NotEnoughData, match="10% of the training images with MOS are 7") as found:
        require_labels(np.arange(MIN_LABELLED - 1), fraction=0.1)
    assert "store add-mos" in str(found.value)


class _Drawn:
    """Views of 40 images that are noise, the brighter the better."""

    mos = np.linspace(0, 1, 40)

    def _pixels(self, rows):
        noise = torch.stack(
            [torch.from_numpy(np.random.default_rng(r).random((3, 32, 32))) for r in rows]
        )
        return (100 * noise + 100 * torch.from_numpy(self.mos[rows])[:, None, None, None]).float()

    def training_batches(self, batches, *, seed, epoch):
        return (self._pixels(rows) for rows in batches)

    def centre_batches(self, rows, *, batch_size):
        return (self._pixels(rows[at : at + batch_size]) for at in range(0, len(rows), batch_size))


@pytest.fixture(scope="module")
def untuned():
    return initial_student(StudentSettings(backbone="test_convnext", init="random"), seed=0)


def _tuned(untuned, *, views=None, checkpoint=None, **changes):
    plain = {"epochs": 3, "batch_size": 16, "learning_rate": 1e-3, "warmup_fraction": 0.0}
    settings = CalibrateSettings(**{**plain, **changes})
    student, views, epochs = deepcopy(untuned), views or _Drawn(), []
    labelled = LabelledImages(np.arange(40), _Drawn.mos)
    found = fine_tune(
        student, labelled, views, settings, seed=0, on_epoch=epochs.append, checkpoint=checkpoint
    )
    return student, found, epochs


def _distance(student, untuned, *, part):
    moved = (
        (now - before).square().sum().item()
        for (name, now), before in zip(
            student.named_parameters(), untuned.parameters(), strict=True
        )
        if ("head.fc" in name) == (part == "head")
    )
    return sum(moved) ** 0.5


def test_the_best_epoch_is_kept_and_people_s_scale_is_met(untuned):
    student, found, epochs = _tuned(untuned)
    assert found.validation_loss == min(found.validation_loss, *(e.validation_loss for e in epochs))
    if found.best_epoch:
        assert epochs[found.best_epoch - 1].validation_loss == found.validation_loss
    assert [epoch.epoch for epoch in epochs] == [1, 2, 3]
    scores = student(_Drawn()._pixels(np.arange(40))).detach().numpy()
    assert np.mean(scores - _Drawn.mos) == pytest.approx(0, abs=1e-4)


def test_the_head_alone_is_trained_where_that_is_asked_for(untuned):
    student, found, _ = _tuned(untuned, trained="head")
    assert found.best_epoch > 0
    assert _distance(student, untuned, part="backbone") == 0
    assert _distance(student, untuned, part="head") > 0
    assert not student.frozen
    assert all(parameter.requires_grad for parameter in student.parameters())


def test_a_pull_keeps_the_backbone_near_where_it_was_and_leaves_the_head_free(untuned):
    plain = {"learning_rate": 1e-4, "plcc_weight": 0.0, "shift_and_scale": False}
    free, found, _ = _tuned(untuned, **plain)
    pulled, also, _ = _tuned(untuned, pull_weight=10.0, **plain)
    assert found.best_epoch == also.best_epoch == 3
    distances = [_distance(one, untuned, part="backbone") for one in (pulled, free)]
    assert distances[0] < 0.7 * distances[1]
    assert _distance(pulled, untuned, part="head") > 0


def test_averaged_weights_are_judged_and_kept(untuned):
    _, _, first = _tuned(untuned)
    _, averaged, second = _tuned(untuned, ema_decay=0.9)
    assert [e.loss for e in first] == [e.loss for e in second]
    assert [e.validation_loss for e in first] != [e.validation_loss for e in second]
    assert averaged.validation_loss in [e.validation_loss for e in second]


def test_a_finished_checkpoint_gives_the_same_student_without_training(tmp_path, untuned):
    checkpoint = Checkpoint(tmp_path, every_s=0)
    student, found, epochs = _tuned(untuned, checkpoint=checkpoint)
    again, also, none = _tuned(untuned, checkpoint=checkpoint)
    assert (len(epochs), none) == (3, [])
    assert found == also
    for one, other in zip(student.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


def test_frozen_features_train_a_frozen_student():
    settings = StudentSettings(backbone="test_convnext", init="random", trained="head")
    student = initial_student(settings, seed=0)
    width = student.head.in_features
    values = np.random.default_rng(0).standard_normal((40, width)).astype(np.float32)
    tuned, found, _ = _tuned(student, views=FrozenFeatures(values), learning_rate=0.01)
    assert tuned.frozen
    assert found.labelled_count == 40
