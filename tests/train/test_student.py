import os
from pathlib import Path

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
    with pytest.raises(TrainingError, match="another architecture"):
        initial_student(settings, seed=0)


def test_weights_of_another_architecture_are_refused_even_where_all_wanted_names_are_there(
    tmp_path,
):
    import timm

    donor = timm.create_model("test_convnext").state_dict()
    donor["stages.9.extra.weight"] = torch.zeros(1)
    save_file(donor, tmp_path / "more.safetensors")
    settings = StudentSettings(
        backbone="test_convnext", init_weights=str(tmp_path / "more.safetensors")
    )
    with pytest.raises(TrainingError, match=r"are not the backbone's, first stages\.9\.extra"):
        initial_student(settings, seed=0)


def test_weights_given_alone_are_the_initial_weights(tmp_path):
    assert StudentSettings(init_weights="x.safetensors").init == "path"
    with pytest.raises(ValueError, match="init_weights"):
        StudentSettings(init="dct", init_weights="x.safetensors")


def test_a_state_dict_that_a_training_script_wrapped_is_found(tmp_path):
    import timm

    donor = timm.create_model("test_convnext", num_classes=3).state_dict()
    wrapped = {f"module.{name}": value for name, value in donor.items()}
    torch.save({"state_dict": wrapped, "epoch": 3}, tmp_path / "donor.pth")
    settings = StudentSettings(
        backbone="test_convnext", init_weights=str(tmp_path / "donor.pth"), hidden=4
    )
    found = initial_student(settings, seed=0).network.state_dict()
    assert torch.equal(found["stem.0.weight"], donor["stem.0.weight"])


MOBILENET = (
    Path(os.environ.get("LEAF_SHARED", Path(__file__).resolve().parents[3] / "shared"))
    / "weights"
    / "mobilenetv2_100_imagenet1001.safetensors"
)
needs_mobilenet = pytest.mark.skipif(
    not MOBILENET.is_file(), reason="needs the MobileNetV2 weights below LEAF_SHARED"
)


@needs_mobilenet
def test_real_weights_of_1001_classes_load_into_their_architecture():
    settings = StudentSettings(
        backbone="mobilenetv2_100",
        backbone_args={"pad_type": "same"},
        init_weights=str(MOBILENET),
        input_mean=(0.5, 0.5, 0.5),
        input_std=(0.5, 0.5, 0.5),
        pooling="mean_std",
        trained="head",
    )
    student = initial_student(settings, seed=0).eval()
    pixels = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    assert student.features(pixels).shape == (2, 2 * 1280)
    assert student.pixel_mean.flatten().tolist() == [127.5] * 3


@needs_mobilenet
def test_a_mobilenets_weights_are_refused_for_a_convnext_with_what_differs():
    settings = StudentSettings(backbone="test_convnext", init_weights=str(MOBILENET))
    with pytest.raises(TrainingError, match=r"are missing, first stem.*first blocks\."):
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


def test_arguments_that_the_backbone_does_not_know_are_refused():
    settings = StudentSettings(backbone="test_convnext", init="random", backbone_args={"wheels": 4})
    with pytest.raises(SettingsError, match="wheels") as found:
        initial_student(settings, seed=0)
    assert "student.backbone_args" in str(found.value)


ARCHITECTURES = [
    {"backbone": "test_convnext"},
    {"backbone": "test_convnext", "hidden": 8},
    {"backbone": "test_convnext", "pooling": "mean_std"},
    {"backbone": "test_mambaout", "pooling": "mean_std", "hidden": 8},  # channels last
    {"backbone": "test_vit", "pooling": "mean_std"},  # tokens
]


@pytest.fixture(params=ARCHITECTURES, ids=lambda a: "-".join(str(v) for v in a.values()))
def student(request):
    settings = StudentSettings(init="random", **request.param)
    student = initial_student(settings, seed=0).eval()
    student.settings = settings
    return student


@pytest.fixture
def native(student):
    generator = torch.Generator().manual_seed(0)
    shape = (4, 3, student.native_px, student.native_px)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


def test_scores_of_features_are_the_scores_of_the_pixels(student, native):
    with torch.no_grad():
        features = student.features(native)
        assert features.ndim == 2
        assert torch.equal(student(features), student(native))
        assert torch.equal(student.score_features(features), student(native))


def test_every_kind_of_head_can_be_rescaled_and_given_a_line(student, native):
    with torch.no_grad():
        features = student.features(native)
        if student.score_head is not None:
            student.score_head.standardise(features)
        before = student(features)
        assert torch.allclose(before, torch.tensor(FIRST_SCORE), atol=0.5)
        student.rescale(2.0, -0.25)
        assert torch.allclose(student(features), 2 * before - 0.25, atol=1e-5)
        slopes = torch.randn(features.shape[1], dtype=torch.float64) / features.shape[1]
        student.add_line(slopes, 0.125)
        line = (features.double() @ slopes).float() + 0.125
        assert torch.allclose(student(features), 2 * before - 0.25 + line, atol=1e-5)


def test_weights_come_back_into_an_empty_student_of_the_same_architecture(student, native):
    again = empty_student(StudentSettings(init="random", **student.settings.architecture()))
    again.load_weights(student.weights())
    with torch.no_grad():
        assert torch.equal(again.eval()(native), student(native))


def test_a_frozen_backbone_has_no_gradients_and_never_leaves_evaluation_mode():
    settings = StudentSettings(backbone="test_resnet", init="random", trained="head", hidden=4)
    student = initial_student(settings, seed=0).train()
    pixels = torch.randint(0, 256, (4, 3, 64, 64), dtype=torch.uint8)
    statistics = student.network.bn1.running_mean.clone()
    student(pixels).sum().backward()
    assert all(p.grad is None for p in student.network.parameters())
    assert all(p.grad is not None for p in student.head.parameters())
    assert torch.equal(student.network.bn1.running_mean, statistics)
    student.freeze_backbone(frozen=False)
    assert student.network.training
    assert all(p.requires_grad for p in student.parameters())


def test_scores_keep_their_precision_under_mixed_precision():
    student = initial_student(StudentSettings(**TINY), seed=0).eval()
    features = torch.randn(64, 64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores = student(features)
    assert torch.equal(scores, student(features))


def test_own_normalisation_takes_the_place_of_the_backbones():
    settings = StudentSettings(**TINY, input_mean=(0.1, 0.2, 0.3), input_std=(0.5, 0.25, 1.0))
    student = initial_student(settings, seed=0)
    assert student.pixel_mean.flatten().tolist() == pytest.approx([25.5, 51.0, 76.5])
    assert student.pixel_std.flatten().tolist() == pytest.approx([127.5, 63.75, 255.0])


def test_a_crop_that_the_backbone_cannot_take_is_refused_with_its_own_size():
    settings = StudentSettings(
        backbone="test_vit", init="random", backbone_args={"dynamic_img_size": False}
    )
    student = initial_student(settings, seed=0)
    student.check_input(160)
    with pytest.raises(SettingsError, match="64 x 64") as found:
        student.check_input(64)
    assert "crop_px=160" in str(found.value)
    assert student.training
