import json
from pathlib import Path

import numpy as np
import pytest
import torch

from schemas.errors import InputError
from tools import make_tiny_teacher, measure_tiny_teacher
from tools.procedural_scenes import draw_scene, scene_names
from tools.tiny_teacher.crop_pool import make_crop_pool
from tools.tiny_teacher.photographs import split_photographs


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten drawn scenes in the layout of a rated photograph folder."""
    folder = tmp_path_factory.mktemp("photographs")
    (folder / "images").mkdir()
    lines = ["image,mos"]
    for place, name in enumerate(scene_names(10)):
        draw_scene(name, 0).save(folder / "images" / f"{name}.png")
        lines.append(f"{name}.png,{place / 10}")
    (folder / "mos.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def test_every_fifth_of_the_best_is_held_out(photographs: Path) -> None:
    split = split_photographs(photographs, best_count=8)
    names = scene_names(10)
    assert [path.stem for path in split.held_out] == [names[9], names[4]]
    assert [path.stem for path in split.train] == [names[i] for i in (8, 7, 6, 5, 3, 2)]


def test_missing_photographs_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--photos DIR"):
        split_photographs(tmp_path)


def test_the_crop_pool_does_not_depend_on_the_number_of_workers(photographs: Path) -> None:
    paths = split_photographs(photographs).train
    first, second = (
        make_crop_pool(paths, crops_each=2, seed=0, augment=True, workers=workers)
        for workers in (1, 2)
    )
    assert first.pixels.shape == (16, 112, 112, 3)
    for left, right in zip(first, second, strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.slow
def test_a_short_training_ends_in_a_checkpoint_that_answers(
    photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same seed gives the same weights, and the measuring tool can read them."""
    short = ["--photos", str(photographs), "--crops-each", "4"]
    steps = ["--vision-steps", "2", "--answer-steps", "2", "--threads", "1"]
    thread_count = torch.get_num_threads()
    for name in ("first", "second"):
        assert make_tiny_teacher.main([*short, *steps, "--out", str(tmp_path / name)]) == 0
    torch.set_num_threads(thread_count)
    first, second = (
        (tmp_path / name / "model.safetensors").read_bytes() for name in ("first", "second")
    )
    assert first == second
    capsys.readouterr()
    assert measure_tiny_teacher.main([*short, "--checkpoint", str(tmp_path / "first")]) == 0
    measured = {
        row["name"]: row["value"] for row in map(json.loads, capsys.readouterr().out.splitlines())
    }
    assert -1.0 <= measured["point_srcc"] <= 1.0
    assert 0.0 < measured["level_mass_mean"] < 1.0


def test_the_commands_name_the_missing_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert make_tiny_teacher.main(["--photos", str(tmp_path), "--out", str(tmp_path / "x")]) == 2
    assert measure_tiny_teacher.main(["--photos", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("set LEAF_SHARED") == 2
    assert not (tmp_path / "x").exists()
