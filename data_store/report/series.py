"""Whose answers a report shows, and what it calls them."""

from collections.abc import Sequence
from typing import NamedTuple

from data_store.index import query
from data_store.layout import Store
from schemas.errors import InputError
from schemas.teacher_spec import TeacherSpec

MOST_TEACHERS = 8
"""More colours than these nobody tells apart."""
SHORT_ID = 8


class Teacher(NamedTuple):
    """A teacher of one store."""

    teacher_id: str
    label: str
    """What the page calls it: different for every teacher of the page."""
    spec: TeacherSpec | None
    """None where the store holds answers and no description."""


class Asked(NamedTuple):
    """A store that is reported on, and whose answers are shown."""

    store: Store
    label: str
    teachers: list[Teacher]
    left_out: list[str]
    """Names of the teachers for which the page has no room."""


def asked_stores(stores: Sequence[Store], wanted: Sequence[str]) -> list[Asked]:
    """Name the stores and choose their teachers.

    Args:
        stores: at least one.
        wanted: names of teachers or starts of their ids; none for all. With several stores each
            has to fit a teacher of at least one.

    Returns:
        One element per store. The teachers with most rows are shown where there are more than
        `MOST_TEACHERS` in all.

    Raises:
        InputError: what is wanted fits no teacher, or several of one store.
        StoreFormatError: a teacher's description cannot be read.
    """
    labels = _store_labels([store.address for store in stores])
    found = [_teachers(store) for store in stores]
    if wanted:
        found = _only(found, wanted)
    room = max(1, MOST_TEACHERS // len(stores))
    return [
        Asked(
            store,
            label,
            _labelled(teachers[:room], label if len(stores) > 1 else ""),
            [teacher.label or teacher.teacher_id[:SHORT_ID] for teacher in teachers[room:]],
        )
        for store, label, teachers in zip(stores, labels, found, strict=True)
    ]


def _teachers(store: Store) -> list[Teacher]:
    """All teachers of a store, that with most rows first; `label` is the bare name."""
    counted = query(
        store,
        "select teacher_id, sum(row_count)::bigint as row_count from shards"
        " where teacher_id <> '' group by all",
    ).to_pylist()
    counts = {row["teacher_id"]: row["row_count"] for row in counted}
    specs = store.teachers()
    ids = sorted(counts.keys() | specs.keys(), key=lambda one: (-counts.get(one, 0), one))
    return [Teacher(one, specs[one].name if one in specs else "", specs.get(one)) for one in ids]


def _only(found: list[list[Teacher]], wanted: Sequence[str]) -> list[list[Teacher]]:
    problems = []
    chosen: list[list[Teacher]] = [[] for _ in found]
    for text in dict.fromkeys(wanted):
        fitting = [
            [one for one in teachers if one.label == text or one.teacher_id.startswith(text)]
            for teachers in found
        ]
        most = max(map(len, fitting))
        if most != 1:
            problems.append(f"{most} teachers fit {text!r}")
        for own, new in zip(chosen, fitting, strict=True):
            own += [one for one in new if one not in own]
    if problems:
        known = dict.fromkeys(
            f"{one.label} ({one.teacher_id[:SHORT_ID]})" for teachers in found for one in teachers
        )
        raise InputError(
            f"{'; '.join(problems)}; there are {', '.join(known) or 'none'}",
            where="--teacher",
            fix="give a name or the start of an id, with more letters where several fit",
        )
    return chosen


def _labelled(teachers: list[Teacher], store: str) -> list[Teacher]:
    names = [teacher.label for teacher in teachers]
    labelled = []
    for teacher in teachers:
        short = teacher.teacher_id[:SHORT_ID]
        label = teacher.label or short
        if teacher.label and names.count(teacher.label) > 1:
            label = f"{teacher.label} ({short})"
        labelled.append(teacher._replace(label=f"{store}: {label}" if store else label))
    return labelled


def _store_labels(addresses: list[str]) -> list[str]:
    """The last parts of each address, as many as tell them apart; then a number."""
    parts = [address.rstrip("/").split("/") for address in addresses]
    for count in (1, 2, 3):
        labels = ["/".join(part[-count:]) for part in parts]
        if len(set(labels)) == len(labels):
            return labels
    return [f"{label} {place}" for place, label in enumerate(labels, start=1)]
