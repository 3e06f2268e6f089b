import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from schemas.errors import InputError
from tools.crops import CROP_PX
from tools.make_demo_images import main, make_demo_images, source_names
from tools.packaged_photographs import PACKAGED_PHOTOGRAPHS, PackagedPhotograph, open_packaged
from tools.procedural_scenes import SCENE_PX, draw_scene, scene_names

COUNT = 120
SCENES = 24


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo") / "demo"
    assert make_demo_images(out, count=COUNT, seed=3, workers=1, scenes=SCENES)
    return out


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "mos.csv").open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def bytes_of(folder: Path) -> dict[str, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_every_row_names_an_image_and_every_image_has_a_row(demo: Path) -> None:
    rows = rows_of(demo)
    assert list(rows[0]) == ["image", "mos", "group", "kind"]
    assert len(rows) == COUNT
    assert {row["image"] for row in rows} == {path.name for path in (demo / "images").iterdir()}
    assert all(0.0 < float(row["mos"]) <= 1.0 for row in rows)
    assert all((float(row["mos"]) == 1.0) == (row["kind"] == "pristine") for row in rows)


def test_images_are_rgb_crops_of_one_size(demo: Path) -> None:
    for path in (demo / "images").iterdir():
        with Image.open(path) as image:
            assert (image.size, image.mode, image.format) == ((CROP_PX, CROP_PX), "RGB", "PNG")


def test_groups_are_the_sources_and_evenly_filled(demo: Path) -> None:
    groups = [row["group"] for row in rows_of(demo)]
    assert set(groups) == set(source_names(SCENES))
    sizes = [groups.count(name) for name in source_names(SCENES)]
    assert max(sizes) - min(sizes) <= 1


def test_the_number_of_workers_changes_no_byte(demo: Path, tmp_path: Path) -> None:
    make_demo_images(tmp_path / "again", count=COUNT, seed=3, workers=2, scenes=SCENES)
    assert bytes_of(tmp_path / "again") == bytes_of(demo)


def test_another_seed_gives_other_images(demo: Path, tmp_path: Path) -> None:
    make_demo_images(tmp_path / "other", count=60, seed=4, workers=1, scenes=SCENES)
    other = {row["image"] for row in rows_of(tmp_path / "other")}
    assert not other & {row["image"] for row in rows_of(demo)}


def test_running_again_does_nothing(demo: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in demo.rglob("*")}
    assert not make_demo_images(demo, count=COUNT, seed=3, workers=1, scenes=SCENES)
    assert {path: path.stat().st_mtime_ns for path in demo.rglob("*")} == before


def test_a_folder_of_other_arguments_is_refused(
    demo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match="not made with these arguments"):
        make_demo_images(demo, count=COUNT, seed=9, workers=1, scenes=SCENES)
    assert main([str(demo), "--count", str(COUNT), "--seed", "9"]) == 2
    assert "choose another folder" in capsys.readouterr().err


def test_the_folder_says_that_mos_is_known_quality(demo: Path) -> None:
    assert "KNOWN QUALITY, NOT HUMAN OPINION" in (demo / "README.txt").read_text(encoding="utf-8")


def test_nothing_is_left_beside_the_folder(demo: Path) -> None:
    assert [path.name for path in demo.parent.iterdir()] == [demo.name]


def test_every_packaged_photograph_is_there_and_large_enough() -> None:
    for photograph in PACKAGED_PHOTOGRAPHS:
        assert min(open_packaged(photograph).size) >= photograph.shrink * CROP_PX


def test_a_missing_photograph_is_named() -> None:
    with pytest.raises(InputError, match="skimage"):
        open_packaged(PackagedPhotograph("skimage", "data/unknown.png", 1.0))


@pytest.mark.parametrize("name", scene_names(8))
def test_scenes_are_full_of_detail_and_repeat(name: str) -> None:
    scene = draw_scene(name, 0)
    grey = np.asarray(scene.convert("L"), dtype=np.float64)
    assert grey.shape == (SCENE_PX, SCENE_PX)
    assert np.abs(np.diff(grey)).mean() > 3
    assert scene.tobytes() == draw_scene(name, 0).tobytes()
    assert scene.tobytes() != draw_scene(name, 1).tobytes()
