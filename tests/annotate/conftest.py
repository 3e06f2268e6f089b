"""The tiny teacher, started once in this process through transformers."""

from dataclasses import fields

import pytest

from annotate.prompts import shipped_prompt
from annotate.teachers.engine import LabelEngine
from annotate.teachers.teacher import Teacher, find_teacher


class StartedTeacher(Teacher):
    """A teacher whose engine is loaded already."""

    engine: LabelEngine

    def start(self) -> LabelEngine:
        return type(self).engine


@pytest.fixture(scope="session")
def tiny_teacher() -> Teacher:
    found = find_teacher("tiny", engine="transformers")
    StartedTeacher.engine = found.start()
    return StartedTeacher(**{field.name: getattr(found, field.name) for field in fields(found)})


@pytest.fixture(scope="session")
def point_prompt():
    return shipped_prompt("point")


@pytest.fixture(scope="session")
def pair_prompt():
    return shipped_prompt("pair")
