"""The demo's script, small: every step runs, and its table says what it should."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
NAMES = ["teacher", "label_free", "leaf_10", "leaf_30", "cft_only_10", "cft_only_30"]


@pytest.mark.slow
def test_the_demo_ends_with_its_table_and_summary(tmp_path):
    demo = tmp_path / "demo"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    small = {"DEMO": str(demo), "DEMO_IMAGES": "240", "DEMO_PAIRS": "200", "PATH": path}
    done = subprocess.run(
        ["bash", REPOSITORY / "examples" / "demo.sh"],
        env=os.environ | small,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads((demo / "summary.json").read_text())
    assert [row["name"] for row in rows] == NAMES
    assert all(set(row) == {"name", "srcc", "plcc", "rmse", "bias", "n"} for row in rows)
    # 240 images are too few for the figures of the full demo; the teacher needs no training.
    assert rows[0]["srcc"] > 0.6
    assert all(row["n"] == rows[0]["n"] > 30 for row in rows)
    assert "known quality (not human opinion)" in done.stdout
    assert "confidence_from" in done.stdout
    assert str(demo / "store") in done.stderr
    for page in ("teacher-report.html", "student-report.html"):
        assert "</html>" in (demo / page).read_text()
