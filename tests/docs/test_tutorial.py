"""docs/tutorial.md: its commands pass in a fresh copy of the repository, and say what it shows."""

import csv

import pytest

from data_store.index import query
from data_store.layout import open_store
from tests.docs.tutorial import as_pattern, clone, steps, typed


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    """The copy after all steps, and what each of them said."""
    folder = tmp_path_factory.mktemp("clone")
    clone(folder)
    return folder, [(step, typed(step, folder)) for step in steps()]


@pytest.mark.slow
def test_the_commands_of_the_tutorial_pass_from_a_fresh_clone(walked):
    folder, said = walked
    assert len(said) >= 8
    with (folder / "tutorial" / "scores.csv").open(newline="") as stream:
        score = {row["path"].split("/")[-1]: float(row["score"]) for row in csv.DictReader(stream)}
    assert score["blurred.png"] < score["sharp.png"]


@pytest.mark.slow
def test_the_tutorial_shows_what_its_commands_say(walked):
    for step, said in walked[1]:
        found = {as_pattern(line) for line in said.splitlines()}
        missing = [
            line
            for line in step.shown.splitlines()
            if line.strip() not in ("", "…") and as_pattern(line) not in found
        ]
        assert missing == [], f"{step.commands.name} said:\n{said}"


@pytest.mark.slow
def test_the_figures_of_the_tutorial_are_those_of_its_seed(walked):
    """The images and the teacher's answers are the same everywhere; training differs a little."""
    store = open_store(walked[0] / "tutorial" / "my.store")
    counts = query(store, "select count(*) as images, avg(score) as mean from points").to_pylist()
    assert counts == [{"images": 320, "mean": pytest.approx(0.541, abs=0.005)}]
