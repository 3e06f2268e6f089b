"""Wrong words are told as all errors are; exit codes, --version, --help."""

import resource
import signal
import subprocess
import sys

import pytest

from tests.terminal.conftest import environment

PROGRAM = """
import time
from data_store.apps import new_app
from data_store.console import run_app

app = new_app("For a test.")

@app.command()
def fail():
    "Meet a bug."
    1 / 0

@app.command()
def wait():
    "Work for long."
    print("ready", flush=True)
    time.sleep(60)

run_app(app)
"""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("store", "statsu"), "there is no command statsu; did you mean status?"),
        (("annotate", "readout", "aply"), "there is no command aply; did you mean apply?"),
        (("store", "status", "--stor", "x"), "there is no option --stor; did you mean --store?"),
        (("train", "run", "--runn", "x"), "there is no option --runn; did you mean --run?"),
        (("store", "status"), "missing option '--store' (env var: 'LEAF_STORE')"),
        (("annotate", "points", "--model", "tiny", "--engine", "vlm"), "; did you mean vllm?"),
        (
            ("annotate", "pairs", "--model", "tiny", "--strategy", "unceratin"),
            "'unceratin' is not one of 'random', 'near', 'uncertain'; did you mean uncertain?",
        ),
        (("annotate", "points", "--model", "tinny", "--store", "JUDGED"), "did you mean tiny?"),
        (
            ("annotate", "points", "--model", "tiny", "--prompt", "pont", "--store", "JUDGED"),
            "there is no prompt and no file 'pont'; did you mean point?",
        ),
        (
            ("train", "run", "--store", "JUDGED", "--run", "r", "--set", "distil.epoch=3"),
            "distil.epoch: Extra inputs are not permitted (did you mean distil.epochs?)",
        ),
        (
            ("train", "run", "--store", "JUDGED", "--run", "r", "--set", "temperature=3"),
            "(did you mean distil.pair_temperature?)",
        ),
        (("store", "add-images", "x", "--layout", "koniq", "--store", "s"), "mean koniq10k?"),
        (("store", "sql", "from point", "--store", "JUDGED"), 'the nearest is "points"'),
        (("store", "sql", "select scor from points", "--store", "JUDGED"), '"score"'),
    ],
)
def test_a_misspelt_word_is_told_with_the_nearest_one(
    words, said, judged, cli_here, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEAF_STORE", raising=False)
    words = [word.replace("JUDGED", str(judged.root)) for word in words]
    done = cli_here(*words, code=2)
    assert said in done.stderr
    assert done.stderr.startswith("error: ")
    assert "\n  where: " in done.stderr
    assert "\n  fix:   " in done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_json_does_not_change_how_an_error_is_told(judged, cli_here):
    words = ("store", "sql", "from point", "--store", judged.root)
    assert cli_here(*words, "--json", code=2).stderr == cli_here(*words, code=2).stderr


@pytest.mark.parametrize("app", ["store", "annotate", "train"])
def test_every_app_says_its_version_and_its_exit_codes_in_less_than_a_second(app, cli):
    version = cli(app, "--version").stdout
    assert version.startswith("leaf-iqa ")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = cli(app, "--help").stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.0
    for code in ("0 done", "1 a bug", "2 wrong words", "130 stopped"):
        assert code in said


def test_a_command_without_words_shows_its_help_and_is_no_success(cli):
    assert "Usage: store" in cli("store", code=2).stdout


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return [sys.executable, str(path)]


def test_a_bug_keeps_its_trace_and_exits_1(program):
    done = subprocess.run(
        [*program, "fail"], capture_output=True, text=True, env=environment(), check=False
    )
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
    assert "Traceback" in done.stderr


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_command_exits_130_without_a_trace(program, sent):
    with subprocess.Popen(
        [*program, "wait"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(sent)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said.startswith("stopping: ")
    assert "Traceback" not in said


def test_a_reader_that_goes_away_leaves_no_trace(judged, cli):
    store = sys.executable.replace("python3", "store").replace("python", "store")
    query = "select range from range(300000)"
    done = subprocess.run(
        ["bash", "-c", f"{store} sql '{query}' --csv --store {judged.root} | head -1"],
        capture_output=True,
        text=True,
        env=environment(),
        check=True,
    )
    assert done.stdout.splitlines() == ['"range"']
    assert "Traceback" not in done.stderr
