import json

import pytest
from typer.testing import CliRunner

from schemas.errors import InputError
from train.cli import app


def _run(*words):
    done = CliRunner().invoke(app, [str(word) for word in words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def test_a_student_is_exported_and_then_scores_without_its_run(trained, images, tmp_path):
    out = tmp_path / "student"
    told = _run("export", "--run", trained, "--out", out, "--no-onnx", "--json")
    assert json.loads(told.stdout) == {"student": "leaf_50", "parity": None, "out": str(out)}
    assert "leaf_50 exported" in told.stderr
    words = ["predict", "--images", images, "--out", tmp_path / "scores.csv", "--json"]
    told = _run(*words, "--export", out)
    assert json.loads(told.stdout)["scored"] == 90
    with pytest.raises(InputError, match="--force"):
        _run(*words, "--export", out)
    _run(*words, "--run", trained, "--crops", 5, "--force")


def test_wrong_words_are_refused_before_the_student_is_loaded(trained, images, tmp_path):
    words = ["predict", "--images", images, "--out", tmp_path / "scores.csv"]
    for wrong in (["--run", trained, "--crops", 2], [], ["--run", trained, "--export", trained]):
        with pytest.raises(InputError):
            _run(*words, *wrong)
    assert not (tmp_path / "scores.csv").exists()
