"""Every command of a page is run by a test or marked, and none has an option that is gone."""

import re
from functools import cache
from typing import Any

import pytest

from tests.docs.fences import LANGUAGES, PAGES, PROGRAMS, REPOSITORY, all_fences, command_lines
from tools.docs.commands import apps, commands

CODE = [fence for fence in all_fences() if fence.language in LANGUAGES]
CALLS = [
    pytest.param(call, id=f"{fence.name}-{' '.join(call[:2])}")
    for fence in CODE
    if fence.language == "bash"
    for call in command_lines(fence.code)
]
INLINE = re.compile(r"(?<!`)`((?:annotate|store|train) [a-z][^`]*)`(?!`)")
CHANGES = REPOSITORY / "CHANGELOG.md"  # tells of options that came and went
GENERATED = ("cli.md", "experiments.md")  # made from the code; what was typed on a day


@cache
def known() -> dict[str, Any]:
    """Every command by the words that call it."""
    return {
        words: command for name, group in apps().items() for words, command in commands(name, group)
    }


def command_of(call: list[str]) -> tuple[str, list[str]]:
    """The words that name the command, and what follows them."""
    for length in (3, 2):
        words = " ".join(call[:length])
        if words in known():
            return words, call[length:]
    pytest.fail(f"there is no command {' '.join(call[:2])}")


@pytest.mark.parametrize("fence", CODE, ids=lambda fence: fence.name)
def test_every_code_is_run_by_a_test_or_says_what_it_needs(fence):
    assert fence.mark, f"{fence.name}: put a mark before the fence, see tests/docs/fences.py"
    assert fence.text
    if fence.mark == "run":
        test = REPOSITORY / fence.text
        assert test.is_file(), f"{fence.name}: there is no {fence.text}"
        text = test.read_text(encoding="utf-8")
        assert fence.page.name in text or f'run_by("{fence.text}")' in text, fence.name


@pytest.mark.parametrize("call", CALLS)
def test_a_command_that_is_shown_has_the_options_that_are_shown(call):
    words, rest = command_of(call)
    command = known()[words]
    context = command.make_context(words, list(rest), resilient_parsing=False)
    context.close()


def test_commands_in_sentences_exist_with_their_options():
    wrong = []
    for page in PAGES:
        if page == CHANGES or page.name in GENERATED:
            continue
        for shown in INLINE.findall(page.read_text(encoding="utf-8")):
            words = [word for word in shown.split() if word not in ("…", "...")]
            names = [" ".join(words[:length]) for length in (3, 2) if " ".join(words[:length])]
            command = next((known()[name] for name in names if name in known()), None)
            if command is None:
                wrong.append(f"{page.name}: there is no `{shown}`")
                continue
            options = {"--help"} | {
                o for one in command.params for o in (*one.opts, *one.secondary_opts)
            }
            for word in words:
                option = word.split("=")[0].rstrip(",.;:)")
                if option.startswith("--") and len(option) > 2 and option not in options:
                    wrong.append(f"{page.name}: `{shown}` has no {option}")
    assert wrong == []


def test_no_command_hides_in_an_indented_block():
    for page in PAGES:
        for line in page.read_text(encoding="utf-8").splitlines():
            assert not re.match(rf"    ({'|'.join(PROGRAMS)}) [a-z-]+ ", line), (
                f"{page.name}: {line}"
            )


def test_targets_of_make_exist():
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    for fence in CODE:
        for target in re.findall(r"^make ([\w-]+)", fence.code, re.MULTILINE):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{fence.name}: {target}"
