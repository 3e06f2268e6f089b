import json
import re
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from schemas.errors import InputError, TrainingError
from train.calibration.mapping import Mapping
from train.serving.export import CalibratedScores, export_student
from train.serving.exported import export_scorer
from train.serving.onnx_model import check_parity, largest_difference, write_onnx
from train.serving.parity_pictures import parity_pictures
from train.serving.picture_list import find_pictures
from train.serving.predict import predict
from train.serving.scorer import run_scorer
from train.settings import ImageSettings, StudentSettings
from train.stages import Stage, save_stage
from train.student import initial_student

FILES = {
    "README.md",
    "calibration.json",
    "config.json",
    "model.safetensors",
    "preprocessing.json",
    "provenance.json",
}

# Runs the text of two READMEs where this project cannot be imported.
ELSEWHERE = """
import json, re, sys
from pathlib import Path

BLOCKED = {"train", "data_store", "schemas", "annotate"}

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"{name} is blocked", name=name)
        return None

sys.meta_path.insert(0, Blocker())
images, *folders = sys.argv[1:]
found = []
for folder in folders:
    text = (Path(folder) / "README.md").read_text()
    names = {}
    for snippet in re.findall(r"```python\\n(.*?)```", text, re.DOTALL):
        exec(snippet, names)
    paths = sorted(Path(images).iterdir())
    for name in ("load", "load_onnx"):
        if name not in names:
            continue
        score = names[name](folder)
        found.append([score(path) for path in paths])
print(json.dumps(found))
"""

CURVE = Mapping("piecewise", (0.5, 0.7, 0.3, 0.45, 0.55, 0.7, 0.1, 0.4, 0.55, 0.9))


def _run_of(folder, run_json, settings, *, mapping, images, interval=None):
    """A run folder with one student that was not trained."""
    student = initial_student(settings, seed=3)
    with torch.no_grad():
        for parameter in student.head.parameters():
            noise = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
            parameter.add_(0.05 * noise)
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps(run_json))
    save_stage(folder, Stage("leaf_10", student, settings, images, {}, mapping, interval))
    return folder


@pytest.fixture(scope="module")
def run_json(trained):
    return json.loads((trained / "run.json").read_text())


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    """The student of a trained run, without ONNX, which test_full_size.py has."""
    out = tmp_path_factory.mktemp("exported") / "plain"
    export_student(trained, out, onnx=False)
    return out


@pytest.fixture(scope="module")
def headed(run_json, tmp_path_factory):
    """A MobileNetV2 with a head of its own and a bent curve, with ONNX: its run and its folder."""
    folder = tmp_path_factory.mktemp("headed")
    settings = StudentSettings(
        backbone="mobilenetv2_100",
        backbone_args={"pad_type": "same"},
        init="random",
        input_mean=(0.5, 0.5, 0.5),
        input_std=(0.5, 0.5, 0.5),
        pooling="mean_std",
        hidden=8,
    )
    images = ImageSettings(crop_px=64, short_side_px=72)
    run = _run_of(folder / "run", run_json, settings, mapping=CURVE, images=images, interval=0.2)
    return run, folder / "out", export_student(run, folder / "out")


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Large, turned, grey and small images."""
    folder = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (60, 90, 3), dtype=np.uint8))
    large = noise.resize((1800, 1200), Image.Resampling.BICUBIC)
    large.save(folder / "a_large.jpg", quality=90)
    exif = Image.Exif()
    exif[0x0112] = 6
    large.save(folder / "b_turned.jpg", quality=90, exif=exif)
    large.resize((640, 400)).convert("L").save(folder / "c_grey.png")
    large.save(folder / "d_large.png")
    noise.crop((0, 0, 40, 30)).save(folder / "e_small.png")
    return folder


def _predicted(scorer, images, out):
    predict(scorer, find_pictures(images), out, crops=1)
    return pq.read_table(out)["score"].to_numpy()


def _readme_load(folder):
    """`load` of a folder's README, run here."""
    names = {}
    text = (folder / "README.md").read_text()
    exec(re.search(r"```python\n(.*?)```", text, re.DOTALL)[1], names)
    return names["load"]


def test_the_folder_holds_what_its_readme_lists(exported, headed):
    assert {path.name for path in exported.iterdir()} == FILES
    assert {path.name for path in headed[1].iterdir()} == FILES | {
        "model.onnx",
        "score_head.safetensors",
    }
    for folder in (exported, headed[1]):
        text = (folder / "README.md").read_text()
        listed = set(re.findall(r"^\| `([\w.]+)`", text, re.MULTILINE)) | {"README.md"}
        assert listed == {path.name for path in folder.iterdir()}


def test_both_readme_snippets_score_as_train_predict_without_this_package(
    trained, exported, headed, photographs, tmp_path
):
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, photographs, exported, headed[1]],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    plain, headed_scores = (
        _predicted(run_scorer(run), photographs, tmp_path / f"{number}.parquet")
        for number, run in enumerate((trained, headed[0]))
    )
    found = np.array(json.loads(done.stdout))
    assert found.shape == (3, 5)
    assert np.abs(found[0] - plain).max() <= 1e-4
    assert np.abs(found[1:] - headed_scores).max() <= 1e-4
    assert np.ptp(headed_scores) > 1e-3


@pytest.mark.parametrize(
    ("hidden", "pooling", "mapping"),
    [
        (0, "mean_std", Mapping("linear", (1.5, -0.2))),
        (4, "backbone", Mapping("logistic", (0.1, 0.7, 0.5, 0.2, 0.05))),
    ],
)
def test_the_readme_covers_every_head_and_curve(
    run_json, photographs, tmp_path, hidden, pooling, mapping
):
    settings = StudentSettings(
        backbone="test_convnext", init="random", pooling=pooling, hidden=hidden
    )
    images = ImageSettings(crop_px=64, short_side_px=None)
    run = _run_of(tmp_path / "run", run_json, settings, mapping=mapping, images=images)
    export_student(run, tmp_path / "out", onnx=False)
    assert not (tmp_path / "out" / "model.onnx").exists()
    score = _readme_load(tmp_path / "out")(tmp_path / "out")
    expected = _predicted(run_scorer(run), photographs, tmp_path / "a.parquet")
    given = [score(path) for path in sorted(photographs.iterdir())]
    assert np.abs(np.array(given) - expected).max() <= 1e-4


def test_predicting_from_the_folder_gives_the_run_s_digits(
    exported, headed, trained, images, tmp_path
):
    for run, folder in ((trained, exported), (headed[0], headed[1])):
        before = _predicted(run_scorer(run), images, tmp_path / "a.parquet")
        after = _predicted(export_scorer(folder), images, tmp_path / "b.parquet")
        assert (before == after).all()
    assert export_scorer(headed[1]).interval == 0.2


def test_the_parity_gate_takes_the_store_s_images(headed):
    assert headed[2].parity["compared_on"] == "32 images of the run's store"
    assert headed[2].parity["largest_difference"] <= 1e-4


def test_drawn_pictures_are_the_same_each_time_and_differ_among_themselves(tmp_path):
    found = [parity_pictures(str(tmp_path), ImageSettings(crop_px=32)) for _ in range(2)]
    assert found[0].described() == "32 images drawn at random"
    one, two = (pictures.pixels for pictures in found)
    assert (one == two).all()
    assert len(np.unique(one.reshape(32, -1), axis=0)) == 32


def test_another_model_does_not_pass_the_gate(headed):
    other = CalibratedScores(run_scorer(headed[0]).student.eval(), Mapping("linear", (1.0, 0.5)))
    pixels = parity_pictures("", ImageSettings(crop_px=64)).pixels
    largest = largest_difference(other, headed[1] / "model.onnx", pixels)
    assert largest > 1e-3
    with pytest.raises(TrainingError, match=f"{largest:.3g}"):
        check_parity(largest, 1e-4)


def test_a_failed_gate_leaves_nothing(trained, tmp_path):
    with pytest.raises(TrainingError, match="--no-onnx"):
        export_student(trained, tmp_path / "out", student="label_free", tolerance=-1.0)
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_onnx_cannot_express_is_refused_by_name(tmp_path):
    class Strange(torch.nn.Module):
        def forward(self, pixels):
            return pixels if pixels.sum().item() > 0 else pixels + 1

    with pytest.raises(TrainingError, match="cannot be written as ONNX"):
        write_onnx(Strange(), 32, tmp_path / "model.onnx")


def test_the_folder_says_where_the_student_comes_from(exported, trained, run_json):
    told = json.loads((exported / "provenance.json").read_text())
    assert told["run_id"] == run_json["run_id"]
    assert len(told["teacher_ids"]) == 1
    assert told["labels"]["count"] > 8
    assert told["labels"]["fraction"] == 0.5
    assert told["initial_weights"]["init"] == "dct"
    summary = json.loads((trained / "summary.json").read_text())
    assert told["measured_quality"] in summary
    assert told["measured_quality"]["name"] == "leaf_50"
    config = json.loads((exported / "config.json").read_text())
    assert config["architecture"] == "test_convnext"
    assert "license" not in config["pretrained_cfg"]  # no weights of others are in it
    assert set(load_file(exported / "model.safetensors")) >= {"stem.0.weight", "head.fc.weight"}


def test_a_folder_is_replaced_only_when_told(trained, tmp_path):
    out = tmp_path / "out"
    export_student(trained, out, onnx=False)
    (out / "mine.txt").write_text("precious")
    with pytest.raises(InputError, match="--force"):
        export_student(trained, out, onnx=False)
    assert (out / "mine.txt").read_text() == "precious"
    export_student(trained, out, onnx=False, force=True)
    assert {path.name for path in out.iterdir()} == FILES
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    out.joinpath("config.json").write_text("{}")
    with pytest.raises(TrainingError, match="export it again"):
        export_scorer(out)


def test_what_is_no_export_is_never_replaced(trained, tmp_path):
    (tmp_path / "file").write_text("precious")
    for out in (trained, tmp_path, tmp_path / "file"):
        with pytest.raises(InputError, match="--out another name"):
            export_student(trained, out, onnx=False, force=True)
    assert (trained / "run.json").exists()


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(InputError, match="no training run"):
        export_student(tmp_path, tmp_path / "out", onnx=False)
