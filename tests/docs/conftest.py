"""A small place with all that the pages suppose: images, stores, opinions, trained students."""

import csv
import shutil
from pathlib import Path

import pytest

from tests.conftest import picture

IMAGES, RATED = 60, 45
SETTINGS = """\
label_fractions = [0.5]
device = "cpu"
[student]
backbone = "test_convnext"
init = "dct"
[images]
crop_px = 32
short_side_px = 0
threads = 1
[distil]
epochs = 1
batch_size = 16
[calibrate]
epochs = 1
[cft_only]
epochs = 1
"""
SWEEP = """\
base = "../student_base.toml"
[grid]
distil.pair_loss = ["ranking", "preference"]
"""


@pytest.fixture(scope="session")
def prepared(tmp_path_factory, cli_here) -> Path:
    """A folder with all that the pages suppose, made once."""
    folder = tmp_path_factory.mktemp("pages")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        _write_inputs(folder)
        for words in (
            "store init my.store",
            "store add-images photos --store my.store",
            "store add-mos mos.csv --scale 1 5 --source known --store my.store",
            "annotate points --model tiny --engine transformers --store my.store",
            "annotate pairs --model tiny --engine transformers --n-pairs 60 --store my.store",
            "annotate embed --model tiny --engine transformers --store my.store",
            "train run --store my.store --run runs/a --config configs/student_base.toml",
            "train export --run runs/a --student leaf_50 --out students/leaf_10 --no-onnx",
        ):
            cli_here(*words.split())
        for copy in ("runs/b", "runs/first", "runs/split-0", "runs/split-1"):
            shutil.copytree("runs/a", copy)
        shutil.copytree("my.store", "other.store")
    return folder


def _write_inputs(folder: Path) -> None:
    rated, others = [], []
    for name, count in (("photos", IMAGES), ("new_photos", 3), ("photographs", 3)):
        (folder / name).mkdir()
        for number in range(count):
            blur = number % 10 / 3
            file = f"{name}_{number}.png"
            picture(1000 * sum(map(ord, name)) + number, size=48, blur=blur).save(
                folder / name / file
            )
            if name == "photos":
                rated.append((file, f"{5 - blur:.2f}", file[:-5]))
            if name == "new_photos":
                others.append(f"new_photos/{file}")
    write_csv(folder / "mos.csv", ("image", "mos"), [row[:2] for row in rated[:RATED]])
    write_csv(folder / "groups.csv", ("image", "group"), [(row[0], row[2]) for row in rated])
    write_csv(folder / "some.csv", ("path",), [(path,) for path in others])
    levels = ("l1", "l2", "l3", "l4", "l5")
    answers = [(row[0], 1, 2, 3, 4, 5) for row in rated[:5]]
    write_csv(folder / "answers.csv", ("file", *levels), answers)
    write_csv(
        folder / "koniq.csv",
        ("image", "model", "logit_good", "logit_poor", "mos"),
        [(f"{number}.jpg", "a", number, 1, 3) for number in range(1, 4)],
    )
    (folder / "configs" / "sweeps").mkdir(parents=True)
    (folder / "configs" / "student_base.toml").write_text(SETTINGS)
    (folder / "configs" / "sweeps" / "ablation.toml").write_text(SWEEP)


def write_csv(path: Path, header: tuple[str, ...], rows: list[tuple]) -> None:
    """Write rows under a header."""
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])
