import pytest
import torch

from schemas.errors import InputError, TrainingError
from train.settings import ImageSettings, StudentSettings
from train.stages import Stage, load_stage, remove_unfinished, save_stage, stage_names
from train.student import initial_student

CPU = torch.device("cpu")


@pytest.fixture
def stage():
    settings = StudentSettings(backbone="test_convnext", init="dct")
    student = initial_student(settings, seed=0)
    images = ImageSettings(crop_px=64, short_side_px=None)
    return Stage("leaf_10", student, settings, images, {"best_epoch": 3})


def test_a_stage_comes_back_as_it_was_saved(tmp_path, stage):
    save_stage(tmp_path, stage)
    found = load_stage(tmp_path, "leaf_10", device=CPU)
    assert found is not None
    assert found.settings.architecture() == stage.settings.architecture()
    plain = {"student": None, "settings": None}
    assert found._replace(**plain) == stage._replace(**plain)
    before, after = (s.student.weights() for s in (stage, found))
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_stage_that_was_never_finished_is_not_there(tmp_path, stage):
    save_stage(tmp_path, stage)
    (tmp_path / "stages" / "leaf_10").rename(tmp_path / "stages" / ".tmp-1234-leaf_10")
    assert load_stage(tmp_path, "leaf_10", device=CPU) is None
    remove_unfinished(tmp_path)
    assert list((tmp_path / "stages").iterdir()) == []


@pytest.mark.parametrize("name", ["model.safetensors", "stage.json"])
def test_damage_to_a_finished_stage_is_reported_with_what_to_do(tmp_path, stage, name):
    save_stage(tmp_path, stage)
    path = tmp_path / "stages" / "leaf_10" / name
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(TrainingError, match="delete that folder"):
        load_stage(tmp_path, "leaf_10", device=CPU)


def test_a_folder_without_students_says_what_to_run(tmp_path):
    with pytest.raises(InputError, match="train run"):
        stage_names(tmp_path)
