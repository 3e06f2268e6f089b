"""All that is public is documented: modules, classes, functions, commands, options, settings."""

import ast
import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from annotate.tuning.settings import TuneSettings
from schemas.tables import TABLES
from tests.docs.fences import REPOSITORY
from tools.docs.commands import apps, commands
from tools.docs.settings import setting_rows
from train.settings import RunSettings
from train.sweep_settings import SweepSettings

PACKAGES = ("schemas", "data_store", "annotate", "train")
MODULES = sorted(
    path for package in PACKAGES for path in (REPOSITORY / package).rglob("*.py")
)  # fmt: skip
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def name_of(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def definitions(node: ast.Module | ast.ClassDef, prefix: str = "") -> list[tuple[str, Definition]]:
    """Public classes, functions and methods, by their dotted names."""
    found: list[tuple[str, Definition]] = []
    for one in node.body:
        if isinstance(one, Definition) and not one.name.startswith("_"):
            found.append((prefix + one.name, one))
            if isinstance(one, ast.ClassDef):
                found.extend(definitions(one, f"{prefix}{one.name}."))
    return found


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    given = function.args
    several = [given.vararg, given.kwarg]
    named = [*given.posonlyargs, *given.args, *given.kwonlyargs, *filter(None, several)]
    return {one.arg for one in named}


def documented_arguments(docstring: str) -> set[str]:
    """The names of an Args section: what stands before the colon of its least indented lines."""
    section = re.search(r"^Args:\n((?:[ ]+.*\n?|\n)+)", docstring, re.MULTILINE)
    if section is None:
        return set()
    heads = re.findall(r"^ {4}([\w*][\w*, ]*):", section[1], re.MULTILINE)
    return {name.strip(" *") for head in heads for name in head.split(",")}


def test_there_are_modules_to_look_at():
    assert len(MODULES) > 200


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_everything_public_has_a_docstring_that_fits(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if tree.body:
        assert ast.get_docstring(tree), "the module"
    for name, node in definitions(tree):
        text = ast.get_docstring(node)
        assert text, name
        if not isinstance(node, ast.ClassDef):
            unknown = documented_arguments(text) - parameters(node)
            assert not unknown, f"{name} has no parameter {', '.join(sorted(unknown))}"


def test_a_wrong_docstring_would_be_found():
    text = "Do.\n\nArgs:\n    a, b: numbers.\n        more: of them.\n"
    assert documented_arguments(text) == {"a", "b"}
    (_, function), *_ = definitions(ast.parse("def f(a, *, c): ..."))
    assert isinstance(function, ast.FunctionDef)
    assert parameters(function) == {"a", "c"}


def test_every_command_and_every_option_has_words():
    for name, group in apps().items():
        assert group.help
        for words, command in commands(name, group):
            assert command.help, words
            if not hasattr(command, "commands"):
                for option in command.params:
                    assert getattr(option, "help", None), f"{words} {option.name}"


@pytest.mark.parametrize("model", [RunSettings, TuneSettings, SweepSettings])
def test_every_setting_has_words(model: type[BaseModel]):
    rows = list(setting_rows(model))
    assert rows
    assert [key for key, _, meaning in rows if not meaning] == []


def test_every_command_is_on_the_page_of_commands():
    page = (REPOSITORY / "docs" / "cli.md").read_text(encoding="utf-8")
    for name, group in apps().items():
        for words, _ in commands(name, group):
            assert f"\n### {words}\n" in page, words


def test_every_stored_column_has_words_and_a_unit_or_none():
    for name, schema in TABLES.items():
        assert schema.metadata[b"meaning"], name
        for field in schema:
            assert field.metadata[b"doc"], f"{name}.{field.name}"
            assert b"unit" in field.metadata, f"{name}.{field.name}"
