"""The files in `teachers/` and `prompts/`: each must hash to its name.

They are read here one by one, so that a damaged one is named and does not hide the others.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from pydantic import ValidationError

from data_store.files import is_broken_link
from data_store.health.findings import Finding, Remedy, damage, note
from data_store.layout import Store
from schemas.ids import id_of
from schemas.teacher_spec import PromptSpec, TeacherSpec

KINDS = ("teachers", "prompts")

AGAIN = "`annotate` writes the file again when it is run with the same teacher and prompt"


@dataclass(frozen=True, slots=True)
class SpecFiles:
    """What was found in `teachers/` and `prompts/`."""

    teachers: dict[str, TeacherSpec]
    prompt_ids: frozenset[str]
    findings: list[Finding]

    def missing(self, teacher_ids: Iterable[str], prompt_ids: Iterable[str]) -> Iterator[Finding]:
        """A note for each teacher and prompt that rows name and that has no file."""
        wanted = {"teachers": sorted(set(teacher_ids)), "prompts": sorted(set(prompt_ids))}
        there = {"teachers": self.teachers.keys(), "prompts": self.prompt_ids}
        broken = {finding.name for finding in self.findings}
        for kind in KINDS:
            for one in wanted[kind]:
                name = f"{kind}/{one}.json"
                if one not in there[kind] and name not in broken:
                    what = f"there are answers with this {kind[:-1]}, and no file that describes it"
                    yield note(name, what, AGAIN)


def read_spec_files(store: Store, names: Iterable[str]) -> SpecFiles:
    """Read every teacher and prompt of a store.

    Args:
        store: which store.
        names: its files.
    """
    teachers: dict[str, TeacherSpec] = {}
    prompt_ids: set[str] = set()
    findings: list[Finding] = []
    for name in names:
        match _read(store, name) if is_spec_name(name) else None:
            case Finding() as finding:
                findings.append(finding)
            case TeacherSpec() as spec:
                teachers[spec.teacher_id] = spec
            case PromptSpec() as spec:
                prompt_ids.add(spec.prompt_id)
    return SpecFiles(teachers, frozenset(prompt_ids), findings)


def is_spec_name(name: str) -> bool:
    """Whether a file's name is that of a teacher or a prompt."""
    return re.fullmatch(rf"({'|'.join(KINDS)})/[0-9a-f]{{64}}\.json", name) is not None


def _read(store: Store, name: str) -> TeacherSpec | PromptSpec | Finding | None:
    """What a file describes, or what is wrong with it; None if it is gone."""
    kind, spec_id = PurePosixPath(name).parent.name, PurePosixPath(name).stem
    try:
        return _spec(kind, spec_id, store.folder.read(name))
    except OSError as error:
        if is_broken_link(store.root / name):
            return _damaged(name, "the file is a link that leads nowhere")
        if isinstance(error, FileNotFoundError):
            return None
        what = f"the file cannot be read: {error.strerror}"
        return damage(name, what, "give this user the right to read it")
    except _NewerSpec:
        return damage(name, "the file is of a newer release of leaf-iqa", "use that release")
    except ValueError as error:
        return _damaged(name, f"the file is damaged: {error}")


class _NewerSpec(Exception):
    """The file's content is what its name says, but has parts that we do not know."""


def _spec(kind: str, spec_id: str, data: bytes) -> TeacherSpec | PromptSpec:
    model: type[TeacherSpec | PromptSpec] = TeacherSpec if kind == "teachers" else PromptSpec
    try:
        spec = model.model_validate_json(data)
    except ValidationError as error:
        raw = json.loads(data)
        if isinstance(raw, dict) and id_of(_identity(kind, raw)) == spec_id:
            raise _NewerSpec from error
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"{place}: {first['msg']}" if place else first["msg"]) from error
    found = spec.teacher_id if isinstance(spec, TeacherSpec) else spec.prompt_id
    if found != spec_id:
        raise ValueError(f"what it says hashes to {found[:8]}…, its name is {spec_id[:8]}…")
    return spec


def _identity(kind: str, raw: dict[str, Any]) -> dict[str, Any]:
    names = ("name", "revision") if kind == "teachers" else ()
    return {key: value for key, value in raw.items() if key not in names}


def _damaged(name: str, what: str) -> Finding:
    fix = f"`store verify --repair` moves it away; {AGAIN}"
    return damage(name, what, fix, remedy=Remedy.QUARANTINE, then=AGAIN)
