"""The tiny teacher, started once in this process through transformers."""

from dataclasses import fields

import pytest

from annotate.prompts import shipped_prompt
from annotate.teachers.engine import TokenEngine
from annotate.teachers.teacher import Teacher, find_teacher


class Shared:
    """An engine that outlives the run that closes it."""

    def __init__(self, engine: TokenEngine) -> None:
        self.engine = engine
        self.provenance = engine.provenance

    def stream(self, requests):
        return self.engine.stream(requests)

    def close(self) -> None:
        pass


class StartedTeacher(Teacher):
    """A teacher whose engine is loaded already."""

    engine: TokenEngine

    def start(self) -> TokenEngine:
        return type(self).engine


@pytest.fixture(scope="session")
def tiny_teacher() -> Teacher:
    found = find_teacher("tiny", engine="transformers")
    StartedTeacher.engine = Shared(found.start())
    return StartedTeacher(**{field.name: getattr(found, field.name) for field in fields(found)})


@pytest.fixture(scope="session")
def point_prompt():
    return shipped_prompt("point")


@pytest.fixture(scope="session")
def pair_prompt():
    return shipped_prompt("pair")
