"""Who may know whom, checked by running as well as by import-linter."""

import os
import pkgutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGES = ("schemas", "data_store", "annotate", "train")


def test_the_layers_hold():
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_importing_every_module_leaves_an_empty_home_empty(tmp_path):
    modules = [
        module.name
        for package in PACKAGES
        for module in pkgutil.walk_packages([str(REPOSITORY / package)], f"{package}.")
        if "tiny_teacher" not in module.name
    ]
    assert len(modules) > 40
    code = "import sys, importlib\nfor name in sys.argv[1:]: importlib.import_module(name)"
    done = subprocess.run(
        [sys.executable, "-c", code, *modules],
        cwd=REPOSITORY,
        env={**os.environ, "HOME": str(tmp_path), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("command", ["annotate", "store", "train"])
def test_help_answers_within_a_second(command, cli):
    cli(command, "--help")  # the first call may compile bytecode
    took = []
    for _ in range(3):
        start = time.perf_counter()
        assert "Commands" in cli(command, "--help").stdout
        took.append(time.perf_counter() - start)
    assert min(took) < 1.0
