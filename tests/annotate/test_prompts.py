"""Prompt files."""

import pytest

from annotate.prompts import IMAGE_PART, load_prompt, shipped_prompt, shipped_prompts
from schemas.errors import SettingsError
from schemas.scale import LETTERS, LEVEL_WORDS


def test_the_shipped_prompts_ask_for_the_levels_and_letters_of_the_schemas():
    assert tuple(label.name for label in shipped_prompt("point").labels) == LEVEL_WORDS
    assert tuple(label.name for label in shipped_prompt("pair").labels) == LETTERS
    assert (shipped_prompt("point").image_count, shipped_prompt("pair").image_count) == (1, 2)


def test_both_prompts_begin_with_the_first_image_so_that_its_prefix_is_shared():
    first = [shipped_prompt(kind).messages()[0]["content"][0] for kind in ("point", "pair")]
    assert first == [{"type": "image"}, {"type": "image"}]


POINTS = [name for name in shipped_prompts() if name.startswith("point")]


def test_there_are_several_ways_of_asking_for_a_point():
    questions = {load_prompt(name).parts for name in POINTS}
    assert len(questions) == len(POINTS) >= 4


@pytest.mark.parametrize("name", POINTS)
def test_every_point_prompt_asks_for_the_same_levels_without_naming_them(name):
    prompt = load_prompt(name)
    assert prompt.kind == "point"
    assert prompt.labels == shipped_prompt("point").labels
    assert prompt.parts[0] == IMAGE_PART
    assert prompt.stem[-1].isalpha(), "the answer's word begins with a space"
    asked = " ".join((*prompt.parts, prompt.stem)).lower()
    assert not [word for word in LEVEL_WORDS if word in asked]


def test_a_prompt_is_named_or_a_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        "kind = 'point'\nparts = ['{image}', '?']\nstem = ''\n"
        "labels = [{name = 'a', spellings = ['a']}, {name = 'b', spellings = ['b']}]\n"
    )
    assert load_prompt("pair") == shipped_prompt("pair")
    assert load_prompt(path) == load_prompt(str(path))
    assert load_prompt(path).stem == ""


def test_a_name_that_is_neither_lists_those_there_are():
    with pytest.raises(SettingsError, match=r"'points'.*\n.*\n.*one of pair, point, point-flaws"):
        load_prompt("points")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind = 'point'", "parts"),
        ("kind = 'triple'\nparts = ['{image}']\nstem = ''\nlabels = []", "kind"),
        ("nonsense", "cannot be read"),
    ],
)
def test_a_wrong_prompt_file_is_refused_by_key(tmp_path, text, said):
    (tmp_path / "prompt.toml").write_text(text)
    with pytest.raises(SettingsError, match=said):
        load_prompt(tmp_path / "prompt.toml")
