"""The loop on frozen features: a training takes milliseconds there."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 (the name PyTorch documents)

from schemas.errors import TrainingError
from train.checkpoints import Checkpoint
from train.features import FrozenFeatures
from train.loop import Lesson, Loop
from train.settings import StudentSettings
from train.stage_settings import OptimiserSettings
from train.student import initial_student

ROWS = 24
QUALITY = torch.linspace(0, 1, ROWS)
BATCHES_PER_EPOCH, EPOCHS = 4, 3


class Stopped(Exception):
    """As when the process dies, for a test within one process."""


@pytest.fixture
def student():
    settings = StudentSettings(
        backbone="test_convnext", init="random", trained="head", hidden=8, pooling="mean_std"
    )
    return initial_student(settings, seed=0)


def _width(student):
    return next(student.head.parameters()).shape[-1]


def _settings(**changes):
    plain = {"epochs": EPOCHS, "batch_size": 6, "learning_rate": 0.01}
    return OptimiserSettings(**{**plain, **changes})


def _lesson(*, batch_count=BATCHES_PER_EPOCH, stop_at=None, spoil_at=None):
    """Score rows as their quality; at a place (epoch, batch) stop, or give no number."""

    def lesson(epoch):
        order = np.random.default_rng(epoch).permutation(ROWS)
        batches = np.array_split(order, batch_count)

        def losses(number, scores):
            if (epoch, number) == stop_at:
                raise Stopped
            loss = F.mse_loss(scores, QUALITY[batches[number]])
            return (loss * (float("nan") if (epoch, number) == spoil_at else 1.0), loss.detach())

        return Lesson(batches, losses)

    return lesson


def _features(student):
    values = np.random.default_rng(0).standard_normal((ROWS, _width(student)))
    return FrozenFeatures(values.astype(np.float32))


def _train(student, views, lesson, settings, checkpoint=None):
    loop = Loop(student, settings, seed=1, checkpoint=checkpoint)
    reports = []
    for done in loop.epochs(views, lesson):
        reports.append((done.epoch, done.means))
        if loop.kept is None or done.means[0] < loop.kept.loss:
            loop.keep(done.epoch, done.means[0])
    loop.finish()
    return reports, loop.kept


def _weights(student):
    return {name: value.clone() for name, value in student.state_dict().items()}


def _same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("epoch", range(EPOCHS))
@pytest.mark.parametrize("batch", range(BATCHES_PER_EPOCH))
def test_stopped_at_any_batch_and_taken_up_again_it_ends_as_if_it_had_not_been(
    tmp_path, student, epoch, batch
):
    start, views = _weights(student), _features(student)
    settings = _settings(accumulate=3, ema_decay=0.8)
    wanted_reports, wanted_kept = _train(student, views, _lesson(), settings)
    wanted = _weights(student)

    student.load_state_dict(start)
    checkpoint = Checkpoint(tmp_path, every_s=0)
    with pytest.raises(Stopped):
        _train(student, views, _lesson(stop_at=(epoch, batch)), settings, checkpoint)
    student.load_state_dict(start)
    torch.manual_seed(epoch)  # what chance did elsewhere must not matter
    reports, kept = _train(student, views, _lesson(), settings, Checkpoint(tmp_path, every_s=0))
    assert _same(wanted, _weights(student))
    assert reports == wanted_reports[-len(reports) :]
    assert len(reports) == EPOCHS - epoch
    assert kept[:2] == wanted_kept[:2]
    assert _same(kept.weights, wanted_kept.weights)


def test_what_is_finished_is_not_done_again(tmp_path, student):
    views, checkpoint = _features(student), Checkpoint(tmp_path, every_s=0)
    _train(student, views, _lesson(), _settings(), checkpoint)
    done = _weights(student)
    reports, _ = _train(student, views, _lesson(stop_at=(0, 0)), _settings(), checkpoint)
    assert reports == []
    assert _same(done, _weights(student))


def test_batches_added_up_are_one_large_batch(student):
    start, views = _weights(student), _features(student)
    _train(student, views, _lesson(batch_count=2), _settings(accumulate=1))
    wanted = _weights(student)
    student.load_state_dict(start)
    _train(student, views, _lesson(batch_count=4), _settings(accumulate=2))
    found = _weights(student)
    assert not _same(start, found)
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, atol=1e-5, rtol=1e-4)


def test_averaged_weights_are_those_that_are_left(student):
    start, views = _weights(student), _features(student)
    _train(student, views, _lesson(), _settings())
    last = _weights(student)
    student.load_state_dict(start)
    _train(student, views, _lesson(), _settings(ema_decay=0.9))
    averaged = _weights(student)
    assert not _same(last, averaged)
    moved = sum((last[n] - start[n]).float().square().sum() for n in start)
    lagging = sum((averaged[n] - start[n]).float().square().sum() for n in start)
    assert 0 < lagging < moved


def test_a_loss_that_is_no_number_says_which_epoch_and_leaves_the_checkpoint(tmp_path, student):
    checkpoint = Checkpoint(tmp_path, every_s=0)
    with pytest.raises(TrainingError, match=r"loss is no longer a number(.|\n)*epoch 2 of 3") as at:
        _train(student, _features(student), _lesson(spoil_at=(1, 2)), _settings(), checkpoint)
    assert "lower learning_rate" in str(at.value)
    state = checkpoint.load()
    assert (state.facts["epoch"], len(state.tensors["losses"])) == (1, 2)
    assert all(value.isfinite().all() for value in state.tensors.values())


def test_a_checkpoint_of_another_student_is_refused(tmp_path, student):
    _train(student, _features(student), _lesson(), _settings(), Checkpoint(tmp_path))
    other = initial_student(
        StudentSettings(backbone="test_convnext", init="random", trained="head"), seed=0
    )
    with pytest.raises(TrainingError, match="checkpoint cannot be used"):
        Loop(other, _settings(), seed=1, checkpoint=Checkpoint(tmp_path))


def test_in_bfloat16_the_weights_and_losses_stay_in_float32():
    seen = []

    class Noise:
        def training_batches(self, batches, *, seed, epoch):
            rng = np.random.default_rng((seed, epoch))
            return (torch.from_numpy(rng.random((len(b), 3, 32, 32))).float() for b in batches)

    def lesson(epoch):
        def losses(number, scores):
            seen.append(scores.dtype)
            return (scores.square().mean(),)

        return Lesson([np.arange(4)], losses)

    weights = []
    for amp in (False, True):
        whole = initial_student(StudentSettings(backbone="test_convnext", init="random"), seed=0)
        loop = Loop(whole, _settings(epochs=1, amp=amp), seed=0)
        list(loop.epochs(Noise(), lesson))
        weights.append(_weights(whole))
    assert set(seen) == {torch.float32}
    assert {value.dtype for value in weights[1].values()} == {torch.float32}
    assert not _same(*weights)
