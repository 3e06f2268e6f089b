import pytest
import torch
from safetensors.torch import save_file

from schemas.errors import SettingsError, TrainingError
from train.settings import StudentSettings
from train.student import FIRST_SCORE, empty_student, initial_student

TINY = {"backbone": "test_convnext", "init": "dct"}


@pytest.fixture
def pixels():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (4, 3, 64, 64), generator=generator, dtype=torch.uint8)


def test_scores_start_near_the_middle_of_the_scale(pixels):
    for init in ("dct", "random"):
        student = initial_student(StudentSettings(backbone="test_convnext", init=init), seed=0)
        scores = student.eval()(pixels)
        assert scores.shape == (4,)
        assert torch.allclose(scores, torch.tensor(FIRST_SCORE), atol=0.3)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    first, again, other = (
        initial_student(StudentSettings(**TINY), seed=seed).state_dict() for seed in (0, 0, 1)
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_building_a_student_leaves_the_global_randomness_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    initial_student(StudentSettings(**TINY), seed=3)
    assert torch.equal(torch.rand(1), expected)


def test_the_dct_stem_does_not_see_brightness(pixels):
    stem = initial_student(StudentSettings(**TINY), seed=0).network.stem[0]
    values = pixels.float() / 255
    assert torch.allclose(stem(values), stem(values + 0.5), atol=1e-5)


def test_pixels_are_normalised_as_the_backbone_was_trained():
    student = empty_student("test_convnext")
    config = student.network.pretrained_cfg
    assert student.pixel_mean.flatten().tolist() == pytest.approx(
        [255 * value for value in config["mean"]]
    )


def test_rescaling_changes_every_score_by_the_same_line(pixels):
    student = initial_student(StudentSettings(**TINY), seed=0).eval()
    with torch.no_grad():
        before = student(pixels)
        student.rescale(2.0, -0.25)
        assert torch.allclose(student(pixels), 2 * before - 0.25, atol=1e-5)


def test_weights_of_a_file_are_taken_except_the_classifier(tmp_path):
    import timm

    donor = timm.create_model("test_convnext", num_classes=10).state_dict()
    save_file(donor, tmp_path / "donor.safetensors")
    settings = StudentSettings(
        backbone="test_convnext", init="path", init_weights=str(tmp_path / "donor.safetensors")
    )
    found = initial_student(settings, seed=0).network.state_dict()
    assert torch.equal(found["stem.0.weight"], donor["stem.0.weight"])
    assert found["head.fc.weight"].shape == (1, 64)


def test_weights_of_another_architecture_are_refused(tmp_path):
    import timm

    path = tmp_path / "resnet.safetensors"
    save_file(timm.create_model("test_resnet").state_dict(), path)
    settings = StudentSettings(backbone="test_convnext", init="path", init_weights=str(path))
    with pytest.raises(TrainingError, match="another backbone"):
        initial_student(settings, seed=0)


@pytest.mark.parametrize("name", ["none.safetensors", "text.safetensors", "text.pth"])
def test_weights_that_cannot_be_read_are_refused(tmp_path, name):
    (tmp_path / f"text{name[-4:]}").touch()
    (tmp_path / "text.safetensors").write_text("no weights")
    (tmp_path / "text.pth").write_text("no weights")
    settings = StudentSettings(
        backbone="test_convnext", init="path", init_weights=str(tmp_path / name)
    )
    with pytest.raises(TrainingError, match="cannot be read"):
        initial_student(settings, seed=0)


def test_an_unknown_backbone_is_named():
    with pytest.raises(SettingsError, match="no model 'resnet_of_dreams'"):
        initial_student(StudentSettings(backbone="resnet_of_dreams", init="random"), seed=0)


def test_a_dct_stem_needs_a_convnext():
    with pytest.raises(SettingsError, match="no patch stem"):
        initial_student(StudentSettings(backbone="test_resnet", init="dct"), seed=0)


def test_pretrained_weights_without_a_hub_say_what_to_do():
    with pytest.raises(TrainingError, match="init=path"):
        initial_student(StudentSettings(backbone="test_convnext.r160_in1k"), seed=0)
