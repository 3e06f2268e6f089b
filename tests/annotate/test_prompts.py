"""Prompt files."""

import pytest

from annotate.prompts import load_prompt, shipped_prompt
from schemas.errors import SettingsError
from schemas.scale import LETTERS, LEVEL_WORDS


def test_the_shipped_prompts_ask_for_the_levels_and_letters_of_the_schemas():
    assert tuple(label.name for label in shipped_prompt("point").labels) == LEVEL_WORDS
    assert tuple(label.name for label in shipped_prompt("pair").labels) == LETTERS
    assert (shipped_prompt("point").image_count, shipped_prompt("pair").image_count) == (1, 2)


def test_both_prompts_begin_with_the_first_image_so_that_its_prefix_is_shared():
    first = [shipped_prompt(kind).messages()[0]["content"][0] for kind in ("point", "pair")]
    assert first == [{"type": "image"}, {"type": "image"}]


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
