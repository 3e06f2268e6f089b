"""The README's commands, run as they stand there on small data and the tiny teacher."""

import csv
import json
import re
import shlex
from pathlib import Path

import pytest

from tests.conftest import picture

REPOSITORY = Path(__file__).resolve().parents[1]

# What a test machine does not have, replaced by what ships; nothing else of a command is changed.
STAND_INS = {
    "internvl3.5-8b": "tiny",
    "50000": "150",
    "annotate pairs": "annotate pairs --engine transformers",  # one start of vLLM is enough
    "train run": f"train run --config {REPOSITORY / 'configs' / 'quick_test.toml'}",
}


def commands(heading: str) -> list[str]:
    """The shell lines of the README's section."""
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    section = text.split(f"## {heading}", 1)[1].split("\n## ", 1)[0]
    return "".join(re.findall(r"```bash\n(.*?)```", section, re.DOTALL)).strip().splitlines()


@pytest.fixture
def workplace(tmp_path, monkeypatch) -> Path:
    """A folder with photos/, new_photos/ and mos.csv, as the README supposes."""
    rows = []
    for folder, count in (("photos", 120), ("new_photos", 5)):
        (tmp_path / folder).mkdir()
        for number in range(count):
            blur = (number % 10) / 3
            seed = number if folder == "photos" else 1000 + number
            picture(seed, size=112, blur=blur).save(tmp_path / folder / f"{number}.png")
            if folder == "photos":
                rows.append((f"{number}.png", f"{5 - 4 * blur / 3:.2f}"))
    with (tmp_path / "mos.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("image", "mos"), *rows])
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_the_commands_of_the_readme_work(workplace, cli, cli_here):
    lines = commands("Use it")
    assert [line.split()[0] for line in lines] == [
        "annotate", "annotate", "store", "store", "train", "train", "store", "train",
    ]  # fmt: skip
    # Each program is started once; vLLM stays out of the process of the tests.
    runs = [cli, cli_here, cli, cli_here, cli, cli_here, cli_here, cli_here]
    printed = []
    for run, line in zip(runs, lines, strict=True):
        command = line
        for written, stand_in in STAND_INS.items():
            command = command.replace(written, stand_in)
        printed.append(run(*shlex.split(command)).stdout)
    assert "confidence" in printed[2]
    assert "cft_only_25" in printed[4]  # the fractions of quick_test.toml
    with (workplace / "scores.csv").open() as stream:
        scores = list(csv.DictReader(stream))
    assert len(scores) == 5
    assert (workplace / "teacher.html").stat().st_size > 100_000
    assert (workplace / "student.html").stat().st_size > 100_000
    assert all(-0.5 < float(row["score"]) < 1.5 for row in scores)


def test_the_two_commands_are_targets_of_the_makefile():
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    for line in commands("Try it: two commands"):
        target = line.split()[1]
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_table_of_the_readme_is_what_the_demo_gave():
    kept = json.loads((REPOSITORY / "docs" / "demo_summary.json").read_text(encoding="utf-8"))
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    for row in kept:
        assert f"| {row['name']} | {row['srcc']:.3f} | {row['plcc']:.3f} |" in text
