import pytest
import torch

from schemas.errors import TrainingError
from train.checkpoints import CHECKPOINTS, Checkpoint, State, tidy


@pytest.fixture
def state():
    image = torch.rand(2, 3, 4, 4).to(memory_format=torch.channels_last)
    tensors = {"image": image, "step": torch.tensor(3.0), "none": torch.zeros(0, 2)}
    return State(tensors, {"epoch": 2, "loss": 0.1 + 0.2, "kept": None})


def test_a_state_comes_back_to_the_last_bit(tmp_path, state):
    Checkpoint(tmp_path / "new" / "folder").save(state)
    found = Checkpoint(tmp_path / "new" / "folder").load()
    assert found.facts == state.facts
    assert found.tensors.keys() == state.tensors.keys()
    assert all(torch.equal(found.tensors[name], state.tensors[name]) for name in state.tensors)


def test_where_nothing_was_saved_there_is_no_state(tmp_path):
    assert Checkpoint(tmp_path).load() is None


def test_a_later_state_takes_the_place_of_the_earlier_and_nothing_else_is_left(tmp_path, state):
    checkpoint = Checkpoint(tmp_path)
    checkpoint.save(state)
    checkpoint.save(state._replace(facts={"epoch": 9}))
    assert checkpoint.load().facts == {"epoch": 9}
    assert len(list(tmp_path.iterdir())) == 1


def test_a_state_that_cannot_be_written_leaves_the_earlier_one(tmp_path, state):
    checkpoint = Checkpoint(tmp_path)
    checkpoint.save(state)
    with pytest.raises(TypeError):
        checkpoint.save(State({}, {"a set": {1}}))
    assert checkpoint.load().facts == state.facts
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("kept_bytes", [0, 5, 200])
def test_a_damaged_file_is_reported_with_what_to_do(tmp_path, state, kept_bytes):
    Checkpoint(tmp_path).save(state)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:kept_bytes])
    with pytest.raises(TrainingError, match="delete that file"):
        Checkpoint(tmp_path).load()


def test_it_is_due_when_the_time_is_over_or_a_long_epoch_ends(tmp_path, state):
    assert Checkpoint(tmp_path, every_s=0).is_due(epoch_ended=False)
    patient = Checkpoint(tmp_path, every_s=1e6)
    assert not patient.is_due(epoch_ended=False)
    assert patient.is_due(epoch_ended=True)
    patient.save(state)
    assert not patient.is_due(epoch_ended=True)  # twenty times as long as writing took


def test_parts_are_kept_apart_and_go_with_the_whole(tmp_path, state):
    whole = Checkpoint(tmp_path / "stage")
    whole.part("fold 1").save(state)
    assert whole.load() is None
    assert whole.part("fold 2").load() is None
    assert whole.part("fold 1").load() is not None
    whole.remove()
    assert not (tmp_path / "stage").exists()


def test_what_a_killed_run_left_half_written_is_deleted(tmp_path, state):
    checkpoint = Checkpoint(tmp_path / CHECKPOINTS / "stage")
    checkpoint.save(state)
    for folder in (tmp_path, tmp_path / CHECKPOINTS / "stage"):
        (folder / ".tmp-0123456789abcdef-file").write_bytes(b"half")
    tidy(tmp_path)
    assert checkpoint.load() is not None
    assert len(list(tmp_path.rglob("*"))) == 3
    checkpoint.remove()
    tidy(tmp_path)
    assert list(tmp_path.iterdir()) == []
