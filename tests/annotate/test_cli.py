"""The command `annotate`: its summary for programs, and how it refuses."""

import json

import pytest


@pytest.mark.slow
def test_a_run_ends_with_a_summary_for_programs(tmp_path, image_folder, cli, cli_here):
    words = ("--model", "tiny", "--engine", "transformers", "--store", tmp_path / "store", "--json")
    points = json.loads(cli("annotate", "points", *words, "--images", image_folder).stdout)
    assert (points["asked"], points["answered"], points["rejected"]) == (12, 12, 0)
    pairs = json.loads(cli_here("annotate", "pairs", *words, "--n-pairs", "5").stdout)
    assert (pairs["answered"], pairs["teacher_id"]) == (5, points["teacher_id"])

    done = cli_here("annotate", "pairs", *words, "--n-pairs", "999", code=2)
    assert "12 images in 12 groups form 66" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("points", "--model", "/no/such/model", "--images", "i", "--store", "s"),
            "there is no model here",
        ),
        (("points", "--model", "tiny", "--store", "nowhere"), "there is no store here"),
        (("points", "--store", "s"), "--model"),
        (("pairs", "--model", "tiny", "--store", "s"), "--n-pairs"),
        (
            ("points", "--model", "tiny", "--prompt", "none.toml", "--store", "s"),
            "no prompt and no file",
        ),
        (("points", "--model", "tiny", "--engine", "magic", "--store", "s"), "magic"),
        (("points", "--model", "tiny", "--engine", "server", "--store", "s"), "belong together"),
        (("points", "--model", "tiny", "--share", "9/8", "--store", "s"), "no part 9 of 8"),
        (
            ("pairs", "--model", "tiny", "--from-sql", "x", "--strategy", "near", "--store", "s"),
            "leave out one of them",
        ),
    ],
)
def test_wrong_words_exit_2_and_write_nothing(words, said, cli_here, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert said in cli_here("annotate", *words, code=2).stderr
    assert list(tmp_path.iterdir()) == []


def test_the_named_teachers_are_listed(cli_here):
    assert "internvl3.5-8b" in cli_here("annotate", "models").stdout
